import { eraseRecord } from './erasure';
import { result, room, StoreFixture } from './store.fixture';

describe('erasing a record', () => {
  let store: StoreFixture;
  beforeAll(async () => {
    store = await StoreFixture.open();
  });
  beforeEach(() => store.clear());
  afterAll(() => store.close());

  it('its payloads become ids only, what was answered goes, what waits is cancelled; others stay', async () => {
    const webhook = await store.webhook('spc_1');
    const instance = await store.instance();
    const data = { name: 'Jane Doe' };
    const [sent, waiting, other] = [1, 1, 2].map((recordId) => store.event('spc_1', { recordId, data }));
    const events = [sent, waiting, other].filter((event) => event !== undefined);
    const { leased } = await store.dispatch.accept(instance, events, room());
    await store.dispatch.record(
      instance,
      leased
        .filter((_, at) => at !== 1)
        .map(({ id }) => result(id, { kind: 'delivered' }, { body: 'thanks for Jane Doe' })),
    );
    await store.dispatch.release(instance, [leased[1]?.id ?? '']);
    const record = { spaceId: 'spc_1', resource: 'file', recordId: 1 };
    expect(await eraseRecord(store.database, { ...record, spaceId: 'spc_2' })).toMatchObject({ messages: 0 });
    expect(await eraseRecord(store.database, record)).toEqual({ messages: 2, cancelled: 1, attempts: 1 });

    const shown = (at: number) =>
      store.deliveryStore.getWithAttempts('spc_1', webhook.id, `dlv_${leased[at]?.id ?? ''}`);
    const erased = await shown(0);
    expect(JSON.stringify(erased)).not.toContain('Jane');
    expect(erased).toMatchObject({
      status: 'success',
      payload: { event: 'file.updated', data: { id: 1 }, timestamp: sent?.time },
      attemptLog: [{ responseBody: null, responseHeaders: null }],
    });
    expect(await shown(1)).toMatchObject({ status: 'cancelled', payload: { data: { id: 1 } } });
    expect(await shown(2)).toMatchObject({
      responseBody: 'thanks for Jane Doe',
      payload: { data: { name: 'Jane Doe' } },
    });
    await expect(store.deliveryStore.resend('spc_1', webhook.id, `dlv_${leased[0]?.id ?? ''}`)).rejects.toMatchObject({
      code: 'CONFLICT',
    });
    expect(await eraseRecord(store.database, record)).toEqual({ messages: 0, cancelled: 0, attempts: 0 });
  });
});
