import { randomBytes } from 'node:crypto';
import { startSystem, waitFor, type TestSystem } from '@keyturn/testing';
import { Collector, pathOf } from './collector';
import { Receivers } from './receivers';
import { TestSpace } from './space';

const newTrace = (flags = '01') => {
  const [traceId, spanId] = [randomBytes(16).toString('hex'), randomBytes(8).toString('hex')];
  return { traceId, spanId, traceparent: `00-${traceId}-${spanId}-${flags}` };
};

describe('traces', () => {
  let collector: Collector;
  let receivers: Receivers;
  let system: TestSystem;
  let space: TestSpace;

  beforeAll(async () => {
    [collector, receivers] = await Promise.all([Collector.start(), Receivers.start()]);
    system = await startSystem({
      env: { ...collector.env, WEBHOOK_RETRY_SCHEDULE: '100ms', WEBHOOK_RETRY_JITTER: 'false' },
    });
    space = await TestSpace.make(system);
    await space.publish([
      { type: 'contact.created', data: { id: 1, firstName: 'Marked-Vorname', phone: '(206) 555-0143' } },
    ]);
  }, 60_000);
  afterAll(async () => {
    await system?.stop();
    await Promise.all([collector?.stop(), receivers?.stop()]);
  });

  it('one GET is one trace from the caller over gateway and data-service to Postgres', async () => {
    const { traceId, spanId, traceparent } = newTrace();
    const answer = await space.door.get('/api/v1/contacts/lookup?phone=2065550143', { traceparent });
    expect(answer.status).toBe(200);

    const spans = await collector.trace(
      traceId,
      (all) => all.some(({ name }) => name === 'GET /api/v1/contacts/lookup') && all.length >= 6,
    );
    const statement = spans.find(
      ({ service, attributes }) => service === 'data-service' && attributes['db.system.name'] === 'postgresql',
    );
    expect(statement && pathOf(statement, spans)).toEqual([
      expect.stringMatching(/^data-service client /),
      'data-service server data.lookup',
      'api-gateway client data.lookup',
      'api-gateway server GET /api/v1/contacts/lookup',
    ]);
    const admission = spans.find(({ name }) => name === 'access.admit');
    expect(admission && pathOf(admission, spans)).toEqual([
      'api-gateway client access.admit',
      'api-gateway internal admit',
      'api-gateway server GET /api/v1/contacts/lookup',
    ]);
    const request = spans.find(({ kind, service }) => service === 'api-gateway' && kind === 'server');
    expect(request).toMatchObject({
      parentSpanId: spanId,
      failed: false,
      attributes: {
        'http.request.method': 'GET',
        'http.route': '/api/v1/contacts/lookup',
        'http.response.status_code': 200,
        'keyturn.space.id': space.id,
        'keyturn.request.id': answer.headers['x-request-id'],
      },
    });
  });

  it('a write with a body stays in its trace', async () => {
    const { traceId, traceparent } = newTrace();
    const url = receivers.url('/written');
    const made = await space.door.send('/api/v1/webhooks', {
      method: 'POST',
      headers: { traceparent },
      body: { name: 'W', url, events: ['task.created'] },
    });
    expect(made.status).toBe(201);
    const isDone = ({ name }: { name: string }) => name === 'POST /api/v1/webhooks';
    const spans = await collector.trace(traceId, (all) => all.some(isDone) && all.some(isOfWebhooks));
    function isOfWebhooks({ service, attributes }: (typeof spans)[number]): boolean {
      return service === 'webhook-service' && attributes['db.system.name'] === 'postgresql';
    }
    for (const span of spans) expect(pathOf(span, spans).at(-1)).toBe('api-gateway server POST /api/v1/webhooks');
  });

  it("one publish is one trace from the publisher to each attempt, and the receiver is told the attempt's step", async () => {
    receivers.script('/hook', { status: 500 }, 1);
    await space.subscribe(receivers.url('/hook'), ['note.created']);
    const { traceId, spanId, traceparent } = newTrace();
    await space.publish([{ type: 'note.created', data: { id: 1, subject: 'Marked-Betreff' }, traceparent }]);
    const requests = await receivers.received('/hook', 2);

    const spans = await collector.trace(traceId, (all) => all.filter(({ name }) => name === 'POST').length === 2);
    const posts = spans.filter(({ name }) => name === 'POST');
    for (const post of posts)
      expect(pathOf(post, spans)).toEqual([
        'dispatcher client POST',
        'dispatcher consumer process EVENTS',
        'data-service producer send EVENTS',
        'data-service consumer process DOMAIN',
      ]);
    expect(spans.find(({ name }) => name === 'process DOMAIN')?.parentSpanId).toBe(spanId);
    const told = requests.map(({ headers }) => String(headers['traceparent']));
    expect(told.sort()).toEqual(posts.map((post) => `00-${traceId}-${post.spanId}-01`).sort());
    expect(posts.map(({ failed }) => failed).sort()).toEqual([false, true]);
    const statements = spans.filter(({ attributes }) => attributes['db.system.name'] === 'postgresql');
    expect(new Set(statements.map(({ service }) => service))).toEqual(new Set(['data-service', 'dispatcher']));
    expect(posts[0]?.attributes).toMatchObject({
      'server.address': '127.0.0.1',
      'cloudevents.event_type': 'note.created',
    });
  });

  it('a publish without a trace begins one', async () => {
    await space.publish([{ type: 'note.created', data: { id: 2, subject: 'none' } }]);
    const [, , request] = await receivers.received('/hook', 3);
    const [, traceId = '', spanId] = /^00-(\w+)-(\w+)-01$/.exec(String(request?.headers['traceparent'])) ?? [];
    const spans = await collector.trace(traceId, (all) => all.some((span) => span.spanId === spanId));
    expect(pathOf(spans.find((span) => span.spanId === spanId) as never, spans)).toHaveLength(4);
  });

  it('what its sender does not sample is not sampled here, and the receiver is told so', async () => {
    const unsampled = newTrace('00');
    const before = receivers.requests('/hook').length;
    await space.door.get('/api/v1/contacts', { traceparent: unsampled.traceparent });
    const note = { type: 'note.created', data: { id: 3, subject: 'none' }, traceparent: unsampled.traceparent };
    await space.publish([note]);
    const request = (await receivers.received('/hook', before + 1)).at(-1);
    expect(request?.headers['traceparent']).toMatch(new RegExp(`^00-${unsampled.traceId}-[0-9a-f]{16}-00$`));
    // A later trace is there, so whatever these two had to send would be there too.
    const { traceId, traceparent } = newTrace();
    await space.door.get('/api/v1/contacts', { traceparent });
    await collector.trace(traceId, (all) => all.some(({ name }) => name.startsWith('GET')));
    expect(collector.spans.some((span) => span.traceId === unsampled.traceId)).toBe(false);
  });

  it('log lines name the trace', async () => {
    const { traceId, traceparent } = newTrace();
    await space.publish([{ type: 'note.created', data: { id: 4, subject: 'none' }, traceparent }]);
    await collector.trace(traceId, (all) => all.some(({ name }) => name === 'POST'));
    await waitFor('the line of the attempt', () =>
      system.logs('dispatcher').some((line) => line['message'] === 'delivery attempted' && line['traceId'] === traceId),
    );
  });

  it('no span holds a value, a query string, a path or a secret', () => {
    const { text } = collector;
    expect(text).toContain('access.admit');
    for (const mark of ['Marked', '555-0143', '2065550143', 'phone=', '/hook', '/written', space.key, 'select '])
      expect([mark, text.includes(mark)]).toEqual([mark, false]);
  });

  it('there is one trace for each request and event, and none for probes and timers', () => {
    const { spans } = collector;
    const known = new Set(spans.map(({ spanId }) => spanId));
    const roots = spans.filter(({ parentSpanId }) => !known.has(parentSpanId));
    expect([...new Set(roots.map(({ name }) => name.split(' ')[0]))].sort()).toEqual(
      expect.arrayContaining(['GET', 'POST', 'process']),
    );
    expect(roots.filter(({ kind }) => kind === 'client')).toEqual([]);
  });

  it('loads the SDK only where a collector is named', async () => {
    let number = 1;
    const loaded = async (env: Readonly<Record<string, string>>): Promise<{ own: boolean; sdk: boolean }> => {
      const instance = `webhook-service#${++number}` as const;
      await system.startInstance(instance, { ...env, NODE_DEBUG: 'module' });
      const output = system.output(instance);
      await system.terminate(instance);
      return { own: output.includes('node_modules/pino/'), sdk: output.includes('@opentelemetry/sdk-trace') };
    };
    expect(await loaded({})).toEqual({ own: true, sdk: true });
    const offs: Readonly<Record<string, string>>[] = [
      { OTEL_EXPORTER_OTLP_ENDPOINT: '' },
      { OTEL_SDK_DISABLED: 'true' },
      { OTEL_TRACES_EXPORTER: 'none' },
    ];
    for (const off of offs) expect(await loaded(off)).toEqual({ own: true, sdk: false });
  }, 60_000);
});

