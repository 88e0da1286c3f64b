import { Client } from 'pg';
import { makeDatabase, runMigrations, type Database } from '@keyturn/platform/database';
import { Log } from '@keyturn/platform/logs';
import { freshDatabase, waitFor, type FreshDatabase } from '@keyturn/testing';
import { migrations } from '../migrations';
import { SpacePurge } from '../spaces/space-purge';
import { RetentionRpc } from './retention.rpc';

let fresh: FreshDatabase;
let database: Database;
let client: Client;
let spaces: SpacePurge;

beforeAll(async () => {
  const migrate = (url: string) =>
    runMigrations({ url, schema: 'data', migrations, log: Log.create('test', 'silent') });
  fresh = await freshDatabase({ name: 'data', migrate });
  database = makeDatabase(fresh.url);
  // No Space has ended here, so nobody asks NATS.
  spaces = new SpacePurge(database, undefined as never, Log.create('test', 'silent'), { spacePurgeAfterMs: 0 });
  // Where the server's own time zone is another one, days still end in UTC.
  client = new Client({ connectionString: fresh.url, options: '-c timezone=Asia/Kathmandu' });
  await client.connect();
});

afterAll(async () => {
  await client.end();
  await database.close();
  await fresh.drop();
});

const partitions = async (table: string) => {
  const { rows } = await client.query<{ name: string }>(
    'select inhrelid::regclass::text as name from pg_inherits where inhparent = $1::regclass order by 1',
    [`data.${table}`],
  );
  return rows.map(({ name }) => name.replace(/^.*_/, ''));
};

const run = (now?: string) =>
  new RetentionRpc(database, spaces).run({
    request: now === undefined ? {} : { now },
    body: new Uint8Array(0),
    deadline: performance.now() + 5_000,
  });

it('partitions are there for yesterday, today and the week ahead, and making them again changes nothing', async () => {
  await client.query(`select data.ensure_partitions('2031-03-15')`);
  await client.query(`select data.ensure_partitions('2031-03-15')`);
  const log = (await partitions('event_log')).filter((day) => day.startsWith('2031'));
  expect(log).toHaveLength(9);
  expect(log[0]).toBe('20310314');
  expect(log.at(-1)).toBe('20310322');
  const seen = (await partitions('seen_event')).filter((day) => day.startsWith('2031'));
  expect(seen.length).toBeLessThanOrEqual(2);
});

it('forgets the log after 90 days and seen events after 30, whole partitions at a time', async () => {
  await client.query(`select data.ensure_partitions('2030-01-10')`);
  await client.query(
    `insert into data.event_log (id, committed_at, space_id, sequence, event_id, event, resource, record_id, time, changed, payload)
     select n, at, 1, n, 'evt_' || n, 'note.created', 'note', n, at, '{}', '{}'
     from (values (1, timestamptz '2030-01-09 00:00Z'), (2, timestamptz '2030-01-09 23:59:59.999Z'),
                  (3, timestamptz '2030-01-10 00:00Z')) as v (n, at)`,
  );
  await client.query(`insert into data.seen_event values (gen_random_uuid(), '2030-01-10')`);

  const reply = await run('2030-04-10T00:00:00.000Z');
  const { rows } = await client.query(`select id from data.event_log where committed_at < '2031-01-01' order by id`);
  // 90 days before begins the tenth.
  expect(rows).toEqual([{ id: '3' }]);
  expect(reply.head['eventLogPartitions']).toBeGreaterThanOrEqual(1);
  expect(reply.head['seenEventPartitions']).toBeGreaterThanOrEqual(1);
  const seen = await client.query(`select 1 from data.seen_event where seen_on < '2030-03-01'`);
  expect(seen.rowCount).toBe(0);

  expect((await run('2030-04-10T00:00:00.000Z')).head).toMatchObject({ eventLogPartitions: 0, seenEventPartitions: 0 });
});

it('a day that somebody is reading is dropped when they have finished, and nobody waits long for that', async () => {
  await client.query(`select data.ensure_partitions('2029-05-10')`);
  const before = await partitions('event_log');
  const reader = new Client({ connectionString: fresh.url });
  await reader.connect();
  try {
    await reader.query('begin');
    await reader.query('select count(*) from data.event_log');
    const dropping = run('2029-12-01T00:00:00.000Z');
    const waits = async () =>
      (
        await client.query(
          `select from pg_stat_activity where wait_event_type = 'Lock' and query like '%drop_partitions%'`,
        )
      ).rowCount;
    await waitFor('it to wait for the lock', async () => (await waits()) === 1);
    // Stands behind it for as long as one of its tries lasts, and no longer.
    await client.query('select count(*) from data.event_log');
    expect(await partitions('event_log')).toEqual(before);
    await reader.query('rollback');
    expect((await dropping).head['eventLogPartitions']).toBeGreaterThanOrEqual(9);
  } finally {
    await reader.end();
  }
});

it('keeps what is younger, and what is to come', async () => {
  const before = await partitions('event_log');
  expect((await run()).head['eventLogPartitions']).toBe(0);
  expect(await partitions('event_log')).toEqual(before);
});

it('a moment that is none is refused', async () => {
  await expect(run('yesterday')).rejects.toMatchObject({ code: 'VALIDATION_ERROR' });
});
