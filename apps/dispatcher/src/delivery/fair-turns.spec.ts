import { ConcurrencyLimit } from './concurrency';
import { FairTurns, type FairTurnsOptions } from './fair-turns';
import type { Outgoing } from './outgoing';

let serial = 0;
const delivery = (change: Partial<Outgoing> = {}): Outgoing => ({
  instance: '1',
  id: String(++serial),
  messageId: `evt_${serial}`,
  webhookId: '1',
  spaceId: 'spc_1',
  event: 'file.created',
  body: Buffer.alloc(100),
  committedAt: 0,
  traceparent: undefined,
  attempts: 0,
  attemptsBefore: 0,
  reason: 'first',
  notBefore: 0,
  putOff: false,
  ...change,
});

const turnsWith = (options: Partial<FairTurnsOptions> = {}) =>
  new FairTurns({ maxInFlight: 500, maxHeld: 4_000, maxHeldBytes: 1e9, now: () => 0, ...options });

const fill = (turns: FairTurns, count: number, change: Partial<Outgoing>) => {
  for (let i = 0; i < count; i++) turns.add(delivery(change));
};
const well = { trouble: false, startedAt: 0, holdMs: 0 };
const trouble = { trouble: true, startedAt: 0, holdMs: 0 };
const take = (turns: FairTurns) => turns.next() as Outgoing;

