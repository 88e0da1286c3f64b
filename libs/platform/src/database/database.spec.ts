import type { QueryRunner } from 'typeorm';
import { freshDatabase, waitFor, type FreshDatabase } from '@keyturn/testing';
import { Log } from '../logs';
import {
  makeDatabase,
  missingMigrations,
  poolUsage,
  runMigrations,
  spaceId,
  spaceNumber,
  statement,
  type Database,
  type Migration,
  type Session,
} from '.';

const log = Log.create('test', 'silent');

class Things1700000000001 implements Migration {
  static ran = 0;
  readonly safeForRunningVersion = true;

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

  it('shows every open pool by its name: connections in use, idle, and who waits for one', async () => {
    const of = (name: string) => makeDatabase(fresh.url, { max: 1, applicationName: name });
    const [one, other] = [of('pool one'), of('pool other')];
    let waiting: Promise<void> | undefined;
    await one.session('a test holds a connection', async () => {
      waiting = one.ping();
      await waitFor('the next to wait', () => one.usage.waiting === 1);
      expect(poolUsage().get('pool one')).toEqual({ busy: 1, idle: 0, waiting: 1 });
      expect(poolUsage().get('pool other')).toEqual({ busy: 0, idle: 0, waiting: 0 });
    });
    await waiting;
    expect(poolUsage().get('pool one')).toEqual({ busy: 0, idle: 1, waiting: 0 });
    await Promise.all([one.close(), other.close()]);
    expect([...poolUsage().keys()].filter((name) => name.startsWith('pool '))).toEqual([]);
  });

