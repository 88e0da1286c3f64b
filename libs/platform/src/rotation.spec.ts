import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { Client } from 'pg';
import { freshDatabase, freshNats, waitFor, type FreshDatabase, type FreshNats } from '@keyturn/testing';
import { current, readSettings, setting } from './config';
import { makeDatabase, statement } from './database';
import { Log } from './logs';
import { Metrics } from './metrics';
import { NatsLink } from './nats';
import { RpcClient, RpcServer } from './rpc';

const log = Log.create('test', 'silent');

/** Secrets that are replaced under a running process, as the kubelet replaces the files of a Secret. */
describe('a secret that is rotated in its file', () => {
  let folder: string;
  const place = (name: string) => path.join(folder, name);
  const write = (name: string, text: string) => writeFileSync(place(name), `${text}\n`);

  beforeAll(() => (folder = mkdtempSync(path.join(tmpdir(), 'keyturn-rotation-'))));
  afterAll(() => rmSync(folder, { recursive: true }));

  it('is read again; away or wrong for a moment it stays what it was', () => {
    const token = (letter: string) => letter.repeat(40);
    write('token', token('a'));
    const settings = readSettings({ token: setting.secret('TOKEN') }, { TOKEN_FILE: place('token') });
    const now = current(settings, 'token');
    expect(now()).toBe(token('a'));
    write('token', token('b'));
    expect(now()).toBe(token('b'));
    write('token', 'short');
    expect(now()).toBe(token('b'));
    rmSync(place('token'));
    expect(now()).toBe(token('b'));
    write('token', token('c'));
    expect(now()).toBe(token('c'));
    expect(settings.token).toBe(token('a'));
  });

  it('that came from the environment is what it was', () => {
    const env = { TOKEN: 'a'.repeat(40) };
    const now = current(readSettings({ token: setting.secret('TOKEN') }, env), 'token');
    env.TOKEN = 'b'.repeat(40);
    expect(now()).toBe('a'.repeat(40));
  });

  describe('of PostgreSQL', () => {
    const role = `rotated_${process.pid}`;
    const whoAmI = statement('rotation.who', 'select current_user::text as name, pg_backend_pid() as pid');
    let fresh: FreshDatabase;
    let owner: Client;

    beforeAll(async () => {
      fresh = await freshDatabase();
      owner = new Client({ connectionString: fresh.url });
      await owner.connect();
      await owner.query(`create role ${role} login password 'first'`);
    });
    afterAll(async () => {
      await owner.query(`drop role ${role}`);
      await owner.end();
      await fresh.drop();
    });

    it('is used for the next connection; open ones go on, and until the file says it a new one is unavailable', async () => {
      const url = (password: string) => {
        const its = new URL(fresh.url);
        [its.username, its.password] = [role, password];
        return its.href;
      };
      write('database-url', url('first'));
      const settings = readSettings(
        { databaseUrl: setting.databaseUrl('DATABASE_URL') },
        { DATABASE_URL_FILE: place('database-url') },
      );
      const database = makeDatabase(current(settings, 'databaseUrl'), { max: 2 });
      const ask = () => database.acrossSpaces('test').query<{ name: string; pid: number }>(whoAmI);
      try {
        const [before] = await ask();
        expect(before?.name).toBe(role);
        await owner.query(`alter role ${role} password 'second'`);
        await database.session('the open connection is taken', async (session) => {
          expect(await session.acrossSpaces('test').query(whoAmI)).toEqual([before]);
          await expect(ask()).rejects.toMatchObject({
            code: 'UNAVAILABLE',
            message: 'PostgreSQL refuses the login of DATABASE_URL',
          });
          write('database-url', url('second'));
          const [after] = await ask();
          expect(after?.name).toBe(role);
          expect(after?.pid).not.toBe(before?.pid);
        });
      } finally {
        await database.close();
      }
    });
  });

  describe('of NATS', () => {
    let nats: FreshNats;
    const config = (password: string) =>
      write('nats.conf', `authorization { user: services, password: "${password}" }`);

    beforeAll(async () => {
      config('first');
      nats = await freshNats({ configFile: place('nats.conf') });
    });
    afterAll(() => nats.stop());

    it('is used for the next connection, however often the server refused the old one, and the services go on', async () => {
      const url = (password: string) => nats.url.replace('nats://', `nats://services:${password}@`);
      write('nats-url', url('first'));
      write('token', 'a'.repeat(40));
      const settings = readSettings(
        { natsUrl: setting.url('NATS_URL'), adminToken: setting.secret('ADMIN_TOKEN') },
        { NATS_URL_FILE: place('nats-url'), ADMIN_TOKEN_FILE: place('token') },
      );
      let disconnected = 0;
      const link = new NatsLink(settings, 'test', log);
      const server = new RpcServer('test', link, log, new Metrics('test'), current(settings, 'adminToken'));
      server.addHandler('admin.spaces.list', () => Promise.resolve({ head: { spaces: [] } }));
      const client = new RpcClient(link);
      const call = (adminToken: string) => client.request('admin.spaces.list', {} as never, { adminToken });
      try {
        const connection = await link.whenConnected();
        void (async () => {
          for await (const { type } of connection.status()) if (type === 'disconnect') disconnected++;
        })();
        server.listen(() => undefined);
        await waitFor('the operation', () => call('a'.repeat(40)).then(Boolean, () => false));

        config('second');
        process.kill(nats.pid, 'SIGHUP');
        // More refusals than the library would take before it gives up for good.
        await waitFor('refusals', () => disconnected >= 4);
        expect(link.connected).toBe(false);
        write('nats-url', url('second'));
        await waitFor('the connection to be back', () => link.connected);
        await waitFor('the operation', () => call('a'.repeat(40)).then(Boolean, () => false));

        write('token', 'b'.repeat(40));
        await expect(call('a'.repeat(40))).rejects.toMatchObject({ code: 'UNAUTHORIZED' });
        expect(await call('b'.repeat(40))).toMatchObject({ head: { spaces: [] } });
      } finally {
        await link.close();
      }
    });
  });
});
