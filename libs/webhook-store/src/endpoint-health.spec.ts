import { EndpointHealth, pressureOf, warningLevel } from './endpoint-health';
import { result, room, StoreFixture } from './store.fixture';

const day = 24 * 60 * 60 * 1_000;
const thresholds = { withoutSuccessMs: 5 * day, failurePercent: 95, minAttempts: 100 };
const now = new Date('2026-03-10T12:00:00.000Z');
const ago = (ms: number) => new Date(now.getTime() - ms);

describe('how near an endpoint is to going off', () => {
  it.each([
    ['healthy', null, 1_000, 0, 0, 'no_success'],
    ['half the time', ago(2.5 * day), 10, 10, 50, 'no_success'],
    ['all the time', ago(5 * day), 10, 10, 100, 'no_success'],
    ['half of the attempts that are needed, all failed', null, 50, 50, 50, 'failure_rate'],
    ['one attempt less than that', null, 99, 99, 99, 'failure_rate'],
    ['few attempts, some of which failed', null, 50, 10, 21, 'failure_rate'],
    ['enough attempts, all failed', null, 100, 100, 105, 'failure_rate'],
    ['the threshold itself', null, 100, 95, 100, 'failure_rate'],
    ['below it', null, 1_000, 949, 99, 'failure_rate'],
    ['the nearer of the two counts', ago(4.5 * day), 100, 80, 90, 'no_success'],
  ] as const)('%s', (_what, failingSince, attempts, failures, percent, reason) => {
    expect(pressureOf({ failingSince, attempts, failures }, thresholds, now)).toEqual({ percent, reason });
  });

  it.each([
    [49, 0],
    [50, 1],
    [75, 2],
    [89, 2],
    [90, 3],
  ])('at %i %% level %i has been reached', (percent, level) => {
    expect(warningLevel(percent)).toBe(level);
  });
});