describe('a collector that hangs', () => {
  let collector: Collector;
  let system: TestSystem;
  let space: TestSpace;

  beforeAll(async () => {
    collector = await Collector.start();
    collector.sink.answer({ hang: true });
    const env = { OTEL_EXPORTER_OTLP_PROTOCOL: 'http/protobuf', OTEL_BSP_MAX_QUEUE_SIZE: '64' };
    system = await startSystem({ env: { ...collector.env, ...env } });
    space = await TestSpace.make(system);
  }, 60_000);
  afterAll(async () => {
    await system?.stop();
    await collector?.stop();
  });

  it('delays and fails no request', async () => {
    const [first] = await collector.sink.received(1);
    expect(first?.headers['content-type']).toBe('application/x-protobuf');
    const times: number[] = [];
    for (let round = 0; round < 100; round++) {
      const started = performance.now();
      expect((await space.door.get('/api/v1/files')).status).toBe(200);
      times.push(performance.now() - started);
    }
    times.sort((a, b) => a - b);
    // A hundred requests make more spans than the buffer holds; a single wait for the collector would take seconds.
    expect(times.at(-1)).toBeLessThan(1_000);
  });

  it('keeps no service from ending', async () => {
    const started = performance.now();
    await system.terminate('api-gateway');
    expect(performance.now() - started).toBeLessThan(10_000);
  });
});
