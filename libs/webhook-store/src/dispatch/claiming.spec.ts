import { result, room, StoreFixture } from '../store.fixture';

describe('room and turns', () => {
  let store: StoreFixture;
  beforeAll(async () => {
    store = await StoreFixture.open();
  });
  beforeEach(() => store.clear());
  afterAll(() => store.close());

  const number = (webhook: { id: string }) => webhook.id.slice('wh_'.length);

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

  it('what was committed first goes first, whoever has taken it in', async () => {
    await store.webhook('spc_1', { rateLimit: 100 });
    const [one, two] = [await store.instance(), await store.instance()];
    const events = store.events('spc_1', 20);
    const every = (rest: number) => events.filter(({ sequence }) => sequence % 2 === rest);
    await store.dispatch.accept(one, every(1), room(0));
    await store.dispatch.accept(two, every(0), room(0));
    const claimed = [...(await store.dispatch.claim(one, room(7))), ...(await store.dispatch.claim(two, room(20)))];
    expect(claimed.map(({ sequence }) => sequence)).toEqual(events.map(({ sequence }) => sequence));
    const moments = claimed.map(({ notBeforeInMs }) => notBeforeInMs);
    expect(moments.slice(7)).toEqual(moments.slice(7).sort((a, b) => a - b));
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

  it('endpoints that get nothing now hide nobody behind them, however many there are', async () => {
    await store.database.acrossSpaces('a test makes many').query({
      name: 'test.many_paused',
      text: `with made as (
               insert into webhooks.endpoint (space_id, name, url, events, paused, suspended)
               select 1, 'Many', 'https://example.com', '{file.updated}', n % 2 = 0, n % 2 = 1 from generate_series(1, 1500) n
               returning id, space_id
             )
             insert into webhooks.queue (delivery_id, day, endpoint_id, space_id, message_id, resource, record_id, thin, state,
                                         due_at, reason)
             select -id, current_date, id, space_id, 'evt_' || id, 'file', 1, false, 'ready', now(), 'first' from made`,
    });
    await store.webhook('spc_2');
    const instance = await store.instance();
    await store.dispatch.accept(instance, store.events('spc_2', 1), room(0));
    expect(await store.dispatch.claim(instance, room(10))).toHaveLength(1);
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
