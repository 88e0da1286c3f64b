import { result, room, StoreFixture } from '../store.fixture';

describe('results', () => {
  let store: StoreFixture;
  beforeAll(async () => {
    store = await StoreFixture.open();
  });
  beforeEach(() => store.clear());
  afterAll(() => store.close());

  it('T-092 a success', async () => {
    await store.webhook('spc_1');
    const instance = await store.instance();
    const { leased } = await store.dispatch.accept(instance, store.events('spc_1', 2), room());
    expect(
      await store.dispatch.record(
        instance,
        leased.map(({ id }) => result(id)),
      ),
    ).toHaveLength(2);
    expect(await store.deliveries()).toMatchObject(
      leased.map(() => ({
        status: 'success',
        attempts: 1,
        response_status: 200,
        response_body: 'OK',
        error: null,
        troubled: false,
        state: null,
        delivered_at: expect.any(Date) as Date,
      })),
    );
  });

  it('T-112 a failure is due again when its time has come', async () => {
    await store.webhook('spc_1');
    const instance = await store.instance();
    const { leased } = await store.dispatch.accept(instance, store.events('spc_1', 1), room());
    const id = leased[0]?.id ?? '';
    await store.dispatch.record(instance, [result(id, { kind: 'retry', inMs: 30_000 })]);
    expect(await store.dispatch.claim(instance, room())).toEqual([]);
    const due = await store.dispatch.nextDueInMs();
    expect(due).toBeGreaterThan(25_000);
    expect(due).toBeLessThanOrEqual(30_000);
    expect(await store.deliveries()).toMatchObject([
      {
        status: 'retrying',
        attempts: 1,
        response_status: 500,
        error: 'the receiver answered 500',
        state: 'scheduled',
      },
    ]);
    await store.passTime();
    expect(await store.dispatch.claim(instance, room())).toMatchObject([{ id, attempts: 1, reason: 'retry' }]);
    await store.dispatch.record(instance, [result(id, { kind: 'failed' }, { number: 2, reason: 'retry' })]);
    expect(await store.deliveries()).toMatchObject([{ status: 'failed', attempts: 2, troubled: true, state: null }]);
  });

  it('a slow old owner cannot overwrite the result of a new one; its attempt is kept all the same', async () => {
    await store.webhook('spc_1');
    const [old, fresh] = await Promise.all([store.instance(0), store.instance()]);
    const { leased } = await store.dispatch.accept(old, store.events('spc_1', 2), room());
    expect(await store.dispatch.reap()).toBe(2);
    expect(await store.dispatch.renew(old, 1_000)).toBe(false);
    const claimed = await store.dispatch.claim(fresh, room());
    expect(claimed.map(({ id }) => id).sort()).toEqual(leased.map(({ id }) => id).sort());
    const failed = leased.map(({ id }) => result(id, { kind: 'failed' }, { error: 'late' }));
    expect(await store.dispatch.record(old, failed.slice(0, 1))).toEqual([]);
    await store.dispatch.record(
      fresh,
      leased.map(({ id }) => result(id)),
    );
    expect(await store.dispatch.record(old, failed.slice(1))).toEqual([]);
    expect(await store.deliveries()).toMatchObject([{ status: 'success' }, { status: 'success' }]);
    const attempts = await store.database
      .acrossSpaces('a test looks at everything')
      .query({ name: 'test.attempts', text: 'select late, error from webhooks.attempt order by late, id' });
    expect(attempts).toEqual([
      { late: false, error: null },
      { late: false, error: null },
      { late: true, error: 'late' },
      { late: true, error: 'late' },
    ]);
  });

  it('a result whose first writing was not confirmed is kept once', async () => {
    await store.webhook('spc_1');
    const instance = await store.instance();
    const { leased } = await store.dispatch.accept(instance, store.events('spc_1', 1), room());
    const results = leased.map(({ id }) => result(id));
    expect(await store.dispatch.record(instance, results)).toHaveLength(1);
    expect(await store.dispatch.record(instance, results)).toEqual([]);
    const attempts = await store.database
      .acrossSpaces('a test looks at everything')
      .query({ name: 'test.attempts', text: 'select late, error from webhooks.attempt order by late, id' });
    expect(attempts).toEqual([{ late: false, error: null }]);
  });

  it('an instance that lives keeps what it holds, and frees it when it goes', async () => {
    await store.webhook('spc_1');
    const instance = await store.instance(0);
    await store.dispatch.accept(instance, store.events('spc_1', 1), room());
    expect(await store.dispatch.renew(instance, 60_000)).toBe(true);
    expect(await store.dispatch.reap()).toBe(0);
    await store.dispatch.retire(instance);
    expect(await store.deliveries()).toMatchObject([{ status: 'pending', state: 'ready', owner: null }]);
  });

  it('an immediate repeat is an attempt that does not count', async () => {
    await store.webhook('spc_1');
    const instance = await store.instance();
    const { leased } = await store.dispatch.accept(instance, store.events('spc_1', 1), room());
    const id = leased[0]?.id ?? '';
    await store.dispatch.record(instance, [
      result(id, { kind: 'repeat' }, { faultClass: 'reset', status: null }),
      result(id, { kind: 'delivered' }, { reason: 'repeat' }),
    ]);
    expect(await store.deliveries()).toMatchObject([{ status: 'success', attempts: 1 }]);
  });

  it('receivers may answer anything: NUL, half characters, too much', async () => {
    await store.webhook('spc_1');
    const instance = await store.instance();
    const { leased } = await store.dispatch.accept(instance, store.events('spc_1', 1), room());
    const body = `\0\ud83d${'ä'.repeat(50_000)}`;
    await store.dispatch.record(instance, [
      result(leased[0]?.id ?? '', { kind: 'delivered' }, { body, headers: body }),
    ]);
    const [delivery] = await store.deliveries();
    expect(Buffer.byteLength(delivery?.response_body ?? '')).toBeLessThanOrEqual(2_000);
    expect(delivery?.response_body).toMatch(/^\uFFFD\uFFFDä+$/);
  });

  it('a receiver that asks for patience gets it, from all instances', async () => {
    await store.webhook('spc_1');
    const instance = await store.instance();
    const { leased } = await store.dispatch.accept(instance, store.events('spc_1', 1), room());
    await store.dispatch.record(instance, [
      result(leased[0]?.id ?? '', { kind: 'retry', inMs: 1, holdEndpointMs: 60_000 }, { status: 429 }),
    ]);
    const { waiting } = await store.dispatch.accept(instance, store.events('spc_1', 3), room());
    expect(waiting).toBe(3);
    expect(await store.dispatch.claim(await store.instance(), room())).toEqual([]);
    expect(await store.dispatch.nextDueInMs()).toBeGreaterThan(0);
  });
});
