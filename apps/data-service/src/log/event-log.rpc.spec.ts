import type { RequestOf } from '@keyturn/contracts';
import { makeDatabase, runMigrations, statement, type Database } from '@keyturn/platform/database';
import { Log } from '@keyturn/platform/logs';
import { freshDatabase, type FreshDatabase } from '@keyturn/testing';
import { migrations } from '../migrations';
import { EventLogRpc, lookInto } from './event-log.rpc';

let fresh: FreshDatabase;
let database: Database;
let rpc: EventLogRpc;

beforeAll(async () => {
  fresh = await freshDatabase({
    name: 'data',
    migrate: (url) => runMigrations({ url, schema: 'data', migrations, log: Log.create('test', 'silent') }),
  });
  database = makeDatabase(fresh.url);
  rpc = new EventLogRpc(database);
  const db = database.acrossSpaces('a test fills the log');
  await db.query(
    statement('test.spaces', 'insert into data.space (space_id, status, sequence) values ($1, $2, 5), (2, $2, 1)'),
    [1, 'active'],
  );
  // The sixth is committed, but the position that a reader has seen is before it.
  await db.query(
    statement(
      'test.log',
      `insert into data.event_log (id, committed_at, space_id, sequence, event_id, event, resource, record_id, time, changed, payload)
       select n, now() - (10 - n) * interval '1 minute', case when n = 7 then 2 else 1 end, case when n = 7 then 1 else n end,
              'evt_' || n, case when n % 2 = 0 then 'note.created' else 'file.updated' end, 'file', 100 + n, now(), '{name}',
              '{"n":"ü' || n || '"}'
       from generate_series(1, 7) n`,
    ),
  );
});

afterAll(async () => {
  await database.close();
  await fresh.drop();
});

async function read(change: Partial<RequestOf<'data.events'>> = {}) {
  const request = {
    spaceId: 'spc_1',
    after: 0,
    since: null,
    until: null,
    events: null,
    limit: 10,
    payloads: true,
    ...change,
  };
  const { head, body } = await rpc.events({ request, body: new Uint8Array(0), deadline: performance.now() + 10_000 });
  return { ...head, ids: head.events.map(({ id }) => id), body: Buffer.from(body ?? []) };
}

describe('the log of a Space, for those who look back', () => {
  it('comes in order, with its payloads, up to the position and no further', async () => {
    const { ids, events, body, last, more } = await read();
    expect(ids).toEqual(['evt_1', 'evt_2', 'evt_3', 'evt_4', 'evt_5']);
    expect([last, more]).toEqual([5, false]);
    let at = 0;
    const payloads = events.map(({ bytes }) => body.subarray(at, (at += bytes)).toString());
    expect(payloads).toEqual([1, 2, 3, 4, 5].map((n) => `{"n":"ü${n}"}`));
    expect(events[0]).toMatchObject({ sequence: 1, event: 'file.updated', recordId: 101, changed: ['name'] });
  });

  it('page by page', async () => {
    const first = await read({ limit: 2 });
    expect([first.ids, first.last, first.more]).toEqual([['evt_1', 'evt_2'], 2, true]);
    const rest = await read({ after: first.last, limit: 10 });
    expect(rest.ids).toEqual(['evt_3', 'evt_4', 'evt_5']);
    expect((await read({ after: 5 })).last).toBe(5);
  });

  it('by event and time, without payloads where nobody wants them', async () => {
    expect((await read({ events: ['note.created'] })).ids).toEqual(['evt_2', 'evt_4']);
    const minutes = (count: number) => new Date(Date.now() - count * 60_000 - 30_000).toISOString();
    const some = await read({ since: minutes(8), until: minutes(5), payloads: false });
    expect(some.ids).toEqual(['evt_2', 'evt_3', 'evt_4']);
    expect(some.body.length).toBe(0);
  });

  it('a look that finds little among much goes on where the one before it has ended', async () => {
    const db = database.acrossSpaces('a test fills the log');
    await db.query(
      statement('test.space', 'insert into data.space (space_id, status, sequence) values (4, $1, 90000)'),
      ['active'],
    );
    // What came before has been forgotten.
    await db.query(
      statement(
        'test.long_log',
        `insert into data.event_log (id, committed_at, space_id, sequence, event_id, event, resource, record_id, time, changed, payload)
         select 100 + n, now() - (90000 - n) * interval '1 ms', 4, n, 'evt_l' || n,
                case n when 85000 then 'note.deleted' else 'note.created' end, 'note', n, now(), '{}', '{}'
         from generate_series(65001, 90000) n`,
      ),
    );
    const wanted = { after: 0, since: null, until: null, events: ['note.deleted'], limit: 10, payloads: true };
    const look = async (after: number, forMs?: number) => {
      const found = await lookInto(database.inSpace('spc_4'), { ...wanted, after }, forMs);
      return [found?.rows.map(({ event_id: id }) => id), found?.last, found?.more];
    };
    expect(await look(0, 0)).toEqual([[], 75_000, true]);
    expect(await look(75_000, 0)).toEqual([['evt_l85000'], 85_000, true]);
    expect(await look(85_000, 0)).toEqual([[], 90_000, false]);
    expect(await look(0, 60_000)).toEqual([['evt_l85000'], 90_000, false]);
    const late = new Date(Date.now() - 2_000).toISOString();
    const since = await lookInto(database.inSpace('spc_4'), { ...wanted, since: late, events: null }, 0);
    expect(since?.rows).toHaveLength(10);
    expect(Number(since?.rows[0]?.sequence)).toBeGreaterThan(85_000);
    const none = { ...wanted, since: new Date(Date.now() + 60_000).toISOString() };
    expect(await lookInto(database.inSpace('spc_4'), none, 0)).toEqual({ rows: [], last: 90_000, more: false });
  });

  it('of this Space only', async () => {
    expect((await read({ spaceId: 'spc_2' })).ids).toEqual(['evt_7']);
    await expect(read({ spaceId: 'spc_3' })).rejects.toMatchObject({ code: 'NOT_FOUND' });
    await expect(read({ spaceId: 'x' })).rejects.toMatchObject({ code: 'VALIDATION_ERROR' });
  });
});
