import { loggedNames, type CommittedEvent, type LoggedEvent } from '@keyturn/contracts';
import { listQuery } from '@keyturn/testing';
import { type LogPage, type NewReplay, type ReplayJob } from './replay-store';
import { result, room, StoreFixture } from './store.fixture';

describe('replays', () => {
  let store: StoreFixture;
  /** The Space's log, as data-service has it. */
  let log: CommittedEvent[];
  let instance: string;
  beforeAll(async () => {
    store = await StoreFixture.open();
  });
  beforeEach(async () => {
    await store.clear();
    log = [];
    instance = await store.instance();
  });
  afterAll(() => store.close());

  const spec = (change: Partial<NewReplay> = {}): NewReplay => ({
    since: '2020-01-01T00:00:00.000Z',
    until: '2100-01-01T00:00:00.000Z',
    events: null,
    selection: 'missed',
    ratePerSecond: null,
    url: null,
    dryRun: false,
    ...change,
  });

  function logged(count: number, change: Parameters<StoreFixture['event']>[1] = {}): CommittedEvent[] {
    const events = Array.from({ length: count }, () => store.event('spc_1', change));
    log.push(...events);
    return events;
  }

  function page(job: ReplayJob, limit: number): LogPage {
    const events = log
      .filter((event) => event.sequence > job.position && job.events.includes(event.event))
      .slice(0, limit)
      .map((event) => ({ ...loggedEvent(event), payload: event.payload }));
    const more = events.length === limit;
    return { events, last: more ? (events.at(-1)?.sequence ?? 0) : (log.at(-1)?.sequence ?? 0), more };
  }

  const loggedEvent = (event: CommittedEvent): LoggedEvent => ({
    position: event.sequence,
    ...event,
    changed: [...event.changed],
    traceparent: event.traceparent ?? null,
    bytes: event.payload.length,
  });

  /** Works at whatever is due until nothing is. */
  async function work(limit = 100): Promise<void> {
    for (let jobs = await store.replays.take(10); jobs.length; jobs = await store.replays.take(10))
      for (const job of jobs) {
        if (!job.read) await store.replays.step(job, page(job, limit));
        else if (!(await store.replays.finish(job))) await store.replays.wait(job, 60_000);
      }
  }

  /** Sends what is due, successfully. */
  async function send(): Promise<string[]> {
    const claimed = await store.dispatch.claim(instance, room(1_000));
    await store.dispatch.record(
      instance,
      claimed.map(({ id, attempts }) => result(id, { kind: 'delivered' }, { number: attempts + 1, reason: 'replay' })),
    );
    return claimed.map(({ messageId }) => messageId);
  }

  const ids = (events: readonly { id: string }[]) => events.map(({ id }) => id);

  it('brings what was missed before the webhook was made, in order, with the same ids and bytes', async () => {
    const missed = logged(250);
    const webhook = await store.webhook('spc_1');
    const [seen] = logged(1);
    await store.dispatch.accept(instance, [seen as CommittedEvent], room());
    const replay = await store.replays.create('spc_1', webhook.id, spec());
    expect(replay).toMatchObject({ id: 'rpl_1', webhookId: webhook.id, status: 'running', selection: 'missed' });
    await work();
    const claimed = await store.dispatch.claim(instance, room(1_000));
    expect(ids(claimed.map(({ messageId: id }) => ({ id })))).toEqual(ids(missed));
    expect(claimed[0]).toMatchObject({ reason: 'replay', attempts: 0, payload: missed[0]?.payload });
    expect(await store.replays.get('spc_1', webhook.id, replay.id)).toMatchObject({
      status: 'running',
      matched: 250,
      deliveries: { pending: 250 },
    });
    await store.dispatch.record(
      instance,
      claimed.map(({ id }) => result(id)),
    );
    await store.database.acrossSpaces('a test moves time').query({
      name: 'test.replay_due',
      text: `update webhooks.replay set next_step_at = now() - interval '1 second'`,
    });
    await work();
    expect(await store.replays.get('spc_1', webhook.id, replay.id)).toMatchObject({
      status: 'done',
      matched: 250,
      deliveries: { success: 250, pending: 0 },
      finishedAt: expect.any(String) as string,
    });
  });

  it('what failed, what was missed, or everything', async () => {
    const webhook = await store.webhook('spc_1');
    const [delivered, failed, waiting, cancelled] = logged(4);
    const { leased } = await store.dispatch.accept(instance, log, room());
    await store.dispatch.record(instance, [
      result(leased[0]?.id ?? ''),
      result(leased[1]?.id ?? '', { kind: 'failed' }),
      result(leased[2]?.id ?? '', { kind: 'retry', inMs: 3_600_000 }),
    ]);
    await store.dispatch.release(instance, [leased[3]?.id ?? '']);
    await store.webhooks.update('spc_1', webhook.id, { isActive: false }, store.position('spc_1'));
    const [whileOff] = logged(1);
    await store.webhooks.update('spc_1', webhook.id, { isActive: true }, store.position('spc_1'));
    expect((await store.deliveries()).map(({ status }) => status)).toEqual([
      'success',
      'failed',
      'cancelled',
      'cancelled',
    ]);

    const chosen = async (change: Partial<NewReplay>) => {
      const { id } = await store.replays.create('spc_1', webhook.id, spec({ ...change, dryRun: true }));
      await work();
      return (await store.replays.get('spc_1', webhook.id, id))?.matched;
    };
    expect(await chosen({ selection: 'failed' })).toBe(1);
    expect(await chosen({ selection: 'missed' })).toBe(3);
    expect(await chosen({ selection: 'all' })).toBe(5);
    expect(await chosen({ selection: 'all', events: ['file.*'] })).toBe(5);
    expect(await chosen({ selection: 'all', events: ['note.created'] })).toBe(0);
    expect(await store.deliveries()).toHaveLength(4);

    await store.replays.create('spc_1', webhook.id, spec({ selection: 'all' }));
    await work();
    expect(await send()).toEqual(ids([delivered, failed, waiting, cancelled, whileOff] as CommittedEvent[]));
    const rows = await store.deliveries();
    expect(rows).toHaveLength(5);
    expect(rows.map(({ status, attempts }) => [status, attempts])).toEqual([
      ['success', 2],
      ['success', 2],
      ['success', 2],
      ['success', 1],
      ['success', 1],
    ]);
  });

  it('leaves alone what waits for its own turn', async () => {
    const webhook = await store.webhook('spc_1');
    logged(2);
    await store.dispatch.accept(instance, log, room(0));
    const { id } = await store.replays.create('spc_1', webhook.id, spec({ selection: 'all' }));
    await work();
    expect(await store.replays.get('spc_1', webhook.id, id)).toMatchObject({ status: 'done', matched: 0 });
  });

  it('goes behind live deliveries, and no faster than its rate', async () => {
    logged(30);
    const webhook = await store.webhook('spc_1');
    const { id } = await store.replays.create('spc_1', webhook.id, spec({ ratePerSecond: 10 }));
    await work();
    const live = logged(1);
    await store.dispatch.accept(instance, live, room());
    const [first] = await store.dispatch.claim(instance, room(1));
    expect(first?.messageId).toBe(live[0]?.id);
    const rows = await store.deliveries();
    expect(rows.filter(({ state }) => state === 'ready' || state === 'scheduled')).toHaveLength(10);
    expect(await store.replays.get('spc_1', webhook.id, id)).toMatchObject({ matched: 10, status: 'running' });
    // The next ten are for the next second, and the page that was cut is not forgotten.
    expect(await store.replays.take(10)).toEqual([]);
    await store.database.acrossSpaces('a test moves time').query({
      name: 'test.replay_due',
      text: `update webhooks.replay set next_step_at = now() - interval '1 second'`,
    });
    await work();
    expect(await store.replays.get('spc_1', webhook.id, id)).toMatchObject({ matched: 20 });
  });

  it('respects the filter of the webhook', async () => {
    logged(1, { data: { listPrice: 400_000 } });
    const [dear] = logged(1, { data: { listPrice: 600_000 } });
    const filter = { file: [{ field: 'listPrice', operator: 'gt' as const, value: 500_000 }] };
    const webhook = await store.webhook('spc_1', { filter });
    await store.replays.create('spc_1', webhook.id, spec());
    await work();
    expect(await send()).toEqual([dear?.id]);
  });

  it('to another URL, signed with the same secret, listed nowhere, gone at the end', async () => {
    logged(3);
    const webhook = await store.webhook('spc_1', { headers: { Authorization: 'Bearer x' } });
    const before = await store.dispatch.endpoints([webhook.id.slice(3)]);
    const url = 'https://staging.example/hook';
    const { id } = await store.replays.create('spc_1', webhook.id, spec({ url, selection: 'all' }));
    await work();
    const claimed = await store.dispatch.claim(instance, room());
    expect(claimed).toHaveLength(3);
    const target = claimed[0]?.webhookId as string;
    expect(await store.dispatch.endpoints([target])).toMatchObject([{ url, secrets: before[0]?.secrets, headers: {} }]);
    expect((await store.webhooks.list('spc_1', listQuery())).head.total).toBe(1);
    expect(await store.webhooks.get('spc_1', `wh_${target}`)).toBeUndefined();
    const { leased } = await store.dispatch.accept(instance, logged(1), room());
    expect(leased.map(({ webhookId }) => `wh_${webhookId}`)).toEqual([webhook.id]);

    await store.dispatch.record(
      instance,
      claimed.map(({ id }) => result(id)),
    );
    await store.database.acrossSpaces('a test moves time').query({
      name: 'test.replay_due',
      text: `update webhooks.replay set next_step_at = now() - interval '1 second'`,
    });
    await work();
    expect(await store.replays.get('spc_1', webhook.id, id)).toMatchObject({ status: 'done', url });
    expect(await store.dispatch.endpoints([target])).toMatchObject([{ state: 'deleted', secrets: [] }]);
  });

  it('one at a time; a cancelled one takes back what it has not sent', async () => {
    const webhook = await store.webhook('spc_1');
    logged(3);
    const { leased } = await store.dispatch.accept(instance, log, room());
    await store.dispatch.record(instance, [
      result(leased[0]?.id ?? ''),
      result(leased[1]?.id ?? '', { kind: 'failed' }),
      result(leased[2]?.id ?? ''),
    ]);
    logged(1);
    await store.webhooks.update('spc_1', webhook.id, { events: ['file.*'] }, store.position('spc_1'));
    const { id } = await store.replays.create('spc_1', webhook.id, spec({ selection: 'all' }));
    await expect(store.replays.create('spc_1', webhook.id, spec())).rejects.toMatchObject({ code: 'CONFLICT' });
    await work();
    const [onItsWay] = await store.dispatch.claim(instance, room(1));
    expect(await store.replays.cancel('spc_1', webhook.id, id)).toMatchObject({ status: 'cancelled' });
    await store.dispatch.record(instance, [result(onItsWay?.id ?? '', { kind: 'retry', inMs: 1_000 })]);
    await store.dispatch.reap();
    expect((await store.deliveries()).map(({ status, state }) => [status, state])).toEqual([
      ['success', null],
      ['failed', null],
      ['success', null],
      ['cancelled', null],
    ]);
    expect((await store.replays.create('spc_1', webhook.id, spec())).status).toBe('running');
  });

  it('ends with its webhook', async () => {
    logged(2);
    const webhook = await store.webhook('spc_1');
    const { id } = await store.replays.create('spc_1', webhook.id, spec({ url: 'https://staging.example/' }));
    await work();
    await store.webhooks.update('spc_1', webhook.id, { isActive: false }, store.position('spc_1'));
    expect(await store.replays.get('spc_1', webhook.id, id)).toMatchObject({ status: 'cancelled' });
    expect(await store.dispatch.claim(instance, room())).toEqual([]);
  });

  it('T-112 ends when its receiver says 410, that of the webhook or the other URL', async () => {
    logged(3);
    const webhook = await store.webhook('spc_1');
    const elsewhere = await store.replays.create('spc_1', webhook.id, spec({ url: 'https://staging.example/' }));
    const [first] = await store.replays.take(1);
    await store.replays.step(first as ReplayJob, { ...page(first as ReplayJob, 1), more: true });
    const [sent] = await store.dispatch.claim(instance, room());
    await store.dispatch.record(instance, [result(sent?.id ?? '', { kind: 'failed' }, { status: 410 })]);
    await store.dispatch.turnOff(sent?.webhookId ?? '', 'gone');
    expect(await store.replays.get('spc_1', webhook.id, elsewhere.id)).toMatchObject({
      status: 'failed',
      error: 'The receiver answered 410: it takes nothing',
      finishedAt: expect.any(String) as string,
    });
    expect((await store.webhooks.get('spc_1', webhook.id))?.status).toBe('active');
    const own = await store.replays.create('spc_1', webhook.id, spec());
    await work();
    const claimed = await store.dispatch.claim(instance, room(1));
    await store.dispatch.record(instance, [result(claimed[0]?.id ?? '', { kind: 'failed' }, { status: 410 })]);
    await store.dispatch.turnOff(webhook.id.slice('wh_'.length), 'gone');
    expect(await store.replays.get('spc_1', webhook.id, own.id)).toMatchObject({ status: 'cancelled' });
    expect(await store.replays.take(10)).toEqual([]);
    expect(await store.dispatch.claim(instance, room())).toEqual([]);
  });

  it('survives its worker, and is worked at by one at a time', async () => {
    logged(2);
    const webhook = await store.webhook('spc_1');
    await store.replays.create('spc_1', webhook.id, spec());
    const both = await Promise.all([store.replays.take(10), store.replays.take(10)]);
    expect(both.flat()).toHaveLength(1);
    expect(await store.replays.take(10)).toEqual([]);
    await store.database.acrossSpaces('a test moves time').query({
      name: 'test.replay_lease',
      text: `update webhooks.replay set lease_until = now() - interval '1 ms'`,
    });
    await work();
    expect(await send()).toEqual(ids(log));
    // The first worker was slow rather than dead.
    const [late] = both.flat() as [ReplayJob];
    expect(await store.replays.step(late, page(late, 100))).toBe(false);
    expect(await send()).toEqual([]);
  });

  it('keeps the order within a record', async () => {
    logged(1, { recordId: 1 });
    logged(1, { recordId: 1 });
    logged(1, { recordId: 2 });
    const webhook = await store.webhook('spc_1', { ordering: 'record' });
    await store.replays.create('spc_1', webhook.id, spec());
    await work();
    expect(await send()).toEqual(ids([log[0], log[2]] as CommittedEvent[]));
    expect(await send()).toEqual(ids([log[1]] as CommittedEvent[]));
  });

  it('of this Space and webhook only', async () => {
    const webhook = await store.webhook('spc_1');
    const other = await store.webhook('spc_1');
    const { id } = await store.replays.create('spc_1', webhook.id, spec());
    expect(await store.replays.get('spc_2', webhook.id, id)).toBeUndefined();
    expect(await store.replays.get('spc_1', other.id, id)).toBeUndefined();
    expect(await store.replays.cancel('spc_2', webhook.id, id)).toBeUndefined();
    expect(await store.replays.get('spc_1', webhook.id, id)).toMatchObject({ status: 'running' });
  });

  it('names of the log behind a list of events', () => {
    expect(loggedNames(['note.deleted', 'task.*', 'webhook.disabled'])).toEqual([
      'task.created',
      'task.updated',
      'task.completed',
      'task.deleted',
      'note.deleted',
    ]);
  });
});
