import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { Client } from 'pg';
import { HttpSink, services, startSystem, type ServiceName, type TestSystem, waitFor } from '@keyturn/testing';
import { at, listOf } from './manifest';
import { k8sFolder } from './overlays';
import { ofKind } from './workloads';

/** Roles belong to the whole server, which other tests share, so this run's have names of their own. */
const prefix = `kt${randomBytes(4).toString('hex')}`;
const sql = readFileSync(path.join(k8sFolder, 'overlays/production/roles.sql'), 'utf8').replaceAll('keyturn', prefix);
const password = randomBytes(12).toString('hex');
const loginOf = (name: string) => `${prefix}_login_${name}`;

/** Each service's group, as the operator of Postgres is told. */
const groupOf = Object.fromEntries(
  listOf(at(ofKind('production', 'Cluster')[0], 'spec.managed.roles')).map(({ name, inRoles }) => [
    String(name).replaceAll('_', '-'),
    String((inRoles as string[])[0]).replaceAll('keyturn', prefix),
  ]),
) as Record<ServiceName, string>;

const withLogin = (url: string, user: string) => {
  const changed = new URL(url);
  changed.username = user;
  changed.password = password;
  return changed.href;
};

async function inDatabase<T>(url: string, work: (client: Client) => Promise<T>): Promise<T> {
  const client = new Client({ connectionString: url });
  await client.connect();
  try {
    return await work(client);
  } finally {
    await client.end();
  }
}

// The very file that production's Postgres begins with, under the services themselves.
describe('roles of Postgres', () => {
  let system: TestSystem;
  const urls = {} as Record<ServiceName, string>;
  let serverUrl: string;

  beforeAll(async () => {
    system = await startSystem({
      logins: async (databaseUrl) => {
        serverUrl = databaseUrl;
        await inDatabase(databaseUrl, async (client) => {
          await client.query(`create role ${prefix} login password '${password}'`);
          await client.query(`alter database ${new URL(databaseUrl).pathname.slice(1)} owner to ${prefix}`);
          await client.query(sql);
          for (const service of services) {
            const login = loginOf(service.replaceAll('-', '_'));
            await client.query(`create role ${login} login password '${password}' in role ${groupOf[service]}`);
            urls[service] = withLogin(databaseUrl, login);
          }
        });
        return { ...urls, migrate: withLogin(databaseUrl, prefix) };
      },
    });
  }, 60_000);

  afterAll(async () => {
    // Roles can go once nothing is theirs, so before the database does.
    if (serverUrl)
      await inDatabase(serverUrl, async (client) => {
        const roles = [
          ...services.map((service) => loginOf(service.replaceAll('-', '_'))),
          ...new Set(Object.values(groupOf)),
        ];
        for (const role of [...roles, prefix]) {
          await client.query('select pg_terminate_backend(pid) from pg_stat_activity where usename = $1', [role]);
          await client.query(`reassign owned by ${role} to current_user`);
          await client.query(`drop owned by ${role}`);
        }
        for (const role of [...roles, prefix]) await client.query(`drop role ${role}`);
      });
    await system?.stop();
  });

  it('are enough for every service: a change is applied, read and delivered', async () => {
    const sink = await HttpSink.start();
    try {
      const { id, slug } = await system.createSpace();
      const { key } = await system.createKey(slug);
      const ask = (route: string, init: RequestInit = {}) =>
        fetch(`${system.baseUrl}/api/v1${route}`, {
          ...init,
          headers: { 'X-API-Key': key, 'Content-Type': 'application/json' },
        });
      const webhook = await ask('/webhooks', {
        method: 'POST',
        body: JSON.stringify({ name: 'roles', url: sink.url('/hook'), events: ['note.created'] }),
      });
      expect(webhook.status).toBe(201);
      await system.publishAndApply(id, [{ type: 'note.created', data: { id: 1, body: 'least rights' } }]);
      expect(await (await ask('/notes/1')).json()).toMatchObject({ data: { id: 1, body: 'least rights' } });
      await waitFor('the webhook', () => sink.requests.length === 1);
      for (const owner of ['access', 'data', 'webhooks'] as const)
        await system.admin.request(`admin.retention.${owner}`, {});
    } finally {
      await sink.stop();
    }
  });

  const schemas = {
    'api-gateway': 'access',
    'data-service': 'data',
    'webhook-service': 'webhooks',
    dispatcher: 'webhooks',
  };

  it.each(services)('%s sees its own schema and no other', async (service) => {
    const seen = await inDatabase(urls[service], async (client) => {
      const { rows } = await client.query<{ name: string }>(
        `select nspname as name from pg_namespace where nspname in ('access', 'data', 'webhooks')
         and has_schema_privilege(oid, 'usage')`,
      );
      return rows.map(({ name }) => name);
    });
    expect(seen).toEqual([schemas[service]]);
  });

  it.each(services)('%s cannot change the form of anything', async (service) => {
    const schema = schemas[service];
    const refused = async (statement: string) =>
      inDatabase(urls[service], (client) =>
        client.query(statement).then(
          () => 'allowed',
          (error: { code: string }) => error.code,
        ),
      );
    const insufficientPrivilege = '42501';
    expect(await refused(`create table ${schema}.mine (id int)`)).toBe(insufficientPrivilege);
    expect(await refused(`drop table ${schema}.migration`)).toBe(insufficientPrivilege);
    expect(await refused('create schema mine')).toBe(insufficientPrivilege);
    expect(await refused('create table public.mine (id int)')).toBe(insufficientPrivilege);
    expect(await refused('create role mine')).toBe(insufficientPrivilege);
  });
});