describe('endpoints that fail', () => {
  let store: StoreFixture;
  let health: EndpointHealth;
  beforeAll(async () => {
    store = await StoreFixture.open();
    health = new EndpointHealth(store.database, { thresholds, probeIntervalMs: 60_000, maxAttempts: 9 });
  });
  beforeEach(() => store.clear());
  afterAll(() => store.close());

  const number = (webhook: { id: string }) => webhook.id.slice('wh_'.length);
  const status = async (webhook: { id: string }) => {
    const found = await store.webhooks.get('spc_1', webhook.id);
    return [found?.status, found?.disabledReason];
  };

  /** As if it had failed since then; a millisecond more, since the column rounds to one. */
  const failingFor = (webhook: { id: string }, ms: number) =>
    store.database.acrossSpaces('a test moves time').query(
      {
        name: 'test.failing_for',
        text: `update webhooks.endpoint_state set failing_since = now() - ($2::float8 + 1) * interval '1 ms' where endpoint_id = $1`,
      },
      [number(webhook), ms],
    );

  /** The operational events that wait for somebody, in order. */
  const told = async (instance: string) => {
    const claimed = await store.dispatch.claim(instance, room());
    await store.dispatch.record(
      instance,
      claimed.map(({ id }) => result(id)),
    );
    return claimed
      .filter(({ event }) => event.startsWith('webhook.'))
      .map(({ payload }) => JSON.parse(Buffer.from(payload).toString()) as { event: string; data: object });
  };

  it('warned of at 50, 75 and 90 percent, once each; then off, with the reason', async () => {
    const failing = await store.webhook('spc_1', { name: 'Failing' });
    await store.webhook('spc_1', { events: ['webhook.failing', 'webhook.disabled'] });
    await store.webhook('spc_2', { events: ['webhook.failing', 'webhook.disabled'] });
    const instance = await store.instance();
    for (const share of [0.4, 0.5, 0.6, 0.76, 0.95, 0.99]) {
      await failingFor(failing, share * 5 * day);
      await health.judge();
      await health.judge();
    }
    const about = { webhookId: failing.id, name: 'Failing', url: failing.url, reason: 'no_success' };
    expect(await told(instance)).toMatchObject([
      { event: 'webhook.failing', data: { ...about, percent: 50 } },
      { event: 'webhook.failing', data: { ...about, percent: 75 } },
      { event: 'webhook.failing', data: { ...about, percent: 90 } },
    ]);
    await failingFor(failing, 5 * day);
    expect(await Promise.all([health.judge(), health.judge()])).toContainEqual([number(failing), '2']);
    expect(await told(instance)).toMatchObject([
      { event: 'webhook.disabled', data: { ...about, failingSince: expect.any(String) as string } },
    ]);
    expect(await status(failing)).toEqual(['disabled', 'no_success']);
  });

  it('a failure rate of the last day turns it off too', async () => {
    const failing = await store.webhook('spc_1');
    const instance = await store.instance();
    const { leased } = await store.dispatch.accept(instance, store.events('spc_1', 101), room(200));
    await store.dispatch.record(
      instance,
      leased.map(({ id }, at) => result(id, at < 99 ? { kind: 'retry', inMs: 60_000 } : { kind: 'delivered' })),
    );
    await health.judge();
    expect(await status(failing)).toEqual(['active', null]);
    await store.dispatch.record(instance, []);
    const { leased: last } = await store.dispatch.accept(instance, store.events('spc_1', 1), room());
    await store.dispatch.record(instance, [result(last[0]?.id ?? '', { kind: 'retry', inMs: 60_000 })]);
    await health.judge();
    expect(await status(failing)).toEqual(['disabled', 'failure_rate']);
  });

  it('who fails from the first attempt on is warned at each step too, and never turned off unwarned', async () => {
    const [slowly, atOnce] = [await store.webhook('spc_1'), await store.webhook('spc_2')];
    for (const space of ['spc_1', 'spc_2'])
      await store.webhook(space, { events: ['webhook.failing', 'webhook.disabled'] });
    const instance = await store.instance();
    const fail = async (space: string, count: number) => {
      const { leased } = await store.dispatch.accept(instance, store.events(space, count), room());
      await store.dispatch.record(
        instance,
        leased.map(({ id }) => result(id, { kind: 'retry', inMs: 3_600_000 })),
      );
      await health.judge();
      return (await told(instance)).map(({ event, data }) => [event, (data as { percent?: number }).percent]);
    };
    expect(await fail('spc_1', 49)).toEqual([]);
    expect(await fail('spc_1', 1)).toEqual([['webhook.failing', 50]]);
    expect(await fail('spc_1', 30)).toEqual([['webhook.failing', 75]]);
    expect(await fail('spc_1', 19)).toEqual([['webhook.failing', 90]]);
    expect(await fail('spc_1', 1)).toEqual([['webhook.disabled', undefined]]);
    expect(await fail('spc_2', 100)).toEqual([
      ['webhook.failing', 50],
      ['webhook.failing', 75],
      ['webhook.failing', 90],
      ['webhook.disabled', undefined],
    ]);
    expect(await status(slowly)).toEqual(['disabled', 'failure_rate']);
    expect((await store.webhooks.get('spc_2', atOnce.id))?.status).toBe('disabled');
  });

  it('what it missed goes in its order when it is back, retries at once, however many probes have failed', async () => {
    const failing = await store.webhook('spc_1', { retryScheduleMs: [3_600_000] });
    const instance = await store.instance();
    const early = store.events('spc_1', 2);
    const { leased } = await store.dispatch.accept(instance, early, room());
    const retry = (delivery: { id: string } | undefined) =>
      store.dispatch.record(instance, [result(delivery?.id ?? '', { kind: 'retry', inMs: 3_600_000 })]);
    await retry(leased[1]);
    await failingFor(failing, 6 * day);
    await health.judge();
    // It was on its way when the endpoint went off.
    await retry(leased[0]);
    const late = store.events('spc_1', 3);
    await store.dispatch.accept(instance, late, room());
    const probe = async (effect: Parameters<typeof result>[1]) => {
      await store.database.acrossSpaces('a test moves time').query({
        name: 'test.probe_now',
        text: `update webhooks.endpoint_state set probe_at = now() - interval '1 second'`,
      });
      const [claimed, ...others] = await store.dispatch.claim(instance, room());
      expect([claimed?.messageId, claimed?.reason, others]).toEqual([early[1]?.id, 'probe', []]);
      const number = (claimed?.attempts ?? 0) + 1;
      await store.dispatch.record(instance, [result(claimed?.id ?? '', effect, { reason: 'probe', number })]);
    };
    for (let round = 0; round < 12; round++) await probe({ kind: 'put_back' });
    expect((await store.deliveries())[1]).toMatchObject({ status: 'retrying', attempts: 1, next_retry_at: null });
    await probe({ kind: 'delivered' });
    expect(await status(failing)).toEqual(['active', null]);
    const caughtUp = await store.dispatch.claim(instance, room());
    expect(caughtUp.map(({ messageId }) => messageId)).toEqual([early[0], ...late].map((event) => event?.id));
    expect(caughtUp.map(({ reason, attempts }) => [reason, attempts])).toEqual([
      ['retry', 1],
      ...late.map(() => ['first', 0]),
    ]);
  });

  it('two dispatchers probe once in a while between them, also where there is a rate', async () => {
    const failing = await store.webhook('spc_1', { rateLimit: 100 });
    const [one, two] = [await store.instance(), await store.instance()];
    await failingFor(failing, 6 * day);
    await health.judge();
    await store.dispatch.accept(one, store.events('spc_1', 20), room());
    for (let round = 0; round < 10; round++) {
      await store.database.acrossSpaces('a test moves time').query({
        name: 'test.probe_now',
        text: `update webhooks.endpoint_state set probe_at = now() - interval '1 second'`,
      });
      const both = await Promise.all([one, two].map((instance) => store.dispatch.claim(instance, room())));
      expect(both.flat()).toHaveLength(1);
      expect(await store.dispatch.claim(one, room())).toEqual([]);
      const [probe] = both.flat();
      await store.dispatch.record(both[0]?.length ? one : two, [
        result(probe?.id ?? '', { kind: 'put_back' }, { reason: 'probe' }),
      ]);
    }
  });

  it('a probe that was taken and not made is due again at once, whoever gave it back, and its delivery is no probe', async () => {
    const failing = await store.webhook('spc_1', { rateLimit: 1_000 });
    const [one, two, three] = [await store.instance(), await store.instance(), await store.instance()];
    await failingFor(failing, 6 * day);
    await health.judge();
    await store.dispatch.accept(one, store.events('spc_1', 1), room());
    await store.database.acrossSpaces('a test moves time').query({
      name: 'test.probe_now',
      text: `update webhooks.endpoint_state set probe_at = now() - interval '1 second'`,
    });
    const givenBack: ((instance: string, id: string) => Promise<unknown>)[] = [
      (instance, id) => store.dispatch.release(instance, [id]),
      (instance) => store.dispatch.retire(instance),
      async (instance) => {
        await store.database
          .acrossSpaces('a test ends an instance')
          .query({ name: 'test.kill', text: `delete from webhooks.dispatcher where id = $1` }, [instance]);
        await store.dispatch.reap();
      },
    ];
    for (const [index, instance] of [one, two, three].entries()) {
      const [probe] = await store.dispatch.claim(instance, room());
      expect(probe?.reason).toBe('probe');
      await givenBack[index]?.(instance, probe?.id ?? '');
      const queued = await store.database
        .acrossSpaces('what is kept of it')
        .query({ name: 'test.queued', text: `select state, reason from webhooks.queue` });
      expect(queued).toEqual([{ state: 'ready', reason: 'first' }]);
    }
  });

  it('what a replay brings stays behind, and is a replay still after a failed probe', async () => {
    const failing = await store.webhook('spc_1');
    const instance = await store.instance();
    await failingFor(failing, 6 * day);
    await health.judge();
    await store.dispatch.accept(instance, store.events('spc_1', 1), room());
    await store.database.acrossSpaces('a test makes a replay of it').query({
      name: 'test.as_of_replay',
      text: `update webhooks.queue set rank = 2, replay_id = 7, reason = 'replay'`,
    });
    for (const reason of ['probe', 'probe']) {
      await store.database.acrossSpaces('a test moves time').query({
        name: 'test.probe_now',
        text: `update webhooks.endpoint_state set probe_at = now() - interval '1 second'`,
      });
      const [probe] = await store.dispatch.claim(instance, room());
      expect(probe?.reason).toBe(reason);
      await store.dispatch.record(instance, [result(probe?.id ?? '', { kind: 'put_back' }, { reason: 'probe' })]);
    }
    const [waiting] = await store.database
      .acrossSpaces('a test looks at everything')
      .query({ name: 'test.rank', text: `select rank, reason, state, attempts from webhooks.queue` });
    expect(waiting).toEqual({ rank: 2, reason: 'replay', state: 'ready', attempts: 0 });
  });

  it('while it is off its deliveries are held; one probe at a time; the first success brings it back with everything', async () => {
    const failing = await store.webhook('spc_1');
    await store.webhook('spc_1', { events: ['webhook.recovered'] });
    const instance = await store.instance();
    await failingFor(failing, 6 * day);
    await health.judge();
    const { leased, waiting } = await store.dispatch.accept(instance, store.events('spc_1', 3), room());
    expect([leased.length, waiting]).toEqual([0, 3]);
    expect(await store.dispatch.claim(instance, room())).toEqual([]);

    const probeNow = () =>
      store.database.acrossSpaces('a test moves time').query({
        name: 'test.probe_now',
        text: `update webhooks.endpoint_state set probe_at = now() - interval '1 second'`,
      });
    await probeNow();
    const [probe, ...others] = await store.dispatch.claim(instance, room());
    expect([probe?.reason, others.length]).toEqual(['probe', 0]);
    await store.dispatch.record(instance, [result(probe?.id ?? '', { kind: 'put_back' }, { reason: 'probe' })]);
    expect(await store.dispatch.claim(instance, room())).toEqual([]);
    await probeNow();
    const [second] = await store.dispatch.claim(instance, room());
    const ready: string[] = [];
    store.dispatch.onReady((endpoints) => ready.push(...endpoints));
    await store.dispatch.record(instance, [result(second?.id ?? '', { kind: 'delivered' }, { reason: 'probe' })]);
    expect(await status(failing)).toEqual(['active', null]);
    expect(ready).toContain(number(failing));
    const caughtUp = await store.dispatch.claim(instance, room());
    expect(caughtUp.map(({ event }) => event).sort()).toEqual(['file.updated', 'file.updated', 'webhook.recovered']);
    await health.judge();
    expect(await status(failing)).toEqual(['active', null]);
  });

  it('switching it on probes first when something is held, and is at once when nothing is', async () => {
    const held = await store.webhook('spc_1');
    const empty = await store.webhook('spc_2');
    const instance = await store.instance();
    for (const webhook of [held, empty]) await failingFor(webhook, 6 * day);
    await health.judge();
    await store.dispatch.accept(instance, store.events('spc_1', 1), room());
    const on = (spaceId: string, webhook: { id: string }) =>
      store.webhooks.update(spaceId, webhook.id, { isActive: true }, store.position(spaceId));
    expect(await on('spc_1', held)).toMatchObject({ isActive: true, status: 'disabled' });
    expect(await store.dispatch.claim(instance, room())).toMatchObject([{ reason: 'probe' }]);
    expect(await on('spc_2', empty)).toMatchObject({ isActive: true, status: 'active', disabledReason: null });
    await health.judge();
    expect((await store.webhooks.get('spc_2', empty.id))?.status).toBe('active');
  });

  it('switching it off ends what is held', async () => {
    const failing = await store.webhook('spc_1');
    await failingFor(failing, 6 * day);
    await health.judge();
    await store.dispatch.accept(await store.instance(), store.events('spc_1', 1), room());
    await store.webhooks.update('spc_1', failing.id, { isActive: false }, store.position('spc_1'));
    expect(await status(failing)).toEqual(['inactive', null]);
    expect(await store.deliveries()).toMatchObject([{ status: 'cancelled', state: null }]);
  });

  it('trouble that passes is taken back', async () => {
    const failing = await store.webhook('spc_1');
    await store.webhook('spc_1', { events: ['webhook.failing', 'webhook.recovered'] });
    const instance = await store.instance();
    await failingFor(failing, 3 * day);
    await health.judge();
    const { leased } = await store.dispatch.accept(instance, store.events('spc_1', 1), room());
    await store.dispatch.record(instance, [result(leased[0]?.id ?? '')]);
    await health.judge();
    await health.judge();
    expect((await told(instance)).map(({ event }) => event)).toEqual(['webhook.failing', 'webhook.recovered']);
  });

  it('T-112 an endpoint that says 410 is reported as well', async () => {
    const gone = await store.webhook('spc_1');
    await store.webhook('spc_1', { events: ['webhook.disabled'] });
    await store.dispatch.turnOff(number(gone), 'gone');
    const figures = { failingSince: null, consecutiveFailures: null, attemptsLastDay: null, failuresLastDay: null };
    expect(await told(await store.instance())).toMatchObject([
      {
        event: 'webhook.disabled',
        data: { webhookId: gone.id, name: 'CRM', url: gone.url, reason: 'gone', ...figures },
      },
    ]);
  });

  it('a thin webhook hears the whole of it: there is no record to ask for', async () => {
    const gone = await store.webhook('spc_1');
    const thin = await store.webhook('spc_1', { events: ['webhook.disabled'], thin: true });
    await store.dispatch.turnOff(number(gone), 'gone');
    expect(await store.dispatch.claim(await store.instance(), room())).toMatchObject([
      { webhookId: number(thin), event: 'webhook.disabled', thin: false },
    ]);
  });

  describe('where a replay sends to another URL', () => {
    const replayElsewhere = async (webhook: { id: string }) => {
      const since = new Date(Date.now() - day).toISOString();
      const until = new Date().toISOString();
      const rest = { events: null, ratePerSecond: null, dryRun: false } as const;
      const url = 'https://staging.example/hook';
      await store.replays.create('spc_1', webhook.id, { since, until, selection: 'all', url, ...rest });
      const [job] = await store.replays.take(1);
      return { id: `wh_${job?.targetId}` };
    };

    it('that one hears nothing, is not judged, and nobody hears of it', async () => {
      const webhook = await store.webhook('spc_1', { events: ['webhook.failing', 'webhook.disabled'] });
      const gone = await store.webhook('spc_1');
      const target = await replayElsewhere(webhook);
      const instance = await store.instance();
      await store.dispatch.turnOff(number(gone), 'gone');
      const claimed = await store.dispatch.claim(instance, room());
      expect(claimed.map(({ webhookId }) => webhookId)).toEqual([number(webhook)]);
      await failingFor(target, 6 * day);
      expect(await health.judge()).toEqual([]);
      await store.dispatch.turnOff(number(target), 'gone');
      expect(await told(instance)).toEqual([]);
    });
  });
});
