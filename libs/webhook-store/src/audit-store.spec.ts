import type { CommittedEvent } from '@keyturn/contracts';
import { WebhookLedger } from './audit-store';
import { result, room, StoreFixture } from './store.fixture';

describe('the balance of a Space', () => {
  let store: StoreFixture;
  beforeAll(async () => {
    store = await StoreFixture.open();
  });
  beforeEach(() => store.clear());
  afterAll(() => store.close());

  /** Positions of the log are the Space's sequences here: there is no other Space in it. */
  async function audit(events: readonly CommittedEvent[], takenIn = Number.MAX_SAFE_INTEGER) {
    const ledger = await WebhookLedger.open(store.database, 'spc_1', takenIn);
    for (let at = 0; at < events.length; at += 3) {
      const page = events.slice(at, at + 3).map((event) => ({
        ...event,
        position: event.sequence,
        changed: [...event.changed],
        traceparent: event.traceparent ?? null,
        bytes: event.payload.length,
      }));
      await ledger.add({ events: page, last: 0, more: false });
    }
    return ledger;
  }

  it('T-114 owed = delivered + waiting + failed + cancelled, for each subscription by its history', async () => {
    const webhook = await store.webhook('spc_1', { name: 'First' });
    const quiet = await store.webhook('spc_1', { events: ['note.created'] });
    await store.webhook('spc_2');
    const instance = await store.instance();
    const events = store.events('spc_1', 4);
    const { leased } = await store.dispatch.accept(instance, events, room());
    await store.dispatch.record(instance, [
      result(leased[0]?.id ?? ''),
      result(leased[1]?.id ?? '', { kind: 'failed' }),
      result(leased[2]?.id ?? '', { kind: 'retry', inMs: 60_000 }),
    ]);
    const waiting = { owed: 4, delivered: 1, failed: 1, waiting: 2, cancelled: 0, missing: 0, stuck: 0 };
    const before = await audit(events);
    expect(before.balanced).toBe(true);
    expect(before.webhooks).toMatchObject([
      { webhookId: webhook.id, name: 'First', ...waiting },
      { webhookId: quiet.id, owed: 0 },
    ]);

    await store.dispatch.release(instance, [leased[3]?.id ?? '']);
    await store.webhooks.update('spc_1', webhook.id, { isActive: false }, store.position('spc_1'));
    const unowed = store.events('spc_1', 2);
    const after = await audit([...events, ...unowed]);
    expect(after.webhooks[0]).toMatchObject({ owed: 4, delivered: 1, failed: 1, waiting: 0, cancelled: 2 });
  });

  it('says what was never taken in, and what nothing would send', async () => {
    await store.webhook('spc_1');
    const instance = await store.instance();
    const events = store.events('spc_1', 3);
    await store.dispatch.accept(instance, events.slice(0, 2), room());
    const gap = await audit(events);
    expect(gap.balanced).toBe(false);
    const onItsWay = await audit(events, 2);
    expect(onItsWay.balanced).toBe(true);
    expect(onItsWay.webhooks).toMatchObject([{ owed: 3, waiting: 3, missing: 0, stuck: 0 }]);
    expect(gap.webhooks).toMatchObject([{ owed: 3, waiting: 2, missing: 1, stuck: 0, examples: [events[2]?.id] }]);
    await store.dispatch.accept(instance, events, room());
    await store.database.acrossSpaces('a test breaks something').query({
      name: 'test.lose',
      text: 'delete from webhooks.queue where delivery_id = (select min(delivery_id) from webhooks.queue)',
    });
    expect((await audit(events)).webhooks).toMatchObject([{ waiting: 3, missing: 0, stuck: 1 }]);
  });

  it('follows filters', async () => {
    await store.webhook('spc_1', { filter: { file: [{ field: 'name', operator: 'changed' }] } });
    const events = [store.event('spc_1', { changed: ['name'] }), store.event('spc_1', { changed: ['city'] })];
    const ledger = await audit(events);
    expect(ledger.payloads).toBe(true);
    expect(ledger.webhooks).toMatchObject([{ owed: 1, missing: 1 }]);
  });
});