describe('whose delivery goes next', () => {
  it('Spaces take turns, whatever they have waiting', () => {
    const turns = turnsWith();
    fill(turns, 100, { spaceId: 'spc_1', webhookId: '1' });
    fill(turns, 2, { spaceId: 'spc_2', webhookId: '2' });
    const order = Array.from({ length: 5 }, () => take(turns).spaceId);
    expect(order).toEqual(['spc_1', 'spc_2', 'spc_1', 'spc_2', 'spc_1']);
  });

  it('within a Space, its endpoints do', () => {
    const turns = turnsWith();
    fill(turns, 50, { webhookId: '1' });
    fill(turns, 50, { webhookId: '2' });
    fill(turns, 50, { webhookId: '9', spaceId: 'spc_2' });
    const order = Array.from({ length: 8 }, () => take(turns).webhookId);
    expect(order.filter((id) => id === '9')).toHaveLength(4);
    expect(order.filter((id) => id === '1')).toHaveLength(2);
    expect(order.filter((id) => id === '2')).toHaveLength(2);
  });

  it('first attempts go before late ones of the same endpoint', () => {
    const turns = turnsWith();
    fill(turns, 2, { reason: 'retry', attempts: 1 });
    fill(turns, 1, { reason: 'first' });
    expect([take(turns).reason, take(turns).reason]).toEqual(['first', 'retry']);
  });

  it('an endpoint has no more in flight than its limit, the process no more than its own', () => {
    const turns = turnsWith({ maxInFlight: 10 });
    for (const webhookId of ['1', '2']) {
      fill(turns, 1, { webhookId });
      turns.done(take(turns), well);
    }
    fill(turns, 20, { webhookId: '1' });
    for (let i = 0; i < ConcurrencyLimit.start; i++) expect(turns.next()).toBeDefined();
    expect(turns.next()).toBeUndefined();
    fill(turns, 20, { webhookId: '2' });
    expect([turns.next()?.webhookId, turns.next()?.webhookId]).toEqual(['2', '2']);
    expect(turns.next()).toBeUndefined();
    expect(turns.inFlight).toBe(10);
  });

  it('T-116 where slots are scarce, who has not answered what it was given gets no more', () => {
    const turns = turnsWith({ maxInFlight: 100 });
    for (let webhook = 1; webhook <= 30; webhook++) fill(turns, 8, { webhookId: String(webhook) });
    let given = 0;
    while (turns.next()) given++;
    expect(given).toBe(50);
    fill(turns, 8, { webhookId: '99', spaceId: 'spc_2' });
    const good = take(turns);
    expect(good.webhookId).toBe('99');
    expect(turns.next()).toBeUndefined();
    turns.done(good, well);
    expect(Array.from({ length: 7 }, () => turns.next()?.webhookId)).toEqual(Array.from({ length: 7 }, () => '99'));
  });

  it('T-116 an endpoint that used to answer and is not heard of for a second counts as silent too', () => {
    let now = 0;
    const turns = turnsWith({ maxInFlight: 20, now: () => now });
    const answer = (webhookId: string) => {
      fill(turns, 1, { webhookId });
      turns.done(take(turns), { ...well, startedAt: now });
    };
    answer('1');
    fill(turns, 6, { webhookId: '1' });
    for (let i = 0; i < 6; i++) take(turns);
    now = 1_000;
    answer('2');
    for (const webhookId of ['1', '2']) fill(turns, 10, { webhookId });
    const started: string[] = [];
    for (let next = turns.next(); next; next = turns.next()) started.push(next.webhookId);
    // Turn by turn while there is room, then only whoever answers.
    expect(started).toEqual(['1', '2', '1', '2', ...Array.from({ length: 6 }, () => '2')]);
  });

  it('T-116 slow endpoints share half of the slots, however well they answer', () => {
    let now = 0;
    const turns = turnsWith({ maxInFlight: 40, now: () => now });
    for (let webhook = 1; webhook <= 40; webhook++) fill(turns, 5, { webhookId: String(webhook) });
    const taken = Array.from({ length: 40 }, () => take(turns));
    now = 1_000;
    for (const each of taken) turns.done(each, well);
    let slow = 0;
    while (turns.next()) slow++;
    expect(slow).toBe(20);
    fill(turns, 1, { webhookId: '99' });
    expect(turns.next()?.webhookId).toBe('99');
  });

  it('a slot that comes free goes on', () => {
    const turns = turnsWith();
    fill(turns, 9, {});
    const taken = Array.from({ length: ConcurrencyLimit.start }, () => take(turns));
    expect(turns.next()).toBeUndefined();
    turns.done(taken[0] as Outgoing, well);
    expect(turns.next()).toBeDefined();
    expect(turns.waiting).toBe(0);
  });

  it('endpoints in trouble share half of the slots, and keep to their own turns', () => {
    const turns = turnsWith({ maxInFlight: 40 });
    for (let webhook = 1; webhook <= 40; webhook++) {
      fill(turns, 3, { webhookId: String(webhook) });
    }
    const taken = Array.from({ length: 40 }, () => take(turns));
    for (const each of taken) turns.done(each, trouble);
    let inTrouble = 0;
    while (turns.next()) inTrouble++;
    expect(inTrouble).toBe(20);
    fill(turns, 40, { webhookId: '99' });
    expect(turns.next()?.webhookId).toBe('99');
  });

  it('T-116 of twenty endpoints one hangs and one fails: the other eighteen are through in no more rounds', () => {
    const lastOfEighteen = rounds({ hangs: '19', fails: '20' });
    const undisturbed = rounds({});
    expect(lastOfEighteen).toBeLessThanOrEqual(undisturbed * 1.2);

    /** In each round every request that is under way is answered, and freed slots are given anew; slots are scarce. */
    function rounds({ hangs, fails }: { hangs?: string; fails?: string }): number {
      const turns = turnsWith({ maxInFlight: 60 });
      for (let webhook = 1; webhook <= 20; webhook++) fill(turns, 100, { webhookId: String(webhook) });
      let left = 18 * 100;
      for (let round = 1; ; round++) {
        const taken: Outgoing[] = [];
        for (let next = turns.next(); next; next = turns.next()) if (next.webhookId !== hangs) taken.push(next);
        for (const each of taken) {
          const failed = each.webhookId === fails;
          const back = turns.done(each, failed ? trouble : well);
          // What fails is due again at once, and what its lane gave back is claimed again: the worst there is.
          if (failed) for (const again of [each, ...back]) turns.add({ ...again, reason: 'retry' });
          else if (Number(each.webhookId) <= 18) left--;
        }
        if (left === 0) return round;
      }
    }
  });

  it('what a strained endpoint no longer bears comes back, the newest first', () => {
    const turns = turnsWith();
    fill(turns, 120, {});
    const back = turns.done(take(turns), trouble);
    expect(back.length).toBeGreaterThan(0);
    expect(Number(back[0]?.id)).toBeGreaterThan(Number(back.at(-1)?.id));
    expect(turns.waiting).toBe(120 - 1 - back.length);
  });

  it('an endpoint that has asked for quiet gets it', () => {
    let now = 0;
    const turns = turnsWith({ now: () => now });
    fill(turns, 3, {});
    turns.done(take(turns), { trouble: true, startedAt: 0, holdMs: 1_000 });
    expect(turns.next()).toBeUndefined();
    expect(turns.nextMoment()).toBe(1_000);
    expect(turns.room().ofEndpoint.get('1')).toBe(0);
    now = 1_000;
    turns.wake();
    expect(turns.next()).toBeDefined();
  });

  it('a paced delivery waits for its moment', () => {
    let now = 0;
    const turns = turnsWith({ now: () => now });
    fill(turns, 1, { notBefore: 50 });
    fill(turns, 1, { notBefore: 150 });
    expect(turns.next()).toBeUndefined();
    expect(turns.nextMoment()).toBe(50);
    now = 50;
    turns.wake();
    expect(turns.next()?.notBefore).toBe(50);
    expect(turns.next()).toBeUndefined();
    expect(turns.nextMoment()).toBe(150);
  });

  it('paced deliveries that had to wait make up for it no faster than by a twentieth, or give their moment up', () => {
    let now = 1_000;
    const turns = turnsWith({ now: () => now });
    // Ten a second; the first eight are answered at 2,000, when the ninth is 200 ms late.
    for (let i = 0; i < 20; i++) fill(turns, 1, { notBefore: 1_000 + i * 100 });
    const started: number[] = [];
    const hanging: Outgoing[] = [];
    const until = (end: number, answer: boolean) => {
      for (; now < end; now++) {
        turns.wake();
        for (let next = turns.next(); next; next = turns.next()) {
          started.push(now);
          if (answer) turns.done(next, { ...well, startedAt: now });
          else hanging.push(next);
        }
      }
    };
    until(2_000, false);
    expect(started).toEqual([1_000, 1_100, 1_200, 1_300, 1_400, 1_500, 1_600, 1_700]);
    for (const each of hanging) turns.done(each, { ...well, startedAt: 1_700 });
    until(3_200, true);
    const gaps = started.slice(1).map((at, index) => at - (started[index] as number));
    expect(Math.min(...gaps)).toBeGreaterThanOrEqual(95);
    expect(started).toHaveLength(20);
  });

  it('what has missed its moment by more than that is given back, to be paced anew', () => {
    let now = 1_000;
    const turns = turnsWith({ now: () => now });
    for (let i = 0; i < 40; i++) fill(turns, 1, { notBefore: 1_000 + i * 25 });
    const hanging: Outgoing[] = [];
    for (; now < 3_000; now += 25) {
      turns.wake();
      for (let next = turns.next(); next; next = turns.next()) hanging.push(next);
    }
    expect(hanging).toHaveLength(ConcurrencyLimit.start);
    for (const each of hanging) turns.done(each, { ...well, startedAt: 1_000 });
    expect(turns.next()).toBeUndefined();
    const late = turns.takeLate();
    expect(late).toHaveLength(32);
    expect([turns.waiting, turns.takeLate()]).toEqual([0, []]);
    expect(turns.room().total).toBe(4_000);
  });

  it('memory is bounded in deliveries and in bytes', () => {
    const turns = turnsWith({ maxHeld: 10, maxHeldBytes: 1_000 });
    fill(turns, 4, { body: Buffer.alloc(200) });
    expect(turns.room().total).toBe(6);
    fill(turns, 1, { body: Buffer.alloc(200) });
    expect(turns.room().total).toBe(0);
    expect(turns.clear('1')).toHaveLength(5);
    expect(turns.room().total).toBe(10);
  });

  it('a claim is worth its while from half an empty lane on', () => {
    const turns = turnsWith();
    const { perEndpoint } = turns.room();
    fill(turns, perEndpoint, {});
    expect(turns.leftBehind('1')).toBe(false);
    expect(turns.claimRoom().ofEndpoint.get('1')).toBe(0);
    let taken = take(turns);
    for (let i = 0; i < perEndpoint / 2; i++) {
      expect(turns.thirsty(taken)).toBe(false);
      turns.done(taken, { ...well, startedAt: i });
      taken = take(turns);
    }
    turns.done(taken, well);
    expect(turns.thirsty(taken)).toBe(true);
    expect(turns.claimRoom().ofEndpoint.get('1')).toBeGreaterThan(perEndpoint / 2);
  });

  it('forgets endpoints that have nothing left', () => {
    const turns = turnsWith();
    fill(turns, 1, {});
    turns.done(take(turns), well);
    turns.sweep();
    expect(turns.endpoints).toBe(1);
    turns.sweep();
    expect(turns.endpoints).toBe(0);
  });

  it('T-116 remembers for an hour who was in trouble, so that its retries do not begin with as many slots as a good one', () => {
    let now = 0;
    const turns = turnsWith({ now: () => now });
    for (let round = 0; round < 4; round++) {
      fill(turns, 1, {});
      turns.done(take(turns), { ...trouble, startedAt: ++now });
    }
    turns.sweep();
    now = 30 * 60_000;
    turns.sweep();
    fill(turns, 8, {});
    const only = take(turns);
    expect(turns.next()).toBeUndefined();
    turns.done(only, { ...trouble, startedAt: now });
    turns.clear('1');
    turns.sweep();
    now += 61 * 60_000;
    turns.sweep();
    expect(turns.endpoints).toBe(0);
  });
});

describe('how many at a time', () => {
  it('grows by one for each round of successes at the limit, up to its bound', () => {
    const limit = new ConcurrencyLimit();
    for (let i = 0; i < ConcurrencyLimit.start + 1; i++) limit.succeeded(8);
    expect(limit.value).toBe(9);
    for (let i = 0; i < 5_000; i++) limit.succeeded(ConcurrencyLimit.max);
    expect(limit.value).toBe(ConcurrencyLimit.max);
  });

  it('does not grow while it is not used', () => {
    const limit = new ConcurrencyLimit();
    for (let i = 0; i < 1_000; i++) limit.succeeded(3);
    expect(limit.value).toBe(8);
  });

  it('halves once for what was under way together, down to one', () => {
    const limit = new ConcurrencyLimit();
    for (let i = 0; i < 8; i++) limit.struggled(0, 100);
    expect(limit.value).toBe(4);
    for (let round = 2; round < 10; round++) limit.struggled(round * 100, round * 100 + 50);
    expect(limit.value).toBe(1);
  });
});
