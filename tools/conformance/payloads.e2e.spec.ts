import { spawnSync } from 'node:child_process';
import path from 'node:path';
import { eventNames, operationalEventNames } from '@keyturn/contracts';
import { startSystem, waitFor, workspaceRoot, type ReceivedRequest, type TestSystem } from '@keyturn/testing';
import type { Door } from './door';
import { Receivers } from './receivers';
import { TestSpace } from './space';

/** What receivers get, held against what the OpenAPI document says that they get. */

interface MediaType {
  example?: unknown;
  examples?: Record<string, { value: unknown }>;
}
interface Document {
  paths: Record<string, Record<string, { responses: Record<string, { content: { 'application/json': MediaType } }> }>>;
  webhooks: Record<string, { post: { requestBody: { content: { 'application/json': MediaType } } } }>;
}
interface Payload {
  event: string;
  data: Record<string, unknown>;
  timestamp: string;
}

const payloadOf = (request: ReceivedRequest) => JSON.parse(request.body.toString()) as Payload;

// A whole system starts first, on whatever machine this is.
jest.setTimeout(90_000);

describe('payloads', () => {
  let system: TestSystem;
  let space: TestSpace;
  let door: Door;
  let sink: Receivers;

  beforeAll(async () => {
    system = await startSystem({
      env: {
        WEBHOOK_RETRY_SCHEDULE: '200ms,200ms,200ms',
        WEBHOOK_DISABLE_AFTER: '6s',
        WEBHOOK_HEALTH_INTERVAL: '100ms',
        WEBHOOK_PROBE_INTERVAL: '200ms',
      },
    });
    sink = await Receivers.start();
    space = await TestSpace.make(system);
    door = space.door;
  });

  afterAll(async () => {
    await system.stop();
    await sink.stop();
  });

  const create = async (where: string, events: readonly string[], more: object = {}): Promise<string> =>
    (await space.subscribe(sink.url(where), events, more)).id;

  const documentOfSystem = async () => (await door.get('/api/v1/openapi.json')).json as unknown as Document;

  /** What a linter of OpenAPI finds wrong with payloads that take the place of the document's own examples. */
  async function problemsOf(payloads: readonly Payload[]): Promise<string[]> {
    const document = await documentOfSystem();
    for (const [event, { post }] of Object.entries(document.webhooks)) {
      const ofEvent = payloads.filter((payload) => payload.event === event);
      const content = post.requestBody.content['application/json'];
      if (ofEvent.length === 0) continue;
      delete content.example;
      content.examples = Object.fromEntries(ofEvent.map((value, at) => [`delivered-${at}`, { value }]));
    }
    return problemsIn(document, '#/webhooks/');
  }

  function problemsIn(document: Document, part: string): string[] {
    const program = path.join(workspaceRoot(), 'apps/api-gateway/src/openapi/lint.mjs');
    const linter = spawnSync(process.execPath, [program], { input: JSON.stringify(document) });
    expect(linter.stderr.toString()).toBe('');
    const found = JSON.parse(linter.stdout.toString()) as { ruleId: string; message: string; at: string }[];
    return found.filter(({ at }) => at.startsWith(part)).map(({ message, at }) => `${at}: ${message}`);
  }

  it('T-108 T-122 of records are what the document says', async () => {
    await create('/records', eventNames);
    for (const resource of ['user', 'contact', 'file', 'task', 'calendar_item', 'contingency', 'note'])
      await space.publish([
        { type: `${resource}.created`, data: { id: 7 } },
        { type: `${resource}.updated`, data: { id: 7, createdAt: '2026-03-01T08:00:00Z' } },
        ...(resource === 'task' ? [{ type: 'task.completed', data: { id: 7 } }] : []),
        { type: `${resource}.deleted`, data: { id: 7 } },
      ]);
    const payloads = (await sink.received('/records', eventNames.length)).map(payloadOf);
    expect(new Set(payloads.map(({ event }) => event))).toEqual(new Set(eventNames));
    expect(await problemsOf(payloads)).toEqual([]);
  });

  it('T-085 about webhooks arrive like any other, stand in the history, and are what the document says', async () => {
    const listener = await create('/listener', operationalEventNames, { thin: true });
    const failing = await create('/failing', ['note.created', 'webhook.failing']);
    const gone = await create('/gone', ['note.created']);
    sink.script('/failing', { status: 500 });
    sink.script('/gone', { status: 410 });
    await space.publish([{ type: 'note.created', data: { id: 100 } }]);
    const heard = async (event: string, of: string) =>
      waitFor(
        `${event} of ${of}`,
        () =>
          Promise.resolve(
            sink
              .requests('/listener')
              .map(payloadOf)
              .find((payload) => payload.event === event && payload.data['webhookId'] === of),
          ),
        30_000,
      );
    expect((await heard('webhook.disabled', gone)).data).toMatchObject({ reason: 'gone', failingSince: null });
    expect((await heard('webhook.failing', failing)).data).toMatchObject({ name: '/failing', reason: 'no_success' });
    const disabled = await heard('webhook.disabled', failing);
    expect(disabled.data).toMatchObject({ reason: 'no_success', failingSince: expect.any(String) as string });
    await space.publish([{ type: 'note.created', data: { id: 101 } }]);
    sink.script('/failing', { status: 204 });
    await heard('webhook.recovered', failing);

    const payloads = sink.requests('/listener').map(payloadOf);
    expect(new Set(payloads.map(({ event }) => event))).toEqual(new Set(operationalEventNames));
    expect(await problemsOf(payloads)).toEqual([]);
    expect(sink.requests('/failing').filter((request) => payloadOf(request).event !== 'note.created')).toEqual([]);
    const listed = await door.rows(`/api/v1/webhooks/${listener}/deliveries?event=webhook.disabled&status=success`);
    expect(listed).toHaveLength(2);
    expect(listed).toContainEqual(expect.objectContaining({ payload: disabled }));

    // The same check finds what is wrong.
    const wrong = [
      { ...disabled, data: { ...disabled.data, reason: 'boredom' } },
      { ...disabled, data: { ...disabled.data, more: 1 } },
      { event: disabled.event, timestamp: disabled.timestamp, data: { webhookId: failing } },
    ];
    const problems = await problemsOf(wrong);
    for (const at of wrong.keys()) expect(problems).toContainEqual(expect.stringContaining(`delivered-${at}`));
  });

  it('T-080 T-092 answers of the routes for webhooks and the feed are what the document says', async () => {
    const document = await documentOfSystem();
    const asked: string[] = [];
    /** Asks, and puts the answer in the place of the document's example. */
    const ask = async (method: string, route: string, ids: Record<string, string> = {}, body?: object) => {
      const where = route.replace(/\{(\w+)\}/g, (_all, name: string) => ids[name] ?? '');
      const answer = await door.send(where, { method: method.toUpperCase(), body });
      const content = document.paths[route]?.[method]?.responses[answer.status]?.content['application/json'];
      expect([method, where, answer.status, content !== undefined]).toEqual([method, where, answer.status, true]);
      (content as MediaType).example = answer.json;
      asked.push(`${method} ${route}`);
      return answer.json.data as { id: string };
    };
    const webhooks = '/api/v1/webhooks';
    const one = `${webhooks}/{id}`;
    const since = new Date().toISOString();
    await space.publish([{ type: 'contact.created', data: { id: 300, firstName: 'Zoë' } }]);
    sink.script('/answers', { status: 500, body: 'no' }, 1);
    const input = { name: 'answers', url: sink.url('/answers'), events: ['contact.*', 'webhook.failing'] };
    const more = {
      filter: { contact: [{ field: 'firstName', operator: 'contains', value: 'Zo' }] },
      headers: { 'X-A': 'b' },
    };
    const { id } = await ask('post', webhooks, {}, { ...input, ...more, retrySchedule: [0.1, 3_600], rateLimit: 100 });
    await ask('patch', one, { id }, { ordering: 'record' });
    await space.publish([{ type: 'contact.updated', data: { id: 300, firstName: 'Zoey' } }]);
    await sink.received('/answers', 2);
    const success = await waitFor(
      'its success',
      async () => (await door.rows(`${webhooks}/${id}/deliveries?status=success`))[0],
    );
    const delivery = { id, deliveryId: String(success.id) };
    await ask('get', `${one}/deliveries`, { id });
    await ask('get', `${one}/deliveries/{deliveryId}`, delivery);
    await ask('post', `${one}/deliveries/{deliveryId}/resend`, delivery);
    await ask('post', `${one}/test`, { id });
    await ask('post', `${one}/rotate`, { id }, { overlapSeconds: 60 });
    await ask('get', one, { id });
    await ask('get', webhooks);
    await ask('post', `${one}/pause`, { id });
    const replay = { since, status: 'missed', url: sink.url('/elsewhere'), ratePerSecond: 1, events: ['contact.*'] };
    const { id: replayId } = await ask('post', `${one}/replays`, { id }, replay);
    await ask('get', `${one}/replays`, { id });
    await ask('get', `${one}/replays/{replayId}`, { id, replayId });
    await ask('post', `${one}/replays/{replayId}/cancel`, { id, replayId });
    await ask('post', `${one}/resume`, { id });
    await ask('delete', one, { id });
    await ask('get', '/api/v1/events');
    const documented = Object.entries(document.paths)
      .filter(([route]) => route.startsWith(webhooks) || route === '/api/v1/events')
      .flatMap(([route, methods]) => Object.keys(methods).map((method) => `${method} ${route}`));
    expect(asked.sort()).toEqual(documented.sort());
    expect(
      problemsIn(document, '#/paths/').filter((problem) => !problem.startsWith('#/paths/~1api~1v1~1health')),
    ).toEqual([]);
  });
});
