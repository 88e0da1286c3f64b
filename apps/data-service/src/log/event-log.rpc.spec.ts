import type { RequestOf } from '@keyturn/contracts';
import { makeDatabase, runMigrations, statement, type Database } from '@keyturn/platform/database';
import { Log } from '@keyturn/platform/logs';
import { freshDatabase, type FreshDatabase } from '@keyturn/testing';
import { migrations } from '../migrations';
import { EventLogRpc } from './event-log.rpc';

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
  const { head, body } = await rpc.events({ request, body: new Uint8Array(0), deadline: Date.now() + 10_000 });
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

  it('of this Space only', async () => {
    expect((await read({ spaceId: 'spc_2' })).ids).toEqual(['evt_7']);
    await expect(read({ spaceId: 'spc_3' })).rejects.toMatchObject({ code: 'NOT_FOUND' });
    await expect(read({ spaceId: 'x' })).rejects.toMatchObject({ code: 'VALIDATION_ERROR' });
  });
});
