import { HttpSink, startSystem, type TestSystem, waitFor } from '@keyturn/testing';

/** Seconds, as production has minutes. */
const settings = { WEBHOOK_RETRY_SCHEDULE: '200ms,200ms,500ms,1s', WEBHOOK_RETRY_JITTER: 'false', WEBHOOK_LEASE: '3s' };
const takeoverMs = 10_000;

describe('nothing is lost when a process dies', () => {
  let system: TestSystem;
  let sink: HttpSink;
  let spaceId: string;
  let key: string;
  let webhookId: string;

  beforeAll(async () => {
    [system, sink] = await Promise.all([
      startSystem({ dispatchers: 2, ownPostgres: true, env: settings }),
      HttpSink.start(),
    ]);
    const space = await system.createSpace();
    spaceId = space.id;
    key = (await system.createKey(space.slug)).key;
    const made = await fetch(`${system.baseUrl}/api/v1/webhooks`, {
      method: 'POST',
      headers: { 'X-API-Key': key, 'Content-Type': 'application/json' },
      body: JSON.stringify({ name: 'CRM', url: sink.url('/hook'), events: ['note.created'] }),
    });
    expect(made.status).toBe(201);
    webhookId = ((await made.json()) as { data: { id: string } }).data.id;
  }, 60_000);
  afterAll(async () => {
    await system.stop();
    await sink.stop();
  });
  beforeEach(() => {
    sink.clear();
    sink.answer({});
  });

  let nextId = 1;
  const notes = (count: number) =>
    Array.from({ length: count }, () => ({
      id: `note-${nextId}`,
      type: 'note.created',
      data: { id: nextId++, subject: 'kept' },
    }));
  /** Which records have been delivered, and the bytes under each message id. */
  const received = () => {
    const records = new Set<number>();
    const bodies = new Map<string, Set<string>>();
    for (const { headers, body } of sink.requests) {
      const text = body.toString();
      const id = String(headers['webhook-id']);
      records.add((JSON.parse(text) as { data: { id: number } }).data.id);
      bodies.set(id, (bodies.get(id) ?? new Set()).add(text));
    }
    return { records, bodies };
  };
  /** Every one of so many records was delivered, each under one id and with the same bytes whenever it was repeated. */
  const expectAll = (count: number) => {
    const { records, bodies } = received();
    expect([records.size, bodies.size]).toEqual([count, count]);
    for (const each of bodies.values()) expect(each.size).toBe(1);
  };

  it('T-114 one dispatcher away: what it had in flight reaches the receiver within 10 s, with the same id and bytes', async () => {
    sink.answer({ hang: true });
    const events = notes(40);
    await system.publishAndApply(spaceId, events);
    await sink.received(8);
    await system.kill('dispatcher');
    sink.answer({});
    await waitFor('all of them', () => received().records.size === events.length, takeoverMs);
    await settled();
    expectAll(events.length);
    await system.startInstance('dispatcher');
  });

  it('T-114 kill -9 of NATS in the middle loses nothing', async () => {
    const events = notes(200);
    await system.publish(spaceId, events.slice(0, 100));
    await system.nats.kill();
    await system.nats.restart();
    await publishUntilTaken(events.slice(100));
    await waitFor('all of them', () => received().records.size === events.length, takeoverMs);
    expectAll(events.length);
  });

  it('T-114 kill -9 of all processes of PostgreSQL with deliveries in flight loses nothing, and needs nobody', async () => {
    sink.answer({ delayMs: 30 });
    const events = notes(300);
    await system.publish(spaceId, events.slice(0, 200));
    await sink.received(40);
    await system.postgres.kill();
    await system.publish(spaceId, events.slice(200));
    expect((await read('notes')).status).toBe(503);
    await system.postgres.restart();
    await waitFor('all of them', () => received().records.size === events.length, takeoverMs);
    await waitFor('reads', async () => (await read(`notes/${events.at(-1)?.data.id}`)).status === 200, takeoverMs);
    await settled();
    expectAll(events.length);
  });

  it('T-114 kill -9 of data-service between a publish and its effects loses nothing', async () => {
    const events = notes(400);
    await Promise.all([system.publish(spaceId, events.slice(0, 200)), system.kill('data-service')]);
    await system.publish(spaceId, events.slice(200));
    await system.startInstance('data-service');
    await waitFor('all of them', () => received().records.size === events.length, takeoverMs);
    expectAll(events.length);
  });

  it('T-114 a dispatcher that was frozen past its lease changes nothing of what its successor has done', async () => {
    await system.terminate('dispatcher#2');
    let answerFirst: () => void = () => undefined;
    const awoken = new Promise<void>((resolve) => (answerFirst = resolve));
    sink.answer(async (_request, index) => {
      if (index > 0) return {};
      await awoken;
      return { status: 500 };
    });
    await system.publish(spaceId, notes(1));
    await sink.received(1);
    process.kill(system.pid('dispatcher'), 'SIGSTOP');
    await system.startInstance('dispatcher#2');
    await sink.received(2, undefined, takeoverMs);
    const [latest] = await waitFor('the success', async () => {
      const list = await deliveries('status=success&sort=createdAt&order=desc&pageSize=1');
      return list.data[0]?.messageId === sink.requests[0]?.headers['webhook-id'] && list.data;
    });
    answerFirst();
    process.kill(system.pid('dispatcher'), 'SIGCONT');
    const seen = await waitFor('the word of the old owner', async () => {
      const { data } = await json<{ data: Detailed }>(`webhooks/${webhookId}/deliveries/${latest?.id}`);
      return data.attemptLog.some(({ superseded }) => superseded) && data;
    });
    expect(seen).toMatchObject({ status: 'success', responseStatus: 200, attempts: 1, nextRetryAt: null });
    expect(seen.attemptLog.map(({ superseded, responseStatus }) => [superseded, responseStatus === 200])).toEqual(
      expect.arrayContaining([
        [false, true],
        [true, false],
      ]),
    );
    expectAll(1);
  });

  /** What is published into a broken connection is lost without a word, so a publisher tries again until it is told. */
  function publishUntilTaken(events: ReturnType<typeof notes>): Promise<true> {
    return waitFor(
      'NATS to take events again',
      () => system.publish(spaceId, events).then(() => true as const),
      20_000,
    );
  }

  /** Nothing waits any more: every result is written, and nothing will be sent again. */
  async function settled(): Promise<void> {
    const waiting = async () => (await deliveries('status[in]=pending,retrying&pageSize=1')).pagination.total;
    await waitFor('nothing to wait any more', async () => (await waiting()) === 0);
  }

  const deliveries = (query: string) =>
    json<{ data: { id: string; messageId: string }[]; pagination: { total: number } }>(
      `webhooks/${webhookId}/deliveries?${query}`,
    );

  async function json<T>(path: string): Promise<T> {
    const answer = await read(path);
    if (answer.status !== 200) throw new Error(`${path}: ${answer.status} ${await answer.text()}`);
    return (await answer.json()) as T;
  }

  function read(path: string): Promise<Response> {
    return fetch(`${system.baseUrl}/api/v1/${path}`, { headers: { 'X-API-Key': key } });
  }
});

interface Detailed {
  readonly status: string;
  readonly attemptLog: readonly { readonly superseded: boolean; readonly responseStatus: number | null }[];
}
