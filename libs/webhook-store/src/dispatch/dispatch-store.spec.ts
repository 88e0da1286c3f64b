import { result, room, StoreFixture } from '../store.fixture';

describe('the store of a dispatcher', () => {
  let store: StoreFixture;
  beforeAll(async () => {
    store = await StoreFixture.open();
  });
  beforeEach(() => store.clear());
  afterAll(() => store.close());

  const number = (webhook: { id: string }) => webhook.id.slice('wh_'.length);

  describe('endpoints that stop', () => {
    it('T-089 T-090 what waits is cancelled, and what was on its way is not tried again', async () => {
      const off = await store.webhook('spc_1');
      const deleted = await store.webhook('spc_1');
      const instance = await store.instance();
      const { leased } = await store.dispatch.accept(instance, store.events('spc_1', 3), room(2, 1));
      await store.webhooks.update('spc_1', off.id, { isActive: false }, store.position('spc_1'));
      await store.webhooks.remove('spc_1', deleted.id);
      await store.dispatch.record(
        instance,
        leased.map(({ id }) => result(id, { kind: 'retry', inMs: 1_000 })),
      );
      expect((await store.deliveries()).map(({ status, state }) => [status, state])).toEqual(
        Array.from({ length: 6 }, () => ['cancelled', null]),
      );
    });

    it('T-112 410 turns it off', async () => {
      const webhook = await store.webhook('spc_1');
      const instance = await store.instance();
      const { leased } = await store.dispatch.accept(instance, store.events('spc_1', 2), room(1));
      await store.dispatch.record(instance, [result(leased[0]?.id ?? '', { kind: 'failed' }, { status: 410 })]);
      await store.dispatch.turnOff(number(webhook), 'gone');
      expect(await store.webhooks.get('spc_1', webhook.id)).toMatchObject({
        isActive: false,
        disabledReason: 'gone',
        status: 'disabled',
      });
      expect((await store.deliveries()).map(({ status }) => status)).toEqual(['failed', 'cancelled']);
      await store.dispatch.accept(instance, store.events('spc_1', 1), room());
      expect(await store.deliveries()).toHaveLength(2);
    });
  });

  it('T-091 a test goes to the endpoint whatever its events and state say, and to no other Space', async () => {
    const webhook = await store.webhook('spc_1', { isActive: false });
    const instance = await store.instance();
    const test = {
      messageId: 'evt_01JCZ0000000000000000000AA',
      spaceId: 'spc_1',
      webhookId: webhook.id,
      time: new Date().toISOString(),
      payload: Buffer.from('{}'),
    };
    expect(await store.dispatch.openTest(instance, { ...test, spaceId: 'spc_2' })).toBeNull();
    expect(await store.dispatch.openTest(instance, { ...test, webhookId: '1' })).toBeNull();
    const delivery = await store.dispatch.openTest(instance, test);
    expect(delivery).toMatchObject({ webhookId: number(webhook), messageId: test.messageId, thin: false });
    await store.dispatch.record(instance, [result(delivery?.id ?? '', { kind: 'failed' }, { reason: 'test' })]);
    expect(await store.deliveries()).toMatchObject([{ status: 'failed', attempts: 1, state: null }]);
  });

  it('hands out settings with secrets that only the box opens', async () => {
    const webhook = await store.webhook('spc_1', {
      signingSecret: 'whsec_one',
      headers: { 'X-Env': 'prod' },
      retryScheduleMs: [1_000, 2_000],
      rateLimit: 5,
    });
    expect(await store.dispatch.endpoints([number(webhook), '999'])).toEqual([
      {
        id: number(webhook),
        spaceId: 'spc_1',
        revision: 1,
        state: 'active',
        url: 'https://example.com/hook',
        verified: false,
        secrets: ['whsec_one'],
        signatureKeys: [],
        signatureScheme: 'v1',
        previousSchemeUntil: null,
        previousSecretUntil: null,
        retryScheduleMs: [1_000, 2_000],
        ordering: 'none',
        rateLimit: 5,
        headers: { 'X-Env': 'prod' },
      },
    ]);
  });
});
