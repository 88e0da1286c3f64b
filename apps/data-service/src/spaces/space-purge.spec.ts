import { Client } from 'pg';
import { Log } from '@keyturn/platform/logs';
import { rowsOfSpace, waitFor } from '@keyturn/testing';
import { WriteSide, WriteSideServers } from '../apply/write-side.fixture';
import { SpacePurge } from './space-purge';
import { SpacesRpc } from './spaces.rpc';

const day = 86_400_000;

describe('a Space that has ended', () => {
  let servers: WriteSideServers;
  let side: WriteSide;
  let sql: Client;

  beforeAll(async () => {
    servers = await WriteSideServers.start();
    side = await WriteSide.start({ databaseUrl: servers.database.url, natsUrl: servers.nats.url });
    sql = new Client({ connectionString: servers.database.url });
    await sql.connect();
  });
  afterAll(async () => {
    await sql?.end();
    await side?.stop();
    await servers?.stop();
  });

  const put = (spaceId: string, status: 'active' | 'suspended' | 'deleted') =>
    new SpacesRpc(side.database).put({ request: { spaceId, status }, body: new Uint8Array(0), deadline: 0 });
  const purge = (now = Date.now() + 8 * day, until = performance.now() + 20_000) =>
    new SpacePurge(side.database, side.link, Log.create('test', 'silent'), { spacePurgeAfterMs: 7 * day }).run(
      now,
      until,
    );
  /** The relay writes down where it is once a second. */
  const relayed = () =>
    waitFor('the position of the relay', async () => {
      const rows = await servers.rows(
        `select from data.position l, data.position r where l.name = 'log' and r.name = 'relay' and l.sequence = r.sequence`,
      );
      return rows.length > 0;
    });
  const rejected = async (space: number) =>
    (await servers.streamMessages('REJECTED')).filter(({ subject }) => subject === `rejected.spc_${space}`).length;

  let events = 0;
  async function fill(space: number): Promise<void> {
    const publish = (type: string, data: Record<string, unknown>) =>
      servers.publish({ id: `e-${++events}`, type, space, data });
    await put(`spc_${space}`, 'active');
    for (const resource of ['file', 'contact', 'user', 'task', 'calendar_item', 'contingency', 'note'])
      await publish(`${resource}.created`, { id: 1 });
    await publish('note.deleted', { id: 1 });
    await publish('contact.created', { id: 2, isActive: 'perhaps' });
    await servers.settled();
  }

  const everything = [
    ...['calendar_item', 'contact', 'contingency', 'file', 'task', '"user"'].map((name) => `data.${name}`),
    ...['calendar_item', 'contact', 'contingency', 'file', 'task', 'user'].flatMap((name) => [
      `data.${name}_search`,
      `data.${name}_state`,
    ]),
    ...['counter', 'event_log', 'space', 'tombstone'].map((name) => `data.${name}`),
  ].sort();
  const tables = async (space: number) => Object.keys(await rowsOfSpace(sql, String(space))).sort();

  it('takes no events, and does not come back', async () => {
    await put('spc_1', 'active');
    await put('spc_1', 'deleted');
    await put('spc_1', 'deleted');
    for (const status of ['active', 'suspended'] as const)
      await expect(put('spc_1', status)).rejects.toMatchObject({ code: 'CONFLICT' });
    await servers.publish({ id: 'late', type: 'file.created', space: 1, data: { id: 1 } });
    await servers.settled();
    expect([await tables(1), await rejected(1)]).toEqual([['data.space'], 1]);
  });

  it('is kept for its time, then nothing of it is left in any table, and the others have everything', async () => {
    await fill(2);
    await fill(3);
    await relayed();
    await put('spc_2', 'deleted');
    const [before, others] = [await rowsOfSpace(sql, '2'), await rowsOfSpace(sql, '3')];
    expect(await tables(2)).toEqual(everything);
    expect(await rejected(2)).toBe(1);
    expect(await purge(Date.now() + 6 * day)).toEqual({ purgedSpaces: 0, purgedRows: 0, spacesLeftToPurge: 0 });
    expect(await rowsOfSpace(sql, '2')).toEqual(before);

    const { purgedSpaces, purgedRows, spacesLeftToPurge } = await purge();
    // The one of the test before has nothing but itself.
    expect([purgedSpaces, spacesLeftToPurge]).toEqual([2, 0]);
    expect(purgedRows).toBe(Object.values(before).reduce((sum, count) => sum + count, -1));
    expect(await rowsOfSpace(sql, '2')).toEqual({});
    expect(await rejected(2)).toBe(0);
    expect(await rowsOfSpace(sql, '3')).toEqual(others);
    expect(await rejected(3)).toBe(1);
    expect(await purge()).toEqual({ purgedSpaces: 0, purgedRows: 0, spacesLeftToPurge: 0 });

    await servers.publish({ id: 'after', type: 'file.created', space: 2, data: { id: 1 } });
    await servers.publish({ id: 'other', type: 'file.updated', space: 3, data: { id: 1, name: 'Another' } });
    await servers.settled();
    expect(await rowsOfSpace(sql, '2')).toEqual({});
    expect((await servers.events()).at(-1)).toMatchObject({ spaceId: 'spc_3', event: 'file.updated' });
  });

  it('goes in batches, on from where a run broke off, and in the hands of one run at a time', async () => {
    await fill(4);
    await relayed();
    await sql.query(
      `insert into data.tombstone (space_id, resource, record_id, event_time)
       select 4, 'note', n, now() from generate_series(100, 2600) n`,
    );
    await put('spc_4', 'deleted');
    const before = await rowsOfSpace(sql, '4');
    expect(await purge(undefined, performance.now())).toEqual({ purgedSpaces: 0, purgedRows: 0, spacesLeftToPurge: 1 });

    await sql.query('begin');
    await sql.query('select from data.space where space_id = 4 for update');
    expect(await purge()).toEqual({ purgedSpaces: 0, purgedRows: 0, spacesLeftToPurge: 1 });
    await sql.query('rollback');

    // Somebody is still at work on one of its rows: the run leaves it, after a moment, and has done what comes before it.
    await sql.query('begin');
    await sql.query('select from data.tombstone where space_id = 4 for update');
    expect(await purge()).toMatchObject({ purgedSpaces: 0, spacesLeftToPurge: 1 });
    await sql.query('rollback');
    expect(await tables(4)).toEqual(['data.counter', 'data.event_log', 'data.space', 'data.tombstone']);
    expect((await rowsOfSpace(sql, '4'))['data.tombstone']).toBe(before['data.tombstone']);

    const runs = await Promise.all([purge(), purge()]);
    expect(runs.reduce((sum, { purgedSpaces }) => sum + (purgedSpaces ?? 0), 0)).toBeLessThanOrEqual(1);
    await purge();
    expect(await rowsOfSpace(sql, '4')).toEqual({});
  });

  it('stays until its log is relayed', async () => {
    await fill(5);
    await put('spc_5', 'deleted');
    await relayed();
    await side.applier.stop();
    await sql.query(`update data.position set sequence = sequence - 1 where name = 'relay'`);
    expect(await purge()).toMatchObject({ purgedSpaces: 0, spacesLeftToPurge: 1 });
    expect(await rowsOfSpace(sql, '5')).toEqual({ 'data.event_log': 1, 'data.space': 1 });
    await sql.query(`update data.position set sequence = sequence + 1 where name = 'relay'`);
    expect(await purge()).toMatchObject({ purgedSpaces: 1, spacesLeftToPurge: 0 });
    expect(await rowsOfSpace(sql, '5')).toEqual({});
  });
});
