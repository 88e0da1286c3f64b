import { Client } from 'pg';
import { runMigrations, type Database } from '@keyturn/platform/database';
import { Log } from '@keyturn/platform/logs';
import { Metrics } from '@keyturn/platform/metrics';
import {
  freshDatabase,
  listQuery,
  OwnPostgres,
  waitFor,
  type FreshDatabase,
  type PostgresServer,
} from '@keyturn/testing';
import { migrations } from '../migrations';
import type { DataSettings } from '../settings';
import { ReadPools } from './read-pools';
import { ReadReplica } from './read-replica';
import { SpaceReader } from './space-reader';
import { SpaceSequences } from './space-sequences';

const log = Log.create('test', 'silent');
const firstPage = listQuery();

const urlOf = (server: PostgresServer, databaseUrl: string) => {
  const url = new URL(databaseUrl);
  url.port = String(server.port);
  return url.href;
};

/** A primary and a streaming replica whose replay the test holds. */
describe('reads from a replica', () => {
  let postgres: OwnPostgres;
  let standby: PostgresServer;
  let database: FreshDatabase;
  let primary: Client;
  let replica: Client;
  const open: { close(): Promise<void> }[] = [];

  beforeAll(async () => {
    postgres = await OwnPostgres.start();
    database = await freshDatabase();
    await runMigrations({ url: database.url, schema: 'data', migrations, log });
    standby = await postgres.replicate();
    primary = new Client({ connectionString: database.url });
    replica = new Client({ connectionString: urlOf(standby, database.url) });
    // The test ends the replica under it.
    replica.on('error', () => undefined);
    await Promise.all([primary.connect(), replica.connect()]);
  }, 60_000);

  afterEach(async () => {
    await Promise.all(open.splice(0).map((one) => one.close()));
  });

  afterAll(async () => {
    await primary?.end();
    await replica?.end().catch(() => undefined);
    await postgres?.stop();
  });

  async function reading(databaseReadUrl = urlOf(standby, database.url)) {
    const settings = {
      databaseUrl: database.url,
      databaseReadUrl,
      readConnections: 2,
      scanConnections: 2,
    } as DataSettings;
    const metrics = new Metrics('data-service');
    const pools = new ReadPools(settings);
    const source = new ReadReplica(settings, pools, log, metrics);
    source.onModuleInit();
    open.push({ close: () => source.onModuleDestroy().then(() => pools.onModuleDestroy()) });
    const figure = async (name: string) => {
      const text = await metrics.registry.metrics();
      return Number(new RegExp(`^${name.replaceAll(/[{}"]/g, '\\$&')} (.*)$`, 'm').exec(text)?.[1] ?? 0);
    };
    const count = (outcome: string) => figure(`data_replica_reads_total{outcome="${outcome}",service="data-service"}`);
    const usable = () => figure('data_replica_usable{service="data-service"}');
    return { reader: new SpaceReader(pools, source), pools, count, usable };
  }

  /** As the applier does it: the record and its Space's sequence in one transaction. */
  async function change(space: number, name: string, id = 1): Promise<void> {
    await primary.query('begin');
    await primary.query(
      `insert into data.space (space_id, status, sequence) values ($1, 'active', 1)
       on conflict (space_id) do update set sequence = data.space.sequence + 1`,
      [space],
    );
    await primary.query(
      `insert into data.note_state (space_id, id, event_time, json) values ($1, $2, now(), $3)
       on conflict (space_id, id) do update set json = excluded.json`,
      [space, id, JSON.stringify({ id, name })],
    );
    await primary.query(
      `insert into data.note (space_id, id, created_at, updated_at) values ($1, $2, now(), now())
       on conflict do nothing`,
      [space, id],
    );
    await primary.query('commit');
  }

  const replayed = () =>
    waitFor('the replica to be where the primary is', async () => {
      const { rows } = await primary.query<{ lsn: string }>(`select pg_current_wal_insert_lsn() as lsn`);
      const { rows: there } = await replica.query<{ done: boolean }>(
        `select pg_last_wal_replay_lsn() >= $1::pg_lsn as done`,
        [rows[0]?.lsn],
      );
      return there[0]?.done === true;
    });
  const paused = async (work: () => Promise<void>) => {
    await replayed();
    await replica.query('select pg_wal_replay_pause()');
    await waitFor('replay to stand still', async () => {
      const { rows } = await replica.query<{ state: string }>('select pg_get_wal_replay_pause_state() as state');
      return rows[0]?.state === 'paused';
    });
    try {
      await work();
    } finally {
      await replica.query('select pg_wal_replay_resume()');
    }
  };
  const nameOf = (json: string) => (JSON.parse(json) as { name: string }).name;

  it('are its own where it has all of the Space: details, lists, and what is not there', async () => {
    await change(1, 'first');
    const { reader, count, usable } = await reading();
    await waitFor('the replica to be taken', async () => (await usable()) === 1);
    await waitFor('it to have what was written', async () => {
      await reader.detail('spc_1', 'notes', 1, null);
      return (await count('served')) > 0;
    });
    const before = await count('served');
    expect(nameOf(await reader.detail('spc_1', 'notes', 1, null))).toBe('first');
    const { rows } = await reader.list('spc_1', 'notes', firstPage);
    expect(nameOf(rows)).toBe('first');
    await expect(reader.detail('spc_1', 'notes', 2, null)).rejects.toMatchObject({ code: 'NOT_FOUND' });
    await expect(reader.detail('spc_77', 'notes', 1, null)).rejects.toMatchObject({ code: 'NOT_FOUND' });
    await expect(reader.lookup('spc_1', '4155550123', null)).rejects.toMatchObject({ code: 'NOT_FOUND' });
    expect((await count('served')) - before).toBe(5);
  });

  it('are the primary’s where the replica lacks a change of the Space, and of this Space only', async () => {
    await Promise.all([change(11, 'old').then(() => change(12, 'other'))]);
    const { reader, count, usable } = await reading();
    await waitFor('the replica to be taken', async () => (await usable()) === 1);
    await paused(async () => {
      await change(11, 'new');
      await change(11, 'made', 2);
      expect(nameOf(await reader.detail('spc_11', 'notes', 1, null))).toBe('new');
      expect(nameOf(await reader.detail('spc_11', 'notes', 2, null))).toBe('made');
      expect((await reader.list('spc_11', 'notes', firstPage)).head.count).toBe(2);
      expect(await count('behind')).toBe(3);
      expect(nameOf(await reader.detail('spc_12', 'notes', 1, null))).toBe('other');
      expect(await count('served')).toBe(1);
      // A Space that the replica has never heard of.
      await change(13, 'new Space');
      expect(nameOf(await reader.detail('spc_13', 'notes', 1, null))).toBe('new Space');
    });
  });

  it('do not ask a replica that is far behind, until it has caught up', async () => {
    const { count, usable, reader } = await reading();
    await waitFor('the replica to be taken', async () => (await usable()) === 1);
    await paused(async () => {
      await primary.query(`update data.position set sequence = sequence + 1 where name = 'log'`);
      await waitFor('the replica to be left', async () => (await usable()) === 0);
      await change(21, 'meanwhile');
      expect(nameOf(await reader.detail('spc_21', 'notes', 1, null))).toBe('meanwhile');
      expect(await count('unused')).toBe(1);
    });
    await waitFor('the replica to be taken again', async () => (await usable()) === 1);
  });

  it('never come from a server that is another cluster', async () => {
    const other = await OwnPostgres.start();
    try {
      const elsewhere = await freshDatabase();
      await runMigrations({ url: elsewhere.url, schema: 'data', migrations, log });
      await change(31, 'ours');
      const { reader, count, usable } = await reading(elsewhere.url);
      for (let i = 0; i < 5; i++) expect(nameOf(await reader.detail('spc_31', 'notes', 1, null))).toBe('ours');
      expect([await count('unused'), await usable()]).toEqual([5, 0]);
    } finally {
      await other.stop();
    }
  });

  it('ask the primary once for all that ask at a time', async () => {
    const { pools } = await reading();
    await change(41, 'one');
    await change(42, 'two');
    await change(42, 'three');
    let asked = 0;
    const counting = { acrossSpaces: (reason: string) => (asked++, pools.of('walk').acrossSpaces(reason)) } as Database;
    const sequences = new SpaceSequences(counting);
    const first = sequences.of('spc_41');
    await Promise.resolve();
    const others = Array.from({ length: 100 }, (_, i) => sequences.of(i % 2 ? 'spc_41' : 'spc_42'));
    expect(await first).toBe(1);
    expect(new Set(await Promise.all(others))).toEqual(new Set([1, 2]));
    expect(asked).toBe(2);
    expect(await sequences.of('spc_9999')).toBe(-1);
  });

  it('go to the primary at once when the replica dies', async () => {
    await change(51, 'safe');
    const { reader, count, usable } = await reading();
    await waitFor('the replica to be taken', async () => (await usable()) === 1);
    await standby.stopAtOnce();
    for (let i = 0; i < 10; i++) expect(nameOf(await reader.detail('spc_51', 'notes', 1, null))).toBe('safe');
    expect(await count('unused')).toBeGreaterThanOrEqual(9);
    expect(await usable()).toBe(0);
  });
});
