import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { connect, ErrorCode } from 'nats';
import {
  onDatabase,
  Administration,
  freePort,
  freshDatabase,
  type FreshDatabase,
  type FreshNats,
  freshNats,
  migrateAll,
  type ServiceName,
  ServiceProcess,
  services,
  waitFor,
} from '@keyturn/testing';
import { Door } from './door';

/** Services that are started before anybody has migrated, as a first `kubectl apply` does it. */
describe('a database that is not migrated yet', () => {
  const adminToken = 'a credential of at least thirty-two characters';
  const folder = mkdtempSync(path.join(tmpdir(), 'keyturn-schema-'));
  const started: ServiceProcess[] = [];
  let database: FreshDatabase;
  let nats: FreshNats;
  let env: NodeJS.ProcessEnv;

  beforeAll(async () => {
    [database, nats] = await Promise.all([freshDatabase(), freshNats()]);
    env = {
      ...process.env,
      DATABASE_URL: database.url,
      NATS_URL: nats.url,
      ADMIN_TOKEN: adminToken,
      SECRETS_KEY: 'a key for tests of at least thirty-two characters',
      GATEWAY_PORT: '0',
      DRAIN_DELAY: '0s',
    };
  });

  afterAll(async () => {
    await Promise.all(started.map((process) => process.stopAtOnce()));
    await nats?.stop();
    await database?.drop();
    rmSync(folder, { recursive: true, force: true });
  });

  async function launch(name: ServiceName, more: NodeJS.ProcessEnv = {}) {
    const port = await freePort();
    const logFile = path.join(folder, `${name}.log`);
    const process = ServiceProcess.launch(name, {
      env: { ...env, ...more, MANAGEMENT_PORT: String(port) },
      logFile,
    });
    started.push(process);
    const ask = async (route: string) => {
      const answer = await fetch(`http://127.0.0.1:${port}${route}`);
      return { status: answer.status, body: await answer.text() };
    };
    await waitFor(`${name} to say that it waits`, async () => {
      const readiness = await ask('/readyz').catch(() => undefined);
      return readiness?.status === 503 && /waits for migrations: \w+/.test(readiness.body);
    });
    return { name, process, ask };
  }

  it('is waited for: alive, unready, with no request taken; and when it is there, everything turns ready by itself', async () => {
    const port = await freePort();
    const instances = await Promise.all(services.map((name) => launch(name, { GATEWAY_PORT: String(port) })));
    for (const { ask } of instances) {
      expect((await ask('/livez')).status).toBe(200);
      // The gateway is asked without the dependencies that it can do without; this is none of them.
      expect((await ask('/readyz?exclude=postgres&exclude=nats')).status).toBe(503);
    }
    // Whoever comes to the door is told to come back, in the shape of the surface.
    const door = new Door(`http://127.0.0.1:${port}`, { 'x-api-key': `tc_live_${'0'.repeat(32)}1yN1Vs` });
    await waitFor('the gateway to listen', async () => (await door.get('/api/v1/health')).status === 200);
    const login = { email: 'owner@acme.example', password: 'a password' };
    for (const { status, headers, json } of [
      await door.get('/api/v1/files'),
      await door.post('/api/v1/webhooks', {}),
      await door.post('/manage/session', login),
    ])
      expect([status, headers['retry-after'], json.error?.code]).toEqual([503, '1', 'INTERNAL_ERROR']);
    const admin = await Administration.connect(nats.url, adminToken);
    const anyone = await connect({ servers: nats.url });
    try {
      // Nobody listens: an older instance beside these would get every request.
      for (const operation of ['data.streams.position', 'admin.spaces.list', 'admin.retention.webhooks'])
        await expect(anyone.request(operation)).rejects.toMatchObject({ code: ErrorCode.NoResponders });
      await migrateAll((name) => ({ env, logFile: path.join(folder, `${name}.migrate.log`) }));
      for (const { process } of instances) await process.ready();
      expect(await admin.request('data.streams.position', {})).toEqual({ DOMAIN: 0, BACKFILL: 0, EVENTS: 0 });
      for (const { ask } of instances) expect((await ask('/readyz')).status).toBe(200);
    } finally {
      await anyone.close();
      await admin.close();
    }
  }, 60_000);

  it('is enough when it is newer than what a version needs', async () => {
    await onDatabase(database.url, (client) =>
      client.query(`insert into data.migration (timestamp, name) values (9999999999999, 'Later9999999999999')`),
    );
    const logFile = path.join(folder, 'older.log');
    const older = ServiceProcess.launch('data-service', { env: { ...env, MANAGEMENT_PORT: '0' }, logFile });
    started.push(older);
    await expect(older.ready()).resolves.toMatchObject({ pid: older.pid });
  });

  it('does not keep a service from stopping in good order', async () => {
    const empty = await freshDatabase();
    try {
      const { process } = await launch('webhook-service', { DATABASE_URL: empty.url });
      await process.stop('SIGTERM');
      const last = readFileSync(path.join(folder, 'webhook-service.log'), 'utf8').trim().split('\n').at(-1) ?? '';
      expect(JSON.parse(last)).toMatchObject({ message: 'stopped' });
    } finally {
      await empty.drop();
    }
  });
});
