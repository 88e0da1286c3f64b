import { createHmac } from 'node:crypto';
import { Webhook as StandardWebhook } from 'standardwebhooks';
import type { DeliveryAttempt } from '@keyturn/contracts';
import { freePort, startSystem, waitFor, type ReceivedRequest, type TestSystem } from '@keyturn/testing';
import type { Door } from './door';
import { Receivers } from './receivers';
import { TestSpace } from './space';

/** What the owner of a webhook has beside the documented seven routes: pause, rotation, one delivery, resend, idempotency. */

interface WebhookJson {
  id: string;
  status: string;
  signingSecret: string;
  previousSecretUntil: string | null;
}

// A whole system starts first, on whatever machine this is.
jest.setTimeout(60_000);

describe("the owner's tools", () => {
  let system: TestSystem;
  let space: TestSpace;
  let door: Door;
  let sink: Receivers;

  beforeAll(async () => {
    system = await startSystem({ env: { WEBHOOK_RETRY_SCHEDULE: '50ms,1h' } });
    sink = await Receivers.start();
    space = await TestSpace.make(system);
    door = space.door;
  });

  afterAll(async () => {
    await system.stop();
    await sink.stop();
  });

  const create = (path: string, more: object = {}) => space.subscribe(sink.url(path), ['file.*'], more);
  const publishFile = (id: number, data: object = {}) =>
    space.publish([{ type: 'file.created', data: { id, ...data } }]);
  const recordOf = (request: ReceivedRequest) =>
    (JSON.parse(request.body.toString()) as { data: { id: number } }).data.id;

  it('holds what comes while paused and delivers it on resume', async () => {
    const { id } = await create('/paused');
    const paused = await door.post(`/api/v1/webhooks/${id}/pause`, undefined);
    expect([paused.status, (paused.json.data as WebhookJson).status]).toEqual([200, 'paused']);
    await publishFile(1);
    await waitFor(
      'the delivery to wait',
      async () => (await door.rows(`/api/v1/webhooks/${id}/deliveries`)).length === 1,
    );
    expect(sink.requests('/paused')).toEqual([]);
    const resumed = await door.post(`/api/v1/webhooks/${id}/resume`, undefined);
    expect((resumed.json.data as WebhookJson).status).toBe('active');
    const [request] = await sink.received('/paused', 1);
    expect(recordOf(request as ReceivedRequest)).toBe(1);
  });

  it('signs with both secrets while a rotation overlaps, shown once each', async () => {
    const first = await create('/rotated');
    const rotation = await door.post(`/api/v1/webhooks/${first.id}/rotate`, { overlapSeconds: 3_600 });
    const second = rotation.json.data as WebhookJson;
    expect(second.signingSecret).not.toBe(first.signingSecret);
    expect(Date.parse(second.previousSecretUntil ?? '')).toBeGreaterThan(Date.now());
    expect(rotation.headers['cache-control']).toContain('no-store');
    await publishFile(2);
    const [request] = await sink.received('/rotated', 1);
    const { body, headers } = request as ReceivedRequest;
    for (const { signingSecret } of [first, second])
      new StandardWebhook(signingSecret).verify(body.toString(), headers as Record<string, string>);
    const hex = createHmac('sha256', second.signingSecret).update(body).digest('hex');
    expect(headers['x-webhook-signature']).toBe(hex);
    expect((await door.get(`/api/v1/webhooks/${first.id}`)).text).not.toMatch(/whsec_/);
  });

  it('shows one delivery with every attempt, and resends it with the same id and bytes', async () => {
    sink.script('/log', { status: 500, headers: { 'x-why': 'because' }, body: 'no' });
    const { id } = await create('/log');
    await publishFile(3);
    const requests = await sink.received('/log', 2);
    const row = await waitFor('two attempts on record', async () => {
      const [delivery] = await door.rows(`/api/v1/webhooks/${id}/deliveries`);
      return delivery?.['attempts'] === 2 ? delivery : undefined;
    });
    const path = `/api/v1/webhooks/${id}/deliveries/${String(row.id)}`;
    const { json } = await door.get(path);
    const { attemptLog } = json.data as { attemptLog: Record<string, unknown>[] };
    expect(attemptLog).toMatchObject([
      { number: 1, reason: 'first', responseStatus: 500, responseBody: 'no', address: '127.0.0.1', superseded: false },
      { number: 2, reason: 'retry', responseStatus: 500, responseHeaders: { 'x-why': 'because' } },
    ]);
    sink.script('/log', { status: 204 });
    expect((await door.post(`${path}/resend`, undefined)).status).toBe(200);
    const [, , again] = await sink.received('/log', 3);
    expect(again?.headers['webhook-id']).toBe(requests[0]?.headers['webhook-id']);
    expect(again?.body.equals(requests[0]?.body as Buffer)).toBe(true);
    await waitFor('the success on record', async () => {
      const { json: now } = await door.get(path);
      return (now.data as { status: string }).status === 'success';
    });
  });

  it('keeps of each attempt up to 16 KiB of the answer, the failure in words and the next time', async () => {
    sink.script('/wordy', { status: 503, headers: { 'x-node': 'b' }, body: 'é'.repeat(20_000) });
    const { id } = await create('/wordy');
    await publishFile(4);
    await sink.received('/wordy', 2);
    const row = await waitFor('two attempts on record', async () => {
      const [delivery] = await door.rows(`/api/v1/webhooks/${id}/deliveries?status=retrying&responseStatus=503`);
      return delivery?.['attempts'] === 2 ? delivery : undefined;
    });
    expect(Buffer.byteLength(row['responseBody'] as string)).toBe(2_000);
    const { json } = await door.get(`/api/v1/webhooks/${id}/deliveries/${String(row.id)}`);
    const { attemptLog, nextRetryAt } = json.data as { attemptLog: DeliveryAttempt[]; nextRetryAt: string };
    const [first, second] = attemptLog as [DeliveryAttempt, DeliveryAttempt];
    expect(first.responseBody).toBe('é'.repeat(8_192));
    expect(first).toMatchObject({ responseStatus: 503, fault: 'status', error: 'the receiver answered 503' });
    expect(first.responseHeaders).toMatchObject({ 'x-node': 'b' });
    for (const time of [first.connectMs, first.firstByteMs, first.durationMs]) expect(time).toBeGreaterThan(0);
    expect(Date.parse(first.nextRetryAt ?? '')).toBeLessThanOrEqual(Date.parse(second.startedAt));
    expect(second.nextRetryAt).toBe(nextRetryAt);

    const { id: off } = await space.subscribe(sink.url('/x'), ['note.created']);
    const closed = { url: `http://127.0.0.1:${await freePort()}/` };
    expect((await door.patch(`/api/v1/webhooks/${off}`, closed)).status).toBe(200);
    const { json: tested } = await door.post(`/api/v1/webhooks/${off}/test`, undefined);
    expect(tested.data).toMatchObject({
      status: 'failed',
      responseStatus: null,
      error: expect.stringMatching(/refused/),
    });
  });

  it('creates once for one Idempotency-Key, and refuses another body under it', async () => {
    const body = { name: 'once', url: sink.url('/once'), events: ['note.created'] };
    const sent = (name: string) => ({
      method: 'POST',
      headers: { 'idempotency-key': 'order-7' },
      body: { ...body, name },
    });
    const [first, second] = await Promise.all([
      door.send('/api/v1/webhooks', sent('once')),
      door.send('/api/v1/webhooks', sent('once')),
    ]);
    expect(first.status).toBe(201);
    expect(second.text).toBe(first.text);
    expect((await door.page('/api/v1/webhooks?name=once')).pagination.total).toBe(1);
    const conflict = await door.send('/api/v1/webhooks', sent('twice'));
    expect([conflict.status, conflict.json.error.code]).toEqual([409, 'CONFLICT']);
  });

  it('filters by fields, sends thin payloads and headers of the owner', async () => {
    await create('/filtered', {
      thin: true,
      headers: { 'X-Tenant': 'acme' },
      filter: { file: [{ field: 'listPrice', operator: 'gte', value: 500_000 }] },
    });
    await publishFile(10, { listPrice: 499_999 });
    await publishFile(11, { listPrice: 500_000 });
    const [request] = await sink.received('/filtered', 1);
    expect(JSON.parse(request?.body.toString() ?? '')).toMatchObject({ event: 'file.created', data: { id: 11 } });
    expect(Object.keys((JSON.parse(request?.body.toString() ?? '') as { data: object }).data)).toEqual(['id']);
    expect(request?.headers['x-tenant']).toBe('acme');
    expect(sink.requests('/filtered')).toHaveLength(1);
  });

  it('replays what was missed: counted dry first, then sent with the ids and bytes that the feed has', async () => {
    const since = new Date().toISOString();
    await publishFile(20);
    const { id } = await create('/replayed');
    const path = `/api/v1/webhooks/${id}/replays`;
    const finished = (replayId: string) =>
      waitFor('the replay to end', async () => {
        const { json } = await door.get(`${path}/${replayId}`);
        const replay = json.data as { status: string; matched: number; deliveries: Record<string, number> };
        return replay.status === 'running' ? undefined : replay;
      });
    const start = async (body: object) => {
      const answer = await door.post(path, { since, status: 'missed', events: ['file.created'], ...body });
      expect([answer.status, answer.text]).toEqual([201, answer.text]);
      return (answer.json.data as { id: string }).id;
    };
    expect(await finished(await start({ dryRun: true }))).toMatchObject({ status: 'done', matched: 1 });
    expect(sink.requests('/replayed')).toEqual([]);
    expect(await finished(await start({}))).toMatchObject({ status: 'done', matched: 1, deliveries: { success: 1 } });
    const [request] = await sink.received('/replayed', 1);
    expect(recordOf(request as ReceivedRequest)).toBe(20);
    const feed = await door.get('/api/v1/events?types=file.created&pageSize=100');
    const event = (feed.json.data as { id: string; payload: object }[]).at(-1);
    expect(event?.id).toBe(request?.headers['webhook-id']);
    expect(JSON.stringify(event?.payload)).toBe(request?.body.toString());
    expect((await door.get(path)).json.pagination.total).toBe(2);
  });

  it('replays to another URL what failed within a time; what came before or behind it stays out', async () => {
    const other = await TestSpace.make(system);
    const publish = (id: number) => other.publish([{ type: 'note.created', data: { id } }]);
    sink.script('/broken', { status: 400 });
    const { id } = await other.subscribe(sink.url('/broken'), ['note.*'], { retrySchedule: [] });
    await publish(1);
    const since = new Date().toISOString();
    await publish(2);
    const failed = `/api/v1/webhooks/${id}/deliveries?status=failed`;
    await waitFor('both to fail', async () => (await other.door.rows(failed)).length === 2);
    const until = new Date(Date.now() + 2).toISOString();
    await waitFor('the time to be over', () => Promise.resolve(new Date().toISOString() > until));
    await publish(3);
    await waitFor('all to fail', async () => (await other.door.rows(failed)).length === 3);
    const wanted = { since, until, status: 'failed', url: sink.url('/mended'), ratePerSecond: 50 };
    const started = await other.door.post(`/api/v1/webhooks/${id}/replays`, wanted);
    const { id: replay } = started.json.data as { id: string };
    const done = await waitFor('the replay to end', async () => {
      const { json } = await other.door.get(`/api/v1/webhooks/${id}/replays/${replay}`);
      return (json.data as { status: string }).status === 'done' ? json.data : undefined;
    });
    expect(done).toMatchObject({ matched: 1, deliveries: { success: 1 }, url: sink.url('/mended') });
    expect(sink.requests('/mended').map(recordOf)).toEqual([2]);
    expect(sink.requests('/mended')[0]?.body).toEqual(sink.requests('/broken')[1]?.body);
  });

  it('a replay goes on when webhook-service is killed in its midst, and each event arrives under its id', async () => {
    const other = await TestSpace.make(system);
    const since = new Date().toISOString();
    const count = 500;
    await other.publish(Array.from({ length: count }, (_, at) => ({ type: 'note.created', data: { id: at + 1 } })));
    const { id } = await other.subscribe(sink.url('/late'), ['note.*']);
    const started = await other.door.post(`/api/v1/webhooks/${id}/replays`, { since, status: 'missed' });
    expect(started.json.data).toMatchObject({ status: 'running' });
    await system.kill('webhook-service');
    await system.startInstance('webhook-service');
    await sink.received('/late', count, 30_000);
    const replay = `/api/v1/webhooks/${id}/replays/${(started.json.data as { id: string }).id}`;
    const done = await waitFor(
      'the replay to end',
      async () => {
        const { json } = await other.door.get(replay);
        return (json.data as { status: string } | undefined)?.status === 'done' ? json.data : undefined;
      },
      30_000,
    );
    expect(done).toMatchObject({ matched: count, deliveries: { success: count } });
    expect(new Set(sink.requests('/late').map((request) => request.headers['webhook-id'])).size).toBe(count);
  });

  it('has all events of the Space in one order, and waits for the next one', async () => {
    const other = await TestSpace.make(system);
    await other.publish([
      { type: 'note.created', data: { id: 1, subject: 'a' } },
      { type: 'note.updated', data: { id: 1, subject: 'b' } },
      { type: 'contact.created', data: { id: 1 } },
      { type: 'note.deleted', data: { id: 1 } },
    ]);
    type Feed = { id: string; sequence: number; payload: { event: string } }[];
    const seen: Feed = [];
    let after = '';
    for (let more: boolean | undefined = true; more;) {
      const { json } = await other.door.get(`/api/v1/events?pageSize=3&after=${after}`);
      seen.push(...(json.data as Feed));
      after = json.pagination.nextCursor as string;
      more = json.pagination.hasMore;
    }
    expect(seen.map(({ sequence }) => sequence)).toEqual([1, 2, 3, 4]);
    expect(seen.map(({ payload }) => payload.event)).toEqual([
      'note.created',
      'note.updated',
      'contact.created',
      'note.deleted',
    ]);
    const waiting = other.door.get(`/api/v1/events?types=contact.*&wait=20&after=${after}`);
    await other.publish([
      { type: 'note.created', data: { id: 2 } },
      { type: 'contact.updated', data: { id: 1, company: 'Acme' } },
    ]);
    const { json } = await waiting;
    expect((json.data as Feed).map(({ sequence }) => sequence)).toEqual([6]);
    expect((await door.get(`/api/v1/events?after=${after}`)).status).toBe(400);
    for (const query of ['types=file.exploded', 'wait=31', 'wait=x', 'pageSize=0', 'nonsense=1'])
      expect([query, (await door.get(`/api/v1/events?${query}`)).status]).toEqual([query, 400]);
  });
});
