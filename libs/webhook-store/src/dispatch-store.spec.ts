import type { FilterCondition } from '@keyturn/contracts';
import { result, room, StoreFixture } from './store.fixture';

describe('the store of a dispatcher', () => {
  let store: StoreFixture;
  beforeAll(async () => {
    store = await StoreFixture.open();
  });
  beforeEach(() => store.clear());
  afterAll(() => store.close());

  const number = (webhook: { id: string }) => webhook.id.slice('wh_'.length);

  describe('what is owed', () => {
    it('T-107 one delivery per subscribed event of the own Space, and none besides', async () => {
      const mine = await store.webhook('spc_1');
      const other = await store.webhook('spc_1', { events: ['contact.created'] });
      await store.webhook('spc_2');
      const instance = await store.instance();
      const { leased, waiting } = await store.dispatch.accept(
        instance,
        [
          store.event('spc_1', { event: 'file.updated' }),
          store.event('spc_1', { event: 'file.deleted' }),
          store.event('spc_1', { event: 'contact.created' }),
          store.event('spc_3', { event: 'file.updated' }),
        ],
        room(),
      );
      expect(leased.map(({ webhookId }) => webhookId).sort()).toEqual([number(mine), number(other)].sort());
      expect(waiting).toBe(0);
      expect(await store.deliveries()).toMatchObject([
        { status: 'pending', state: 'leased', owner: instance },
        { status: 'pending', state: 'leased', owner: instance },
      ]);
    });

    it('T-085 a wildcard is every event of its resource', async () => {
      await store.webhook('spc_1', { events: ['task.*'] });
      const names = ['task.created', 'task.updated', 'task.completed', 'task.deleted', 'note.created'];
      const events = names.map((event) => store.event('spc_1', { event }));
      const { leased } = await store.dispatch.accept(await store.instance(), events, room());
      expect(leased.map(({ messageId }) => messageId)).toEqual(events.slice(0, 4).map(({ id }) => id));
    });

    it('T-114 the same events twice, even at once by two instances, make each delivery once', async () => {
      await Promise.all([store.webhook('spc_1'), store.webhook('spc_1'), store.webhook('spc_2')]);
      const events = [...store.events('spc_1', 100), ...store.events('spc_2', 100)];
      const [one, two] = await Promise.all([store.instance(), store.instance()]);
      await Promise.all([
        store.dispatch.accept(one, events, room(1_000)),
        store.dispatch.accept(two, events.toReversed(), room(1_000)),
        store.dispatch.accept(two, events.slice(50), room(1_000)),
      ]);
      const deliveries = await store.deliveries();
      expect(deliveries).toHaveLength(300);
      expect(new Set(deliveries.map((row) => `${row.endpoint_id} ${row.message_id}`)).size).toBe(300);
    });

    it('T-088 T-089 a change holds for events behind it, whenever they arrive', async () => {
      const webhook = await store.webhook('spc_1', { events: ['file.created'] });
      const before = store.event('spc_1', { event: 'file.created' });
      const unwanted = store.event('spc_1', { event: 'file.updated' });
      await store.webhooks.update('spc_1', webhook.id, { events: ['file.updated'] }, store.position('spc_1'));
      const after = store.event('spc_1', { event: 'file.updated' });
      const unwantedNow = store.event('spc_1', { event: 'file.created' });
      const { leased } = await store.dispatch.accept(
        await store.instance(),
        [unwantedNow, after, unwanted, before],
        room(),
      );
      expect(leased.map(({ messageId }) => messageId).sort()).toEqual([before.id, after.id].sort());
    });

    it('T-089 nothing of the time in which it was off, neither then nor later', async () => {
      const webhook = await store.webhook('spc_1');
      await store.webhooks.update('spc_1', webhook.id, { isActive: false }, store.position('spc_1'));
      const missed = store.event('spc_1');
      await store.webhooks.update('spc_1', webhook.id, { isActive: true }, store.position('spc_1'));
      const wanted = store.event('spc_1');
      const { leased } = await store.dispatch.accept(await store.instance(), [missed, wanted], room());
      expect(leased.map(({ messageId }) => messageId)).toEqual([wanted.id]);
    });

    it('an event of before a switch-off that arrives behind it is owed and cancelled, so the books balance', async () => {
      const webhook = await store.webhook('spc_1');
      const late = store.event('spc_1');
      await store.webhooks.update('spc_1', webhook.id, { isActive: false }, store.position('spc_1'));
      const { leased, waiting } = await store.dispatch.accept(await store.instance(), [late], room());
      expect([leased.length, waiting]).toEqual([0, 0]);
      expect(await store.deliveries()).toMatchObject([{ status: 'cancelled', state: null }]);
    });

    it('T-090 nothing for a deleted webhook', async () => {
      const webhook = await store.webhook('spc_1');
      await store.webhooks.remove('spc_1', webhook.id);
      const { leased } = await store.dispatch.accept(await store.instance(), [store.event('spc_1')], room());
      expect(leased).toEqual([]);
      expect(await store.deliveries()).toEqual([]);
    });

    it('events of any day find their partition', async () => {
      await store.webhook('spc_1');
      const old = store.event('spc_1', { committedAt: '2020-02-29T23:59:59.999Z' });
      const { leased } = await store.dispatch.accept(await store.instance(), [old, store.event('spc_1')], room());
      expect(leased).toHaveLength(2);
    });

    it.each<[string, FilterCondition, Parameters<StoreFixture['event']>[1], boolean]>([
      ['changed', { field: 'listingStatus', operator: 'changed' }, { changed: ['listingStatus', 'name'] }, true],
      ['not changed', { field: 'listingStatus', operator: 'changed' }, { changed: ['name'] }, false],
      ['over', { field: 'listPrice', operator: 'gt', value: 500_000 }, { data: { listPrice: 500_000.5 } }, true],
      ['not over', { field: 'listPrice', operator: 'gt', value: 500_000 }, { data: { listPrice: 500_000 } }, false],
      ['null is never over', { field: 'listPrice', operator: 'gt', value: 0 }, { data: { listPrice: null } }, false],
      ['equal', { field: 'city', operator: 'eq', value: 'Kent' }, { data: { city: 'Kent' } }, true],
      ['unlike, unset too', { field: 'city', operator: 'ne', value: 'Kent' }, { data: { city: null } }, true],
      ['one of', { field: 'city', operator: 'in', value: ['Kent', 'Renton'] }, { data: { city: 'Renton' } }, true],
      ['none of', { field: 'city', operator: 'in', value: ['Kent', 'Renton'] }, { data: { city: 'Auburn' } }, false],
      ['contains', { field: 'city', operator: 'contains', value: 'RENT' }, { data: { city: 'Renton' } }, true],
      [
        'before',
        { field: 'closingDate', operator: 'lt', value: '2026-04-01' },
        { data: { closingDate: '2026-03-31' } },
        true,
      ],
      ['unset', { field: 'city', operator: 'null', value: true }, { data: { city: null } }, true],
      ['set', { field: 'city', operator: 'null', value: false }, { data: { city: null } }, false],
    ])('a filter: %s', async (_what, condition, event, passes) => {
      await store.webhook('spc_1', { events: ['file.*', 'note.*'], filter: { file: [condition] } });
      const { leased } = await store.dispatch.accept(
        await store.instance(),
        [store.event('spc_1', event), store.event('spc_1', { event: 'note.created' })],
        room(),
      );
      expect(leased).toHaveLength(passes ? 2 : 1);
    });

    it('says whether the thin form is meant, as it was when the event was committed', async () => {
      const webhook = await store.webhook('spc_1', { thin: true });
      const thin = store.event('spc_1');
      await store.webhooks.update('spc_1', webhook.id, { thin: false }, store.position('spc_1'));
      const whole = store.event('spc_1');
      const { leased } = await store.dispatch.accept(await store.instance(), [thin, whole], room());
      expect(leased.map(({ thin }) => thin)).toEqual([true, false]);
    });
  });

  describe('room and turns', () => {
    it('leases what fits, and the rest on demand, in order and with everything that sending needs', async () => {
      const webhook = await store.webhook('spc_1');
      const instance = await store.instance();
      const events = store.events('spc_1', 5);
      const first = await store.dispatch.accept(instance, events, room(2));
      expect(first.leased.map(({ messageId }) => messageId)).toEqual(events.slice(0, 2).map(({ id }) => id));
      expect(first.waiting).toBe(3);
      expect(await store.dispatch.nextDueInMs()).toBe(0);
      expect(await store.dispatch.nextDueInMs([number(webhook)])).toBeNull();

      const [third, ...rest] = await store.dispatch.claim(instance, room(10, 2));
      expect(third).toMatchObject({
        messageId: events[2]?.id,
        webhookId: number(webhook),
        revision: 1,
        spaceId: 'spc_1',
        event: 'file.updated',
        recordId: 12345,
        sequence: 3,
        time: events[2]?.time,
        committedAt: events[2]?.committedAt,
        payload: events[2]?.payload,
        attempts: 0,
        attemptsBefore: 0,
        reason: 'first',
        notBeforeInMs: 0,
        thin: false,
      });
      expect(rest).toHaveLength(1);
      expect(await store.dispatch.claim(instance, room(10, 10, { [number(webhook)]: 0 }))).toEqual([]);
      expect(await store.dispatch.claim(instance, room(10))).toHaveLength(1);
      expect(await store.dispatch.nextDueInMs()).toBeNull();
    });

    it('new events do not overtake the backlog of their endpoint', async () => {
      await store.webhook('spc_1');
      const instance = await store.instance();
      const backlog = store.events('spc_1', 3);
      await store.dispatch.accept(instance, backlog, room(0));
      const { leased, waiting } = await store.dispatch.accept(instance, store.events('spc_1', 1), room());
      expect([leased.length, waiting]).toEqual([0, 1]);
      const claimed = await store.dispatch.claim(instance, room(3));
      expect(claimed.map(({ messageId }) => messageId)).toEqual(backlog.map(({ id }) => id));
    });

    it('T-116 a Space with a backlog does not delay another Space, nor an endpoint its neighbour', async () => {
      const busy = await store.webhook('spc_1');
      const neighbour = await store.webhook('spc_1', { events: ['note.created'] });
      const other = await store.webhook('spc_2');
      const instance = await store.instance();
      await store.dispatch.accept(instance, store.events('spc_1', 300), room(0));
      await store.dispatch.accept(instance, [store.event('spc_1', { event: 'note.created' })], room(0));
      await store.dispatch.accept(instance, store.events('spc_2', 1), room(0));
      const claimed = await store.dispatch.claim(instance, room(4));
      const counts = [busy, neighbour, other].map(
        (webhook) => claimed.filter(({ webhookId }) => webhookId === number(webhook)).length,
      );
      expect(counts).toEqual([2, 1, 1]);
    });

    it('every endpoint gets its turn, however many there are', async () => {
      const webhooks = await Promise.all(Array.from({ length: 30 }, () => store.webhook('spc_1')));
      const instance = await store.instance();
      await store.dispatch.accept(instance, store.events('spc_1', 3), room(0));
      const seen = new Set<string>();
      for (let round = 0; round < 5; round++)
        for (const { webhookId } of await store.dispatch.claim(instance, room(10, 1))) seen.add(webhookId);
      expect(seen.size).toBe(webhooks.length);
    });

    it('two instances never hold the same delivery', async () => {
      await Promise.all(Array.from({ length: 10 }, () => store.webhook('spc_1')));
      const [one, two] = await Promise.all([store.instance(), store.instance()]);
      await store.dispatch.accept(one, store.events('spc_1', 20), room(0));
      const claims = await Promise.all(
        Array.from({ length: 10 }, (_, at) => store.dispatch.claim(at % 2 ? one : two, room(20))),
      );
      const ids = claims.flat().map(({ id }) => id);
      expect(new Set(ids).size).toBe(ids.length);
      expect(ids.length).toBeGreaterThan(0);
    });

    it('first attempts go before retries, and what a release gave back goes at once', async () => {
      await store.webhook('spc_1');
      const instance = await store.instance();
      const [early] = (await store.dispatch.accept(instance, store.events('spc_1', 1), room())).leased;
      await store.dispatch.record(instance, [result(early?.id ?? '', { kind: 'retry', inMs: 60_000 })]);
      await store.passTime();
      const { leased } = await store.dispatch.accept(instance, store.events('spc_1', 1), room());
      await store.dispatch.release(
        instance,
        leased.map(({ id }) => id),
      );
      const claimed = await store.dispatch.claim(instance, room(10));
      expect(claimed.map(({ id, reason, attempts }) => [id, reason, attempts])).toEqual([
        [leased[0]?.id, 'first', 0],
        [early?.id, 'retry', 1],
      ]);
    });

    it('keeps the rate of an endpoint over all instances', async () => {
      await store.webhook('spc_1', { rateLimit: 10 });
      const [one, two] = await Promise.all([store.instance(), store.instance()]);
      const accepted = await store.dispatch.accept(one, store.events('spc_1', 100), room());
      expect(accepted).toMatchObject({ leased: [], waiting: 100 });
      const claims = [await store.dispatch.claim(one, room(7)), await store.dispatch.claim(two, room(50))];
      const starts = claims.flat().map(({ notBeforeInMs }) => notBeforeInMs);
      expect(starts.length).toBeGreaterThanOrEqual(10);
      expect(starts.length).toBeLessThanOrEqual(11);
      for (const [at, start] of starts.entries()) expect(Math.abs(start - at * 100)).toBeLessThan(60);
      expect(await store.dispatch.nextDueInMs()).toBeGreaterThan(0);
    });
  });

  describe('results', () => {
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
