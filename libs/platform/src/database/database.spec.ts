import type { MigrationInterface, QueryRunner } from 'typeorm';
import { freshDatabase, type FreshDatabase } from '@keyturn/testing';
import { Log } from '../logs';
import { makeDatabase, runMigrations, spaceId, spaceNumber, statement, type Database } from '.';

const log = Log.create('test', 'silent');

class Things1700000000001 implements MigrationInterface {
  static ran = 0;

  async up(runner: QueryRunner): Promise<void> {
    Things1700000000001.ran++;
    await runner.query(`create table shop.thing (space_id bigint, id bigint, name text, tags text[], at timestamptz,
      price double precision, primary key (space_id, id))`);
  }

  async down(): Promise<void> {
    throw new Error('migrations go forward only');
  }
}

const insert = statement(
  'thing-insert',
  'insert into shop.thing (space_id, id, name, tags, at, price) values ($1, $2, $3, $4, $5, $6)',
);
const select = statement(
  'thing-select',
  'select id, name, tags, at, price from shop.thing where space_id = $1 order by id',
);

describe('the database', () => {
  let fresh: FreshDatabase;
  let database: Database;
  const migrate = () => runMigrations({ url: fresh.url, schema: 'shop', migrations: [Things1700000000001], log });

  beforeAll(async () => {
    fresh = await freshDatabase();
    await Promise.all([migrate(), migrate()]);
    database = makeDatabase(fresh.url, { statementTimeoutMs: 500 });
  });

  afterAll(async () => {
    await database.close();
    await fresh.drop();
  });

  it('is migrated once when two begin together, and not again later', async () => {
    await migrate();
    expect(Things1700000000001.ran).toBe(1);
  });

  it('T-029 binds the Space of every statement by itself', async () => {
    await database
      .inSpace('spc_1')
      .query(insert, ['9007199254740993', 'é', ['a,b', 'c"d', '', 'e\\f'], new Date(5), 0.1]);
    await database.inSpace('spc_2').query(insert, ['1', 'other', [], null, null]);
    expect(await database.inSpace('spc_1').query(select)).toEqual([
      { id: '9007199254740993', name: 'é', tags: ['a,b', 'c"d', '', 'e\\f'], at: new Date(5), price: 0.1 },
    ]);
    expect(await database.inSpace('spc_2').query(select)).toHaveLength(1);
  });

  it('refuses a statement that does not name its Space', () => {
    const all = statement('thing-all', 'select * from shop.thing');
    expect(() => database.inSpace('spc_1').query(all)).toThrow('not scoped');
    expect(() => database.inSpace('1 or true')).toThrow('not the id of a Space');
  });

  it('commits what returns and rolls back what throws', async () => {
    const add = (id: string, fail: boolean) =>
      database.transaction('test', async (tx) => {
        await tx.inSpace('spc_3').query(insert, [id, 'x', null, null, null]);
        if (fail) throw new Error('on purpose');
      });
    await add('1', false);
    await expect(add('2', true)).rejects.toThrow('on purpose');
    expect(await database.inSpace('spc_3').query(select)).toHaveLength(1);
  });

  it('says unavailable when a statement takes too long', async () => {
    const slow = statement('slow', 'select pg_sleep(5)');
    await expect(database.acrossSpaces('test').query(slow)).rejects.toMatchObject({ code: 'UNAVAILABLE' });
  });

  it('says unavailable when a connection is cut, tells the session, and goes on with a new one', async () => {
    const pid = statement('pid', 'select pg_backend_pid() as pid');
    const cut = statement('cut', 'select pg_terminate_backend($1)');
    await database.session('test', async (session) => {
      const [row] = await session.acrossSpaces('test').query<{ pid: number }>(pid);
      await database.acrossSpaces('test').query(cut, [row?.pid]);
      await session.lost;
      await expect(session.acrossSpaces('test').query(pid)).rejects.toMatchObject({ code: 'UNAVAILABLE' });
    });
    await expect(database.ping()).resolves.toBeUndefined();
  });

  it('says unavailable where no server listens', async () => {
    const nowhere = makeDatabase('postgres://x:y@127.0.0.1:1/z');
    await expect(nowhere.ping()).rejects.toMatchObject({ code: 'UNAVAILABLE' });
    await nowhere.close();
  });
});

describe('the id of a Space', () => {
  it('is its number with a prefix', () => {
    expect(spaceNumber('spc_12')).toBe('12');
    expect(spaceId('12')).toBe('spc_12');
    for (const wrong of ['12', 'spc_', 'spc_0', 'spc_1x', 'spc_-1', 'spc_1\n'])
      expect(() => spaceNumber(wrong)).toThrow();
  });
});
