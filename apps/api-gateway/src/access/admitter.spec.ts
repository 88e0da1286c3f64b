import { makeDatabase, spaceNumber, statement, type Database } from '@keyturn/platform/database';
import { freshDatabase, type FreshDatabase } from '@keyturn/testing';
import { accessTemplate } from '../gateway-fixture';
import { Admitter, type Admission } from './admitter';

const reason = 'test';
const insertSpace = statement(
  'test.space',
  `insert into access.space (slug, name, owner_email, ready_at) values ($1, $1, 'a@b.example', now()) returning id`,
);
const insertKey = statement(
  'test.key',
  `with key as (
     insert into access.api_key (space_id, name, prefix, sha256, scopes, rate_limit, created_by, expires_at)
     values ($1, 'test', 'tc_live_test', decode($2, 'hex'), '{read,webhooks:write}', $3, 'admin', $4) returning id
   ), state as (insert into access.key_state (key_id) select id from key)
   select id from key`,
);
const admitAt = statement(
  'test.admit_at',
  `select granted, remaining, reset_ms from access.admit(decode($1, 'hex'), $2, null, $3)`,
);
const revoke = statement(
  'test.revoke',
  `update access.api_key set revoked_at = now() where sha256 = decode($1, 'hex')`,
);
const suspend = statement('test.suspend', `update access.space set status = $2 where id = $1`);
const permitRows = statement('test.permits', `select count(*) as rows from access.permit`);
const lastUsed = statement(
  'test.last_used',
  `select last_used_at from access.key_state s join access.api_key k on k.id = s.key_id where k.sha256 = decode($1, 'hex')`,
);

jest.setTimeout(30_000);

