import { createHmac } from 'node:crypto';
import { Webhook as StandardWebhook } from 'standardwebhooks';
import { eventNames } from '@keyturn/contracts';
import { startSystem, waitFor, type ReceivedRequest, type TestSystem } from '@keyturn/testing';
import type { Answer, Door } from './door';
import { Receivers } from './receivers';
import { TestSpace } from './space';

/** Subscriptions and deliveries through the public door: CONTRACT T-080 … T-118, with two dispatchers. */

interface WebhookJson {
  id: string;
  name: string;
  url: string;
  events: string[];
  isActive: boolean;
  signingSecret: string;
  createdAt: string;
  updatedAt: string;
}

interface DeliveryJson {
  id: string;
  webhookId: string;
  event: string;
  status: string;
  attempts: number;
  maxAttempts: number;
  responseStatus: number | null;
  nextRetryAt: string | null;
  deliveredAt: string | null;
  payload: { event: string; data: Record<string, unknown>; timestamp: string };
}

const nasty = {
  name: 'Zoë "quotes" \\ / </script> 🏡 \u2028 \u0001 tab\t',
  propertyAddress: '１ Straße, 東京',
  listPrice: 450000.1,
  bathrooms: 2.5,
  remarks: 'line\nline\r\n%s %00 ${x}',
};

// A whole system starts first, on whatever machine this is.
jest.setTimeout(60_000);