  describe('with somebody who waits so long and no longer', () => {
    /** Never cancelled by its own time limit: what ends here ends because nobody waits. */
    let patient: Database;
    const name = 'patient test';

    beforeEach(() => {
      patient = makeDatabase(fresh.url, { max: 1, applicationName: name, statementTimeoutMs: 600_000 });
    });
    afterEach(() => patient.close());

    const sleep = statement(
      'sleep',
      'select pg_sleep($2::float8) from (select $1::bigint as space_id) s where s.space_id = $1',
    );
    const running = async () => {
      const active = statement(
        'running',
        `select query from pg_stat_activity where application_name = $1 and state = 'active'`,
      );
      return database.acrossSpaces('test').query(active, [name]);
    };

    it('stops a statement in Postgres when the time is over, and goes on with a new connection', async () => {
      const started = performance.now();
      const asked = patient.inSpace('spc_1', performance.now() + 400).query(sleep, [600]);
      const failed = expect(asked).rejects.toMatchObject({ code: 'UNAVAILABLE' });
      await waitFor('the statement to run', async () => (await running()).length === 1);
      await failed;
      expect(performance.now() - started).toBeGreaterThan(390);
      await waitFor('Postgres to have stopped it', async () => (await running()).length === 0);
      expect(await patient.inSpace('spc_1', performance.now() + 10_000).query(sleep, [0])).toHaveLength(1);
    });

    it('does not begin a statement after it', async () => {
      const first = patient.inSpace('spc_1').query(sleep, [0.5]);
      const late = patient.inSpace('spc_4', performance.now() + 100).query(insert, ['1', 'x', null, null, null]);
      await expect(late).rejects.toMatchObject({ code: 'UNAVAILABLE' });
      await first;
      expect(await patient.inSpace('spc_4').query(select)).toEqual([]);
    });

    it('passes on what is wrong with a statement', async () => {
      const wrong = statement('wrong', 'select nothing from shop.thing where space_id = $1');
      await expect(patient.inSpace('spc_1', performance.now() + 10_000).query(wrong)).rejects.toMatchObject({
        code: '42703',
      });
    });
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

  describe('with a server that does not even cancel what takes too long', () => {
    const name = 'silent test';
    const sleep = statement('sleep-plainly', 'select pg_sleep($1::float8)');
    const pid = statement('pid', 'select pg_backend_pid() as pid');
    const active = statement(
      'active',
      `select from pg_stat_activity where application_name = $1 and query like '%pg_sleep%' and state = 'active'`,
    );
    let silent: Database;

    beforeEach(() => {
      silent = makeDatabase(fresh.url, { max: 1, applicationName: name, statementTimeoutMs: 600_000, giveUpMs: 300 });
    });
    afterEach(() => silent.close());

    it('gives up the statement, and the session with whatever else it is asked, and goes on with a new connection', async () => {
      let before: { pid: number } | undefined;
      await silent.session('test', async (session) => {
        const queries = session.acrossSpaces('test');
        [before] = await queries.query<{ pid: number }>(pid);
        await expect(queries.query(sleep, [600])).rejects.toMatchObject({ code: 'UNAVAILABLE' });
        await session.lost;
        const asked = performance.now();
        await expect(queries.query(pid)).rejects.toMatchObject({ code: 'UNAVAILABLE' });
        await expect(session.transaction(async () => 'done')).rejects.toMatchObject({ code: 'UNAVAILABLE' });
        expect(performance.now() - asked).toBeLessThan(300);
      });
      const [after] = await silent.acrossSpaces('test').query<{ pid: number }>(pid);
      expect(after?.pid).not.toBe(before?.pid);
    });

    it('has more patience in the transactions of a session that asks for it', async () => {
      const long = (session: Pick<Session, 'acrossSpaces'>) => session.acrossSpaces('test').query(sleep, [0.6]);
      const work = silent.session('test', (session) => session.transaction(long), { giveUpInTransactionMs: 10_000 });
      await expect(work).resolves.toHaveLength(1);
      await expect(silent.transaction('test', long)).rejects.toMatchObject({ code: 'UNAVAILABLE' });
    });

    it('closes without waiting for it', async () => {
      const patient = makeDatabase(fresh.url, { max: 1, applicationName: name, statementTimeoutMs: 600_000 });
      const asked = patient.acrossSpaces('test').query(sleep, [600]);
      const failed = expect(asked).rejects.toBeDefined();
      const running = () => database.acrossSpaces('test').query(active, [name]);
      const cancel = statement(
        'cancel',
        `select pg_terminate_backend(pid) from pg_stat_activity where application_name = $1`,
      );
      await waitFor('the statement to run', async () => (await running()).length === 1);
      const started = performance.now();
      await patient.close();
      expect(performance.now() - started).toBeLessThan(5_000);
      await database.acrossSpaces('test').query(cancel, [name]);
      await failed;
    });
  });

  it('says unavailable where no server listens', async () => {
    const nowhere = makeDatabase('postgres://x:y@127.0.0.1:1/z');
    await expect(nowhere.ping()).rejects.toMatchObject({ code: 'UNAVAILABLE' });
    await nowhere.close();
  });
});

describe('migrations', () => {
  let fresh: FreshDatabase;
  let database: Database;

  class First1700000000001 implements Migration {
    readonly safeForRunningVersion = true;
    up = (runner: QueryRunner) => runner.query('create table shop.thing (id int)');
    down = () => Promise.reject(new Error('migrations go forward only'));
  }
  class Adds1700000000002 implements Migration {
    readonly safeForRunningVersion = true;
    up = (runner: QueryRunner) => runner.query('alter table shop.thing add column name text');
    down = () => Promise.reject(new Error('migrations go forward only'));
  }
  class Removes1700000000003 implements Migration {
    readonly safeForRunningVersion = false;
    up = (runner: QueryRunner) => runner.query('alter table shop.thing drop column id');
    down = () => Promise.reject(new Error('migrations go forward only'));
  }
  const all = [First1700000000001, Adds1700000000002, Removes1700000000003];
  const migrate = (migrations: typeof all, more: { stopped?: boolean; log?: Log } = {}) =>
    runMigrations({ url: fresh.url, schema: 'shop', migrations, log, ...more });
  const missing = (migrations: typeof all) => missingMigrations(database, { name: 'shop', migrations });
  const names = (migrations: typeof all) => migrations.map(({ name }) => name);

  beforeEach(async () => {
    fresh = await freshDatabase();
    database = makeDatabase(fresh.url);
  });

  afterEach(async () => {
    await database.close();
    await fresh.drop();
  });

  it('that a running version would not survive are refused, by name and as a whole, until nothing runs', async () => {
    await migrate(all.slice(0, 1));
    await expect(migrate(all)).rejects.toThrow('Removes1700000000003 would break the version that runs now');
    expect(await missing(all)).toEqual(names(all.slice(1)));
    await migrate(all, { stopped: true });
    expect(await missing(all)).toEqual([]);
  });

  it('of an empty schema all run: there is no older version', async () => {
    await migrate(all);
    expect(await missing(all)).toEqual([]);
  });

  it('say beforehand whether the running version survives them', async () => {
    const said: unknown[] = [];
    const listening = { ...log, info: (fields: object) => said.push(fields), warn: () => undefined } as unknown as Log;
    await migrate(all, { log: listening });
    expect(said.slice(0, 3)).toEqual(
      all.map((migration) => ({
        schema: 'shop',
        migration: migration.name,
        safeForRunningVersion: new migration().safeForRunningVersion,
      })),
    );
  });

  it('do not stand in a queue for a lock, where everybody else would stand behind them', async () => {
    await migrate(all.slice(0, 1));
    const one = statement('one', 'select 1 from shop.thing');
    const lock = statement('lock', 'lock table shop.thing in share mode');
    let waiting: Promise<void> | undefined;
    await database.transaction('a long report', async (tx) => {
      await tx.acrossSpaces('test').query(lock);
      let retried: () => void = () => undefined;
      const again = new Promise<void>((resolve) => (retried = resolve));
      const listening = { ...log, info: () => undefined, warn: () => retried() } as unknown as Log;
      waiting = migrate(all.slice(0, 2), { log: listening });
      await again;
      await database.acrossSpaces('test').query(one);
    });
    await waiting;
    expect(await missing(all)).toEqual(names(all.slice(2)));
  });

  it('are missing where there is no schema, and unknown where no server listens', async () => {
    expect(await missing(all)).toEqual(names(all));
    const nowhere = makeDatabase('postgres://x:y@127.0.0.1:1/z');
    expect(await missingMigrations(nowhere, { name: 'shop', migrations: all })).toBe('unknown');
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
