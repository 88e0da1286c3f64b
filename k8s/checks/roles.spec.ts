import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import {
  HttpSink,
  onDatabase,
  rowsOfSpace,
  services,
  startSystem,
  type ServiceName,
  type TestSystem,
  waitFor,
} from '@keyturn/testing';
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

// The very file that production's Postgres begins with, under the services themselves.
describe('roles of Postgres', () => {
  let system: TestSystem;
  const urls = {} as Record<ServiceName, string>;
  let serverUrl: string;

  beforeAll(async () => {
    system = await startSystem({
      logins: async (databaseUrl) => {
        serverUrl = databaseUrl;
        await onDatabase(databaseUrl, async (client) => {
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
      await onDatabase(serverUrl, async (client) => {
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

  it('are enough for every service, also where a day has no partition: a change is applied, listed and delivered', async () => {
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
      const { data } = (await webhook.json()) as { data: { id: number } };

      await system.publishAndApply(id, [{ type: 'note.created', data: { id: 1, body: 'least rights' } }]);
      expect(await (await ask('/notes/1')).json()).toMatchObject({ data: { id: 1, body: 'least rights' } });
      await waitFor('the webhook', () => sink.requests.length === 1);
      const deliveries = () => ask(`/webhooks/${data.id}/deliveries`).then((answer) => answer.json());
      await waitFor('the result', async () => JSON.stringify(await deliveries()).includes('"success"'));

      // As seen from far ahead every day there is has gone by, today too: a service is left without the days that it writes to.
      const now = new Date(Date.now() + 400 * 86_400_000).toISOString();
      const dropped = await Promise.all(
        (['access', 'data', 'webhooks'] as const).map((owner) =>
          system.admin.request(`admin.retention.${owner}`, { now }),
        ),
      );
      expect(dropped[1]).toMatchObject({ eventLogPartitions: expect.any(Number) as number });
      expect(dropped[1]?.['eventLogPartitions']).toBeGreaterThan(1);
      expect(dropped[2]?.['deliveryPartitions']).toBeGreaterThan(1);

      await system.publishAndApply(id, [{ type: 'note.created', data: { id: 2, body: 'no day, no loss' } }]);
      expect(await (await ask('/notes?sort=id')).json()).toMatchObject({ data: [{ id: 1 }, { id: 2 }] });
      await waitFor('the second webhook', () => sink.requests.length === 2);
      await waitFor('its result', async () => JSON.stringify(await deliveries()).includes('"success"'));
    } finally {
      await sink.stop();
    }
  });

  it('are enough to purge a Space that has ended, in every schema', async () => {
    const sink = await HttpSink.start();
    try {
      const { id, slug } = await system.createSpace();
      const { key } = await system.createKey(slug);
      const webhook = await fetch(`${system.baseUrl}/api/v1/webhooks`, {
        method: 'POST',
        headers: { 'X-API-Key': key, 'Content-Type': 'application/json' },
        body: JSON.stringify({ name: 'ends', url: sink.url('/ends'), events: ['note.created'] }),
      });
      expect(webhook.status).toBe(201);
      await system.publishAndApply(id, [{ type: 'note.created', data: { id: 1, body: 'soon gone' } }]);
      await waitFor('the webhook', () => sink.requests.length === 1);
      await system.admin.request('admin.spaces.delete', { slug, confirm: slug });
      const now = new Date(Date.now() + 8 * 86_400_000).toISOString();
      await waitFor('the purge', async () => {
        for (const owner of ['access', 'data', 'webhooks'] as const)
          await system.admin.request(`admin.retention.${owner}`, { now });
        const left = await onDatabase(system.databaseUrl, (client) => rowsOfSpace(client, id));
        return Object.keys(left).join() === 'access.audit';
      });
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
    const seen = await onDatabase(urls[service], async (client) => {
      const { rows } = await client.query<{ name: string }>(
        `select nspname as name from pg_namespace where nspname in ('access', 'data', 'webhooks')
         and has_schema_privilege(oid, 'usage')`,
      );
      return rows.map(({ name }) => name);
    });
    expect(seen).toEqual([schemas[service]]);
  });

  const insufficientPrivilege = '42501';
  const outcomeOf = (service: ServiceName, statement: string) =>
    onDatabase(urls[service], (client) =>
      client.query(statement).then(
        () => 'allowed',
        (error: { code: string }) => error.code,
      ),
    );
  const tableOf = { access: 'api_key', data: 'file', webhooks: 'endpoint' };

  it.each(services)('%s reads and writes rows of its own schema, and no row of another', async (service) => {
    for (const [schema, table] of Object.entries(tableOf)) {
      const expected = schema === schemas[service] ? 'allowed' : insufficientPrivilege;
      expect(await outcomeOf(service, `select from ${schema}.${table} limit 1`)).toBe(expected);
      expect(await outcomeOf(service, `delete from ${schema}.${table} where false`)).toBe(expected);
    }
  });

  it('data-service may ask a replica of which cluster it is', async () => {
    expect(await outcomeOf('data-service', 'select system_identifier from pg_control_system()')).toBe('allowed');
  });

  it('what makes and drops partitions serves its own tables only, whoever calls it', async () => {
    const drop = (parent: string) => `select data.drop_partitions(${parent}, '2100-01-01')`;
    expect(await outcomeOf('dispatcher', drop(`'webhooks.delivery'`))).toBe(insufficientPrivilege);
    const elsewhere = await onDatabase(serverUrl, async (client) => {
      const { rows } = await client.query<{ oid: string }>(`select 'webhooks.delivery'::regclass::oid as oid`);
      return rows[0]?.oid ?? '';
    });
    expect(await outcomeOf('data-service', drop(elsewhere))).toBe(insufficientPrivilege);
    expect(await outcomeOf('data-service', `select webhooks.add_day('2100-01-01')`)).toBe(insufficientPrivilege);
  });

  it('every function that runs with the rights of the owner looks for names in one fixed place', async () => {
    const { rows } = await onDatabase(serverUrl, (client) =>
      client.query<{ name: string; settings: string[] | null }>(
        `select p.oid::regprocedure::text as name, proconfig as settings from pg_proc p
         join pg_namespace n on n.oid = pronamespace
         where prosecdef and nspname in ('access', 'data', 'webhooks')`,
      ),
    );
    expect(rows.length).toBeGreaterThanOrEqual(4);
    for (const { name, settings } of rows)
      expect([name, settings]).toEqual([name, expect.arrayContaining(['search_path=pg_catalog, pg_temp'])]);
  });

  it.each(services)('%s cannot change the form of anything', async (service) => {
    const schema = schemas[service];
    const refused = (statement: string) => outcomeOf(service, statement);
    expect(await refused(`update ${schema}.migration set name = name`)).toBe(insufficientPrivilege);
    expect(await refused(`create table ${schema}.mine (id int)`)).toBe(insufficientPrivilege);
    expect(await refused(`drop table ${schema}.migration`)).toBe(insufficientPrivilege);
    expect(await refused('create schema mine')).toBe(insufficientPrivilege);
    expect(await refused('create table public.mine (id int)')).toBe(insufficientPrivilege);
    expect(await refused('create role mine')).toBe(insufficientPrivilege);
  });
});