describe('webhooks', () => {
  let system: TestSystem;
  let space: TestSpace;
  let other: TestSpace;
  let door: Door;
  let sink: Receivers;

  beforeAll(async () => {
    system = await startSystem({
      dispatchers: 2,
      env: { WEBHOOK_RETRY_SCHEDULE: '50ms,50ms,50ms,50ms,50ms,50ms,50ms,50ms' },
    });
    sink = await Receivers.start();
    space = await TestSpace.make(system);
    other = await TestSpace.make(system);
    door = space.door;
  });

  afterAll(async () => {
    await system.stop();
    await sink.stop();
  });

  const create = (path: string, events: readonly string[], of = space) => of.subscribe(sink.url(path), events);
  const deliveries = async (id: string, query = ''): Promise<DeliveryJson[]> =>
    (await door.rows(`/api/v1/webhooks/${id}/deliveries${query}`)) as unknown as DeliveryJson[];
  const expectError = (answer: Answer, status: number, code: string, named = '') => {
    expect([answer.status, answer.json.error?.code]).toEqual([status, code]);
    expect(answer.json.error.message).toContain(named);
  };
  const received = (path: string, count: number) => sink.received(path, count);

  describe('management', () => {
    it('T-081 T-082 T-083 T-084 creates one and shows its secret this once', async () => {
      const webhook = await create('/created', ['file.updated', 'file.created', 'file.updated']);
      expect(Object.keys(webhook).slice(0, 7)).toEqual([
        'id',
        'name',
        'url',
        'events',
        'signingSecret',
        'isActive',
        'createdAt',
      ]);
      expect(webhook.id).toMatch(/^wh_[1-9]\d*$/);
      expect(webhook.isActive).toBe(true);
      expect(webhook.signingSecret).toMatch(/^whsec_[A-Za-z0-9+/]{43}=$/);
      const shown = await door.get(`/api/v1/webhooks/${webhook.id}`);
      const list = await door.get('/api/v1/webhooks');
      const patched = await door.patch(`/api/v1/webhooks/${webhook.id}`, {});
      for (const { text } of [shown, list, patched]) expect(text).not.toMatch(/signingSecret|whsec_/);
    });

    it('T-085 keeps the order of events and drops repetitions', async () => {
      expect((await create('/order', ['note.deleted', 'file.created', 'note.deleted'])).events).toEqual([
        'note.deleted',
        'file.created',
      ]);
      expect((await create('/all', eventNames)).events).toEqual(eventNames);
    });

    it.each<[string, Record<string, unknown>]>([
      ['name', { name: undefined }],
      ['name', { name: '' }],
      ['name', { name: 'x'.repeat(201) }],
      ['name', { name: 5 }],
      ['url', { url: undefined }],
      ['url', { url: 'not a url' }],
      ['url', { url: 'ftp://127.0.0.1/x' }],
      ['url', { url: 'https://user:pass@127.0.0.1/x' }],
      ['url', { url: `https://127.0.0.1/${'x'.repeat(2_048)}` }],
      ['url', { url: 'https://10.0.0.1/x' }],
      ['url', { url: 'http://169.254.169.254/latest/meta-data' }],
      ['url', { url: 'https://[::ffff:10.0.0.1]/' }],
      ['url', { url: 'https://0xa000001/' }],
      ['events', { events: undefined }],
      ['events', { events: [] }],
      ['events', { events: 'file.created' }],
      ['events', { events: ['*'] }],
      ['events', { events: ['file.exploded'] }],
      ['events', { events: ['webhook.test'] }],
    ])('T-081 T-085 T-086 refuses a wrong %s: %j', async (field, change) => {
      const body = { name: 'x', url: sink.url('/x'), events: ['file.created'], ...change };
      expectError(await door.post('/api/v1/webhooks', body), 400, 'VALIDATION_ERROR', field);
    });

    it('T-094 refuses what is not a JSON object', async () => {
      const bodies: (string | Buffer)[] = [
        '',
        '{',
        'null',
        '[]',
        '"x"',
        '['.repeat(10_000),
        Buffer.from([0x7b, 0xff, 0x7d]),
        `{"name":"${'x'.repeat(2_000_000)}"}`,
        '{"__proto__":{"x":1}}',
      ];
      for (const body of bodies)
        expectError(await door.send('/api/v1/webhooks', { method: 'POST', body }), 400, 'VALIDATION_ERROR');
      const asText = { method: 'POST', body: '{"name":"x"}', headers: { 'content-type': 'text/plain' } };
      expectError(await door.send('/api/v1/webhooks', asText), 400, 'VALIDATION_ERROR');
    });

    it('T-080 T-069 lists the webhooks of the Space for any of its keys, in pages', async () => {
      const list = await door.page('/api/v1/webhooks?pageSize=1');
      expect(Object.keys(list.pagination)).toEqual(['page', 'pageSize', 'total', 'totalPages']);
      const second = await space.createKey();
      expect((await door.with({ 'x-api-key': second.key }).page('/api/v1/webhooks?pageSize=1')).pagination.total).toBe(
        list.pagination.total,
      );
      expect((await other.door.page('/api/v1/webhooks')).rows).toEqual([]);
    });

    it('T-087 T-088 reads and changes one; what may not change is refused', async () => {
      const { signingSecret, ...webhook } = await create('/patch', ['file.created']);
      expect(signingSecret).toMatch(/^whsec_/);
      const path = `/api/v1/webhooks/${webhook.id}`;
      expect((await door.get(path)).json.data).toMatchObject({ ...webhook, updatedAt: expect.any(String) as string });
      const change = { name: 'new', url: sink.url('/patched'), events: ['file.deleted'], isActive: false };
      const patched = await door.patch(path, change);
      expect([patched.status, patched.json.data]).toMatchObject([200, change]);
      expect((await door.get(path)).json.data).toMatchObject(change);
      expect((await door.patch(path, {})).json.data).toMatchObject(change);
      expect((await door.patch(path, { id: webhook.id })).status).toBe(200);
      for (const body of [
        { id: 'wh_1000000' },
        { signingSecret: 'whsec_x' },
        { createdAt: '2020-01-01T00:00:00.000Z' },
        { nonsense: 1 },
        { isActive: 'no' },
        { events: [] },
      ])
        expectError(await door.patch(path, body), 400, 'VALIDATION_ERROR', Object.keys(body)[0]);
    });

    it('T-090 deletes one, and it is gone', async () => {
      const { id } = await create('/deleted', ['file.created']);
      const answer = await door.delete(`/api/v1/webhooks/${id}`);
      expect([answer.status, answer.json]).toEqual([200, { success: true, data: { id, deleted: true } }]);
      expectError(await door.get(`/api/v1/webhooks/${id}`), 404, 'NOT_FOUND');
      expectError(await door.delete(`/api/v1/webhooks/${id}`), 404, 'NOT_FOUND');
    });

    it('T-083 T-093 other forms of an id, and ids of other Spaces, are 404 on every route', async () => {
      const theirs = await create('/theirs', ['file.created'], other);
      for (const id of [
        theirs.id,
        theirs.id.slice(3),
        'wh_',
        'wh_0',
        'wh_1x',
        'WH_1',
        'wh_999999999999999999999999',
        'wh_01',
      ])
        for (const [method, path] of [
          ['GET', ''],
          ['PATCH', ''],
          ['DELETE', ''],
          ['POST', '/test'],
          ['GET', '/deliveries'],
        ] as const) {
          const answer = await door.send(`/api/v1/webhooks/${id}${path}`, {
            method,
            ...(method === 'PATCH' ? { body: {} } : {}),
          });
          expect([id, method, path, answer.status]).toEqual([id, method, path, 404]);
        }
      expect((await other.door.get(`/api/v1/webhooks/${theirs.id}`)).status).toBe(200);
    });
  });

  describe('the test event', () => {
    it('T-091 is sent now, signed, whatever the subscription says', async () => {
      const webhook = await create('/test', ['note.deleted']);
      await door.patch(`/api/v1/webhooks/${webhook.id}`, { isActive: false });
      const answer = await door.post(`/api/v1/webhooks/${webhook.id}/test`, undefined);
      expect([answer.status, answer.json.data]).toMatchObject([
        200,
        { event: 'webhook.test', status: 'success', attempts: 1 },
      ]);
      const [request] = await received('/test', 1);
      const body = JSON.parse(request?.body.toString() ?? '') as { event: string; data: object };
      expect(Object.keys(body)).toEqual(['event', 'data', 'timestamp']);
      expect([body.event, Object.keys(body.data)]).toEqual(['webhook.test', ['webhookId', 'message']]);
      expectSigned(request as ReceivedRequest, webhook.signingSecret);
    });

    it('T-091 a failing receiver is still 200, once, without a retry', async () => {
      sink.script('/broken', { status: 500, body: 'no' });
      const webhook = await create('/broken', ['note.deleted']);
      const answer = await door.post(`/api/v1/webhooks/${webhook.id}/test`, undefined);
      expect([answer.status, answer.json.data]).toMatchObject([
        200,
        { status: 'failed', responseStatus: 500, nextRetryAt: null },
      ]);
    });
  });

  describe('deliveries', () => {
    it('T-107 T-108 T-109 T-110 T-111 X4 every event arrives once, signed, and the seed’s own verifier takes it', async () => {
      const webhook = await create('/every', eventNames);
      const others = await create('/foreign', eventNames, other);
      const ids = { id: 70 };
      for (const resource of ['user', 'contact', 'file', 'task', 'calendar_item', 'contingency', 'note']) {
        const data = resource === 'file' ? { ...ids, ...nasty } : ids;
        const label =
          resource === 'file'
            ? {}
            : resource === 'task' || resource === 'calendar_item'
              ? { title: nasty.name }
              : resource === 'contingency'
                ? { name: nasty.name }
                : resource === 'note'
                  ? { subject: nasty.name, body: nasty.remarks }
                  : { firstName: nasty.name };
        await space.publish([
          { type: `${resource}.created`, data },
          {
            type: `${resource}.updated`,
            data: { ...data, ...label, ...(resource === 'file' ? { city: 'Köln' } : {}) },
          },
          ...(resource === 'task' ? [{ type: 'task.completed', data: { ...data, ...label } }] : []),
          { type: `${resource}.deleted`, data: ids },
        ]);
      }
      // A completed task reports an update as well (T-103).
      const requests = await received('/every', eventNames.length + 1);
      const seen = requests.map((request) => request.headers['x-webhook-event']);
      expect(new Set(seen)).toEqual(new Set(eventNames));
      for (const request of requests) {
        const text = request.body.toString();
        const body = JSON.parse(text) as { event: string; data: Record<string, unknown>; timestamp: string };
        expect(JSON.stringify(body)).toBe(text);
        expect(Object.keys(body)).toEqual(['event', 'data', 'timestamp']);
        expect(body.event).toBe(request.headers['x-webhook-event']);
        expect(body.timestamp).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);
        expect(body.data['id']).toBe(70);
        expect(text).not.toContain('passwordHash');
        expectSigned(request, webhook.signingSecret);
      }
      const fileUpdate = requests.find((request) => request.headers['x-webhook-event'] === 'file.updated');
      expect((JSON.parse(fileUpdate?.body.toString() ?? '') as { data: object }).data).toMatchObject({
        ...nasty,
        city: 'Köln',
      });
      expect(sink.requests('/foreign')).toEqual([]);
      expect(others.id).not.toBe(webhook.id);
    });

    it('T-107 sends nothing that was not subscribed', async () => {
      const { id } = await create('/only-deleted', ['file.deleted']);
      await space.publish([
        { type: 'file.created', data: { id: 80 } },
        { type: 'file.updated', data: { id: 80, city: 'X' } },
        { type: 'file.deleted', data: { id: 80 } },
      ]);
      const [request] = await received('/only-deleted', 1);
      expect(request?.headers['x-webhook-event']).toBe('file.deleted');
      expect((await deliveries(id)).map((delivery) => delivery.event)).toEqual(['file.deleted']);
    });

    it('DESIGN §4 a GET inside the receiver already shows the change', async () => {
      const seen: string[] = [];
      sink.script('/get-inside', async () => {
        seen.push((await door.get('/api/v1/files/90')).text);
        return {};
      });
      await create('/get-inside', ['file.created', 'file.updated']);
      await space.publish([{ type: 'file.created', data: { id: 90, name: 'first' } }]);
      await received('/get-inside', 1);
      await waitFor('the receiver to have looked', () => seen.length === 1);
      expect(seen[0]).toContain('"name":"first"');
    });

    it('T-092 T-112 X3 a failure is retried with the same id and bytes until it succeeds, and each attempt is on record', async () => {
      sink.script('/flaky', { status: 500, body: 'not now' }, 2);
      const { id } = await create('/flaky', ['file.created']);
      await space.publish([{ type: 'file.created', data: { id: 91 } }]);
      const requests = await received('/flaky', 3);
      expect(new Set(requests.map((request) => request.headers['webhook-id'])).size).toBe(1);
      expect(new Set(requests.map((request) => request.body.toString())).size).toBe(1);
      expect(requests.map((request) => request.headers['x-webhook-attempt'])).toEqual(['1', '2', '3']);
      const delivery = await waitFor('the delivery to be on record', async () => {
        const [row] = await deliveries(id);
        return row?.status === 'success' ? row : undefined;
      });
      expect(Object.keys(delivery)).toEqual(
        expect.arrayContaining([
          'id',
          'webhookId',
          'event',
          'status',
          'attempts',
          'maxAttempts',
          'responseStatus',
          'responseBody',
          'error',
          'durationMs',
          'createdAt',
          'lastAttemptAt',
          'nextRetryAt',
          'deliveredAt',
          'payload',
        ]),
      );
      expect(delivery).toMatchObject({
        webhookId: id,
        attempts: 3,
        maxAttempts: 9,
        responseStatus: 200,
        nextRetryAt: null,
      });
      expect(delivery.id).toMatch(/^dlv_[1-9]\d*$/);
      expect(delivery.payload).toMatchObject({ event: 'file.created', data: { id: 91 } });
    });

    it('T-112 redirects are not followed, and after nine attempts it has failed', async () => {
      sink.script('/moved', { status: 302, headers: { location: sink.url('/target') } });
      const { id } = await create('/moved', ['file.created']);
      await space.publish([{ type: 'file.created', data: { id: 92 } }]);
      const delivery = await waitFor('nine attempts', async () => {
        const [row] = await deliveries(id);
        return row?.status === 'failed' ? row : undefined;
      });
      expect(delivery).toMatchObject({ attempts: 9, responseStatus: 302, nextRetryAt: null, deliveredAt: null });
      expect(sink.requests('/moved')).toHaveLength(9);
      expect(sink.requests('/target')).toEqual([]);
    });

    it('T-112 410 ends the endpoint at once', async () => {
      sink.script('/gone', { status: 410 });
      const { id } = await create('/gone', ['file.created']);
      await space.publish([{ type: 'file.created', data: { id: 93 } }]);
      const webhook = await waitFor('the endpoint to be off', async () => {
        const { json } = await door.get(`/api/v1/webhooks/${id}`);
        return (json.data as WebhookJson).isActive ? undefined : (json.data as WebhookJson);
      });
      expect(webhook).toMatchObject({ isActive: false, disabledReason: 'gone' });
      expect(sink.requests('/gone')).toHaveLength(1);
    });

    it('T-089 inactive gets nothing, pending retries stop, and active again gets new events only', async () => {
      sink.script('/paused', { status: 500 });
      const { id } = await create('/paused', ['file.created']);
      await space.publish([{ type: 'file.created', data: { id: 94 } }]);
      await received('/paused', 1);
      await door.patch(`/api/v1/webhooks/${id}`, { isActive: false });
      await space.publish([{ type: 'file.created', data: { id: 95 } }]);
      await waitFor('the retries to be cancelled', async () => (await deliveries(id))[0]?.status === 'cancelled');
      sink.script('/paused', { status: 200 });
      await door.patch(`/api/v1/webhooks/${id}`, { isActive: true });
      await space.publish([{ type: 'file.created', data: { id: 96 } }]);
      await waitFor('the new event', () =>
        sink.requests('/paused').some((request) => request.body.includes('"id":96')),
      );
      expect(sink.requests('/paused').some((request) => request.body.includes('"id":95'))).toBe(false);
      expect((await deliveries(id)).map((delivery) => delivery.payload.data['id'])).toEqual([96, 94]);
    });

    it('T-092 T-069 the history takes the parameters of every list, newest first', async () => {
      const { id } = await create('/history', ['note.created']);
      await space.publish([1, 2, 3].map((n) => ({ type: 'note.created', data: { id: 900 + n } })));
      await waitFor('three deliveries', async () => (await deliveries(id, '?status=success')).length === 3);
      const page = await door.page(`/api/v1/webhooks/${id}/deliveries?pageSize=2&page=2`);
      expect(page.pagination).toEqual({ page: 2, pageSize: 2, total: 3, totalPages: 2 });
      const numbers = (await deliveries(id)).map((delivery) => Number(delivery.id.slice(4)));
      expect(numbers).toEqual([...numbers].sort((a, b) => b - a));
      expect((await door.get(`/api/v1/webhooks/${id}/deliveries?nonsense=1`)).status).toBe(400);
      expect((await door.get(`/api/v1/webhooks/${id}/deliveries?status=lost`)).status).toBe(400);
    });

    it('T-103 T-115 completion reports an update and a completion, saving again nothing', async () => {
      const { id } = await create('/tasks', ['task.created', 'task.updated', 'task.completed']);
      await space.publish([
        { type: 'task.created', data: { id: 300, title: 'A', status: 'open' } },
        { type: 'task.updated', data: { id: 300, title: 'A', status: 'completed' } },
        { type: 'task.completed', data: { id: 300, title: 'A', status: 'completed' } },
        { type: 'task.created', data: { id: 301, title: 'B', status: 'completed' } },
      ]);
      await received('/tasks', 5);
      const events = (await deliveries(id)).map((delivery) => `${delivery.payload.data['id']} ${delivery.event}`);
      // Two dispatchers share the stream, so only the set is the same each time.
      expect(events.sort()).toEqual([
        '300 task.completed',
        '300 task.created',
        '300 task.updated',
        '301 task.completed',
        '301 task.created',
      ]);
    });

    it('T-114 a refused event fires nothing and is listed with its reason', async () => {
      const { id } = await create('/refused', ['file.*']);
      await space.publish([
        { type: 'file.created', data: { id: 400, listPrice: 'much' } },
        { type: 'file.created', data: { id: 401, remarks: 'x'.repeat(101_000) } },
        { type: 'file.created', data: { id: 402, name: 'good' } },
      ]);
      const [request] = await received('/refused', 1);
      expect(request?.body.toString()).toContain('"id":402');
      expect(await deliveries(id)).toHaveLength(1);
      const reasons = (await system.admin.request('admin.events.rejected', { spaceId: space.id })).rejected.map(
        (event) => event.reason,
      );
      expect(reasons.some((reason) => reason.includes('listPrice'))).toBe(true);
      expect(reasons.some((reason) => reason.includes('too_large'))).toBe(true);
    });

    it('T-116 a hanging endpoint delays no other', async () => {
      sink.script('/hanging', { hang: true });
      await create('/hanging', ['file.created']);
      await create('/quick', ['file.created']);
      await space.publish(Array.from({ length: 20 }, (_, i) => ({ type: 'file.created', data: { id: 500 + i } })));
      await received('/quick', 20);
    });

    it('T-113 the first attempt starts within a second of the commit', async () => {
      await create('/soon', ['note.created']);
      const before = Date.now();
      await space.publish([{ type: 'note.created', data: { id: 990 } }]);
      const [request] = await received('/soon', 1);
      expect((request as ReceivedRequest).at - before).toBeLessThan(1_000);
    });

    it('T-114 what a killed dispatcher had in flight is taken over by another', async () => {
      sink.script('/takeover', { hang: true });
      const { id } = await create('/takeover', ['file.created']);
      await space.publish([{ type: 'file.created', data: { id: 600 } }]);
      await received('/takeover', 1);
      await system.kill('dispatcher');
      sink.script('/takeover', { status: 200 });
      await waitFor('the delivery to succeed', async () => (await deliveries(id))[0]?.status === 'success', 20_000);
      const requests = sink.requests('/takeover');
      expect(new Set(requests.map((request) => request.headers['webhook-id'])).size).toBe(1);
    });

    // The last one: it lets time pass for the whole system.
    it('T-118 deliveries are kept for 30 days', async () => {
      const { id } = await create('/kept', ['file.created']);
      await space.publish([{ type: 'file.created', data: { id: 700 } }]);
      await waitFor('the delivery to succeed', async () => (await deliveries(id))[0]?.status === 'success');
      const afterDays = (days: number) => new Date(Date.now() + days * 24 * 60 * 60 * 1_000).toISOString();
      await system.admin.request('admin.retention.webhooks', { now: afterDays(29) });
      expect(await deliveries(id)).toHaveLength(1);
      await system.admin.request('admin.retention.webhooks', { now: afterDays(32) });
      const { json } = await door.get(`/api/v1/webhooks/${id}/deliveries`);
      expect([json.data, json.pagination.total]).toEqual([[], 0]);
    });
  });
});

/** As the seed's page verifies it, and as the Standard Webhooks library does (T-109, T-110, T-111). */
function expectSigned(request: ReceivedRequest, secret: string): void {
  const expected = createHmac('sha256', secret)
    .update(JSON.stringify(JSON.parse(request.body.toString())))
    .digest('hex');
  expect(request.headers['x-webhook-signature']).toBe(expected);
  expect(request.headers['content-type']).toBe('application/json');
  expect(request.headers['content-length']).toBe(String(request.body.length));
  expect(request.headers['user-agent']).toBeTruthy();
  expect(request.headers['x-webhook-id']).toBe(request.headers['webhook-id']);
  new StandardWebhook(secret).verify(request.body.toString(), request.headers as Record<string, string>);
}