describe('admission', () => {
  let fresh: FreshDatabase;
  let replicas: Database[];
  let admitters: Admitter[];
  let spaceId: string;
  let made = 0;

  const queries = () => (replicas[0] as Database).acrossSpaces(reason);
  const newKey = async (rateLimit = 60, expiresAt: Date | null = null): Promise<string> => {
    const sha256 = (++made).toString(16).padStart(64, '0');
    await queries().query(insertKey, [spaceNumber(spaceId), sha256, rateLimit, expiresAt]);
    return sha256;
  };
  const newSpace = async (slug: string) => {
    const [row] = await queries().query<{ id: string }>(insertSpace, [slug]);
    return `spc_${row?.id}`;
  };
  const admit = (sha256: string, replica = 0, label?: string) => (admitters[replica] as Admitter).admit(sha256, label);
  const at = async (sha256: string, wanted: number, moment: number) => {
    const [row] = await queries().query<{ granted: number; remaining: number; reset_ms: number }>(admitAt, [
      sha256,
      wanted,
      new Date(moment),
    ]);
    return row as { granted: number; remaining: number; reset_ms: number };
  };

  beforeAll(async () => {
    fresh = await freshDatabase(accessTemplate);
    replicas = [0, 1].map(() => makeDatabase(fresh.url, { max: 4, sessionSettings: { synchronous_commit: 'off' } }));
    admitters = replicas.map((database) => new Admitter(database));
    spaceId = await newSpace('acme');
  });

  afterAll(async () => {
    await Promise.all(replicas.map((database) => database.close()));
    await fresh.drop();
  });

  it('T-040 lets exactly 60 of 200 concurrent requests pass, over two replicas', async () => {
    const key = await newKey();
    const answers = await Promise.all(Array.from({ length: 200 }, (_, i) => admit(key, i % 2)));
    expect(answers.filter((answer) => answer?.granted)).toHaveLength(60);
    for (const answer of answers) expect(answer?.quota.limit).toBe(60);
  });

  it('T-042 counts 59, 58, … 0 in the order of arrival, each number once, never below 0', async () => {
    const key = await newKey();
    const answers = (await Promise.all(Array.from({ length: 80 }, () => admit(key)))) as Admission[];
    expect(answers.slice(0, 60).map(({ quota }) => quota.remaining)).toEqual(
      Array.from({ length: 60 }, (_, i) => 59 - i),
    );
    for (const { granted, quota } of answers.slice(60)) expect([granted, quota.remaining]).toEqual([false, 0]);
  });

  it('T-042 keeps two keys of one Space apart', async () => {
    const [one, two] = [await newKey(), await newKey()];
    await Promise.all(Array.from({ length: 60 }, () => admit(one)));
    expect((await admit(one))?.granted).toBe(false);
    expect((await admit(two))?.quota.remaining).toBe(59);
  });

  it('1,000 requests at once take a few statements, be it with one key or with 1,000 made-up ones', async () => {
    const key = await newKey(1_000_000);
    const counted = replicas[0] as Database;
    let statements = 0;
    const counting = {
      acrossSpaces: (why: string) => ({
        query: (...call: Parameters<ReturnType<Database['acrossSpaces']>['query']>) => {
          statements++;
          return counted.acrossSpaces(why).query(...call);
        },
      }),
    };
    const admitter = new Admitter(counting as Pick<Database, 'acrossSpaces'>);
    const answers = await Promise.all(Array.from({ length: 1_000 }, () => admitter.admit(key, undefined)));
    expect(answers.every((answer) => answer?.granted)).toBe(true);
    expect(statements).toBeLessThanOrEqual(4);

    const before = statements;
    const madeUp = Array.from({ length: 1_000 }, (_, i) => admitter.admit(`${i}`.padStart(64, 'e'), undefined));
    expect(await Promise.all(madeUp)).toEqual(Array.from({ length: 1_000 }, () => undefined));
    expect(statements - before).toBeLessThanOrEqual(3);
  });

  it('T-116 one key on hosts of many names takes one connection at a time, and leaves the others to its neighbours', async () => {
    const key = await newKey(1_000_000);
    const counted = replicas[0] as Database;
    const running = { now: 0, most: 0 };
    const counting = {
      acrossSpaces: (why: string) => ({
        query: (...call: Parameters<ReturnType<Database['acrossSpaces']>['query']>) => {
          running.most = Math.max(running.most, ++running.now);
          return counted
            .acrossSpaces(why)
            .query(...call)
            .finally(() => running.now--);
        },
      }),
    };
    const admitter = new Admitter(counting as Pick<Database, 'acrossSpaces'>);
    const answers = await Promise.all(Array.from({ length: 50 }, (_, i) => admitter.admit(key, `host-${i % 25}`)));
    expect(answers.every((answer) => answer?.granted)).toBe(true);
    expect(running.most).toBe(1);
  });

  describe('the window', () => {
    const start = Date.UTC(2030, 0, 1);

    it('T-040 never lets more than 60 pass in any 60 s, and 60 again after 60 s of silence', async () => {
      const key = await newKey();
      const passed: number[] = [];
      for (let step = 0, moment = start; step < 400; step++) {
        moment += 701;
        const { granted } = await at(key, 1 + (step % 3), moment);
        for (let i = 0; i < granted; i++) passed.push(moment);
      }
      expect(passed.length).toBeGreaterThan(240);
      for (const [index, moment] of passed.entries()) {
        const before = passed[index - 60];
        if (before !== undefined) expect(moment - before).toBeGreaterThanOrEqual(60_000);
      }
      const last = passed.at(-1) as number;
      expect(await at(key, 100, last + 60_000)).toMatchObject({ granted: 60, remaining: 0 });
    });

    it('T-043 refusals do not extend it', async () => {
      const key = await newKey();
      expect((await at(key, 60, start)).granted).toBe(60);
      for (let second = 1; second < 60; second++) expect((await at(key, 5, start + second * 1000)).granted).toBe(0);
      expect(await at(key, 100, start + 60_000)).toMatchObject({ granted: 60, remaining: 0 });
    });

    it('gives each permit back 60 s after it was taken, and T-044 says when', async () => {
      const key = await newKey();
      await at(key, 20, start);
      await at(key, 40, start + 30_000);
      expect(await at(key, 1, start + 45_000)).toMatchObject({ granted: 0, reset_ms: 15_000 });
      expect((await at(key, 30, start + 60_000)).granted).toBe(20);
      expect((await at(key, 50, start + 90_000)).granted).toBe(40);
    });

    it('above 1,000 a minute is never over in any 60 s, at most 0.1 s late, and takes few rows', async () => {
      const key = await newKey(6_000);
      const passed: [moment: number, granted: number][] = [];
      for (let step = 0, moment = start; step < 1_500; step++) {
        moment += 93;
        passed.push([moment, (await at(key, 25, moment)).granted]);
      }
      for (const [moment] of passed) {
        const inWindow = passed.filter(([other]) => other > moment - 60_000 && other <= moment);
        expect(inWindow.reduce((sum, [, granted]) => sum + granted, 0)).toBeLessThanOrEqual(6_000);
      }
      const last = passed.at(-1)?.[0] as number;
      expect((await at(key, 10_000, last + 60_100)).granted).toBe(6_000);
      const [{ rows } = { rows: '' }] = await queries().query<{ rows: string }>(permitRows);
      expect(Number(rows)).toBeLessThan(1_200);
    });

    it('never runs backwards, whatever the clock does', async () => {
      const key = await newKey(10);
      expect((await at(key, 6, start + 10_000)).granted).toBe(6);
      expect((await at(key, 6, start)).granted).toBe(4);
      expect((await at(key, 6, start + 60_000)).granted).toBe(0);
      expect((await at(key, 20, start + 70_000)).granted).toBe(10);
    });

    it('holds the highest limit', async () => {
      const key = await newKey(1_000_000);
      expect(await at(key, 1_000_001, start)).toMatchObject({ granted: 1_000_000, remaining: 0 });
    });
  });

  it('T-022 finds nothing for a key that is unknown', async () => {
    expect(await admit('f'.repeat(64))).toBeUndefined();
  });

  it('T-022 finds nothing for a key that has expired', async () => {
    expect(await admit(await newKey(60, new Date(Date.now() - 1)))).toBeUndefined();
    expect(await admit(await newKey(60, new Date(Date.now() + 60_000)))).toBeDefined();
  });

  it('T-028 refuses a revoked key on every replica from the next request on, under load', async () => {
    const key = await newKey(1_000_000);
    let running = true;
    let after: (Admission | undefined)[] = [];
    const load = [0, 1].map(async (replica) => {
      while (running) await Promise.all(Array.from({ length: 20 }, () => admit(key, replica)));
    });
    for (let i = 0; i < 20; i++) expect((await admit(key, i % 2))?.granted).toBe(true);
    await queries().query(revoke, [key]);
    after = await Promise.all(Array.from({ length: 40 }, (_, i) => admit(key, i % 2)));
    running = false;
    await Promise.all(load);
    expect(after.every((answer) => answer === undefined)).toBe(true);
  });

  it('T-004 opens its own Space by its label, no other, and on a host that names none the key decides', async () => {
    const key = await newKey();
    await newSpace('beta');
    expect((await admit(key, 0, 'acme'))?.principal.spaceId).toBe(spaceId);
    expect((await admit(key, 0, 'nobody'))?.principal.spaceId).toBe(spaceId);
    expect(await admit(key, 0, 'beta')).toBeUndefined();
    expect((await admit(key))?.quota.remaining).toBe(57);
  });

  it.each(['suspended', 'deleted'])('refuses the keys of a Space that is %s', async (status) => {
    const before = spaceId;
    spaceId = await newSpace(status);
    const key = await newKey();
    expect(await admit(key)).toBeDefined();
    await queries().query(suspend, [spaceNumber(spaceId), status]);
    expect(await admit(key)).toBeUndefined();
    spaceId = before;
  });

  it('T-026 remembers when a key was used last', async () => {
    const key = await newKey();
    const before = Date.now();
    await admit(key);
    const [row] = await queries().query<{ last_used_at: Date }>(lastUsed, [key]);
    expect(row?.last_used_at.getTime()).toBeGreaterThanOrEqual(before - 1_000);
  });

  it('ends within its deadline when Postgres does not answer, for those who wait as for those who came later', async () => {
    const silent = { acrossSpaces: () => ({ query: () => new Promise<never>(() => undefined) }) };
    const admitter = new Admitter(silent, 50);
    const first = admitter.admit('aa', undefined);
    const later = admitter.admit('aa', undefined);
    await expect(first).rejects.toMatchObject({ code: 'UNAVAILABLE' });
    await expect(later).rejects.toMatchObject({ code: 'UNAVAILABLE' });
  });
});
