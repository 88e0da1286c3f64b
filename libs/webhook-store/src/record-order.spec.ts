import type { CommittedEvent } from '@keyturn/contracts';
import type { ClaimedDelivery } from './dispatch/dispatch-store.types';
import { PostgresDispatchStore } from './dispatch/dispatch-store';
import { RecordOrder } from './record-order';
import { result, room, StoreFixture } from './store.fixture';

describe('order within a record', () => {
  let store: StoreFixture;
  beforeAll(async () => {
    store = await StoreFixture.open();
  });
  beforeEach(() => store.clear());
  afterAll(() => store.close());

  const messagesOf = (claimed: readonly { messageId: string }[]) => claimed.map(({ messageId }) => messageId);

  it('one delivery of a record at a time, in order; records in parallel', async () => {
    await store.webhook('spc_1', { ordering: 'record' });
    const instance = await store.instance();
    const one = store.events('spc_1', 3, { recordId: 1 });
    const two = store.events('spc_1', 2, { recordId: 2 });
    const { leased, waiting } = await store.dispatch.accept(instance, [...one, ...two], room());
    expect([leased.length, waiting]).toEqual([0, 5]);
    const first = await store.dispatch.claim(instance, room());
    expect(messagesOf(first)).toEqual([one[0]?.id, two[0]?.id]);
    expect(await store.dispatch.claim(instance, room())).toEqual([]);
    await store.dispatch.record(instance, [result(first[0]?.id ?? '')]);
    const next = await store.dispatch.claim(instance, room());
    expect(messagesOf(next)).toEqual([one[1]?.id]);
  });

  it('a retry holds what comes behind it; its end, good or bad, lets it go', async () => {
    await store.webhook('spc_1', { ordering: 'record' });
    const instance = await store.instance();
    const ready: (readonly string[])[] = [];
    store.dispatch.onReady((endpoints) => ready.push(endpoints));
    const events = store.events('spc_1', 3, { recordId: 1 });
    await store.dispatch.accept(instance, events.slice(0, 2), room());
    const [first] = await store.dispatch.claim(instance, room());
    await store.dispatch.record(instance, [result(first?.id ?? '', { kind: 'retry', inMs: 60_000 })]);
    await store.dispatch.accept(instance, events.slice(2), room());
    expect(await store.dispatch.claim(instance, room())).toEqual([]);
    await store.passTime();
    expect(messagesOf(await store.dispatch.claim(instance, room()))).toEqual([events[0]?.id]);
    await store.dispatch.record(instance, [result(first?.id ?? '', { kind: 'failed' })]);
    expect(ready).toEqual([['1']]);
    expect(messagesOf(await store.dispatch.claim(instance, room()))).toEqual([events[1]?.id]);
  });

  it('a batch that comes first waits for the one before it', async () => {
    await store.webhook('spc_1', { ordering: 'record' });
    const [one, two] = await Promise.all([store.instance(), store.instance()]);
    const events = store.events('spc_1', 4, { recordId: 1 });
    await store.dispatch.accept(two, events.slice(2), room());
    expect(await store.dispatch.claim(two, room())).toEqual([]);
    await store.dispatch.accept(one, events.slice(0, 2), room());
    expect(messagesOf(await store.dispatch.claim(two, room()))).toEqual([events[0]?.id]);
  });

  it('a batch that nobody is owed anything of fills a gap too', async () => {
    await store.webhook('spc_1', { ordering: 'record' });
    const instance = await store.instance();
    const unwanted = store.event('spc_1', { event: 'note.created' });
    const wanted = store.event('spc_1', { recordId: 1 });
    await store.dispatch.accept(instance, [wanted], room());
    expect(await store.dispatch.claim(instance, room())).toEqual([]);
    await store.dispatch.accept(instance, [unwanted], room());
    expect(messagesOf(await store.dispatch.claim(instance, room()))).toEqual([wanted.id]);
  });

  it('what follows from an acceptance or a result may fail, and is made good for by the next look', async () => {
    await store.webhook('spc_1', { ordering: 'record' });
    await store.webhook('spc_1');
    const instance = await store.instance();
    const events = store.events('spc_1', 2, { recordId: 1 });
    await nobodyGoes(true);
    // Had it failed as a whole, the unordered ones would be leased to somebody who does not know.
    const { leased } = await store.dispatch.accept(instance, events, room());
    expect(leased).toHaveLength(2);
    expect(await store.dispatch.claim(instance, room())).toEqual([]);
    await nobodyGoes(false);
    await store.dispatch.reap();
    const [first] = await store.dispatch.claim(instance, room());
    await nobodyGoes(true);
    expect(await store.dispatch.record(instance, [result(first?.id ?? '')])).toHaveLength(1);
    await nobodyGoes(false);
    await store.dispatch.reap();
    expect(messagesOf(await store.dispatch.claim(instance, room()))).toEqual([events[1]?.id]);

    function nobodyGoes(on: boolean): Promise<unknown> {
      return store.database.acrossSpaces('a test lets a statement fail').query({
        name: `test.nobody_goes_${on}`,
        text: on
          ? `alter table webhooks.queue add constraint nobody_goes check (not ordered or state <> 'ready') not valid`
          : 'alter table webhooks.queue drop constraint nobody_goes',
      });
    }
  });

  it('two who let the same ones go do not lock each other out', async () => {
    await store.webhook('spc_1', { ordering: 'record' });
    const instance = await store.instance();
    for (let round = 0; round < 10; round++) {
      const events = Array.from({ length: 200 }, (_, index) => store.event('spc_1', { recordId: 1 + index }));
      const [gap, ...rest] = events;
      if (gap && round % 2) await store.dispatch.accept(instance, [...rest.reverse(), gap], room());
      else await store.dispatch.accept(instance, events, room());
      const keys = events.map(({ recordId }) => ({ endpointId: '1', resource: 'file', recordId }));
      await holdBack();
      const order = new RecordOrder(store.database.acrossSpaces('a test lets go'));
      await Promise.all([
        order.release(keys),
        order.release([...keys].reverse()),
        order.releaseAll(),
        order.release(keys.slice(50)),
      ]);
      expect((await store.deliveries()).filter(({ state }) => state === 'held')).toEqual([]);
      const claimed = await store.dispatch.claim(instance, room(500));
      await store.dispatch.record(
        instance,
        claimed.map(({ id }) => result(id)),
      );
    }

    function holdBack(): Promise<unknown> {
      return store.database.acrossSpaces('a test holds back').query({
        name: 'test.hold_back',
        text: `update webhooks.queue set state = 'held' where ordered and state = 'ready'`,
      });
    }
  });

  it('a gap that nobody fills is given up', async () => {
    await store.webhook('spc_1', { ordering: 'record' });
    const impatient = new PostgresDispatchStore(store.database, store.secrets, {
      maxAttempts: 9,
      probeIntervalMs: 60_000,
      gapPatienceMs: -1,
    });
    const instance = await store.instance();
    store.event('spc_1');
    await store.dispatch.accept(instance, store.events('spc_1', 1, { recordId: 1 }), room());
    expect(await store.dispatch.claim(instance, room())).toEqual([]);
    await impatient.reap();
    expect(await store.dispatch.claim(instance, room())).toHaveLength(1);
  });

  it('Spaces that had events before, and endpoints that change their mind', async () => {
    store.events('spc_1', 10);
    const webhook = await store.webhook('spc_1');
    const instance = await store.instance();
    await store.dispatch.accept(instance, store.events('spc_1', 3, { recordId: 1 }), room(0));
    await store.webhooks.update('spc_1', webhook.id, { ordering: 'record' }, store.position('spc_1'));
    expect(await store.dispatch.claim(instance, room())).toEqual([]);
    await new PostgresDispatchStore(store.database, store.secrets, { maxAttempts: 9, probeIntervalMs: 1 }).reap();
    expect(await store.dispatch.claim(instance, room())).toHaveLength(1);
    await store.dispatch.accept(instance, store.events('spc_1', 1, { recordId: 2 }), room());
    expect(await store.dispatch.claim(instance, room())).toHaveLength(1);
    await store.webhooks.update('spc_1', webhook.id, { ordering: 'none' }, store.position('spc_1'));
    expect(await store.dispatch.claim(instance, room())).toHaveLength(2);
  });

  it('holds with two instances, batches in any order, failures and takeovers', async () => {
    await store.webhook('spc_1', { ordering: 'record' });
    const events = Array.from({ length: 200 }, (_, at) => store.event('spc_1', { recordId: 1 + (at % 7) }));
    const batches: CommittedEvent[][] = [];
    for (let at = 0; at < events.length; at += 10) batches.push(events.slice(at, at + 10));
    const random = seeded(7);
    batches.sort(() => random() - 0.5);
    const [one, two] = await Promise.all([store.instance(), store.instance()]);
    const ended = new Map<number, number>();
    const problems: string[] = [];
    let left = events.length;

    const attempt = async (instance: string, delivery: ClaimedDelivery) => {
      const sequence = delivery.sequence ?? 0;
      const before = events.filter(
        (event) => event.recordId === delivery.recordId && event.sequence < sequence && !ended.has(event.sequence),
      );
      if (before.length) problems.push(`${sequence} overtook ${before.map((event) => event.sequence).join()}`);
      const chance = random();
      if (chance < 0.2) return store.dispatch.release(instance, [delivery.id]);
      const retry = chance < 0.5;
      if (!retry) ended.set(sequence, ended.size);
      left -= retry ? 0 : 1;
      await store.dispatch.record(instance, [
        result(delivery.id, retry ? { kind: 'retry', inMs: 0 } : { kind: chance < 0.6 ? 'failed' : 'delivered' }),
      ]);
    };
    const run = async (instance: string) => {
      while (left > 0) {
        const batch = batches.pop();
        if (batch) await store.dispatch.accept(instance, batch, room());
        for (const delivery of await store.dispatch.claim(instance, room(5))) await attempt(instance, delivery);
      }
    };
    await Promise.all([run(one), run(two)]);
    expect(problems).toEqual([]);
    expect(ended.size).toBe(events.length);
  });
});

/** Numbers from 0 to 1, the same in each run. */
function seeded(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state * 1_103_515_245 + 12_345) % 2_147_483_648;
    return state / 2_147_483_648;
  };
}
