import { startSystem, type ReceivedRequest, type TestSystem } from '@keyturn/testing';
import type { Door } from './door';
import { Receivers } from './receivers';
import { TestSpace } from './space';

/** A receiver that is asked for its consent, through the public door. */

interface WebhookJson {
  id: string;
  url: string;
  verifiedAt: string | null;
  allowedRate: number | null;
}

const origin = 'hooks.keyturn.example';

// A whole system starts first, on whatever machine this is.
jest.setTimeout(60_000);

describe('the consent of a receiver', () => {
  let system: TestSystem;
  let space: TestSpace;
  let door: Door;
  let sink: Receivers;

  beforeAll(async () => {
    system = await startSystem({ env: { WEBHOOK_ORIGIN: origin } });
    sink = await Receivers.start();
    space = await TestSpace.make(system);
    door = space.door;
  });

  afterAll(async () => {
    await system.stop();
    await sink.stop();
  });

  const create = (path: string, more: object = { handshake: true }) =>
    door.post('/api/v1/webhooks', { name: path, url: sink.url(path), events: ['file.created'], ...more });
  const expectRefusal = (answer: Awaited<ReturnType<typeof create>>, words: string) => {
    expect([answer.status, answer.json.error?.code]).toEqual([400, 'VALIDATION_ERROR']);
    expect(answer.json.error.message).toContain('url');
    expect(answer.json.error.message).toContain(words);
  };
  const consents = (more: Record<string, string> = {}) => ({ headers: { 'webhook-allowed-origin': origin, ...more } });

  it('T-081 T-086 is asked before the webhook is there; then deliveries come, and say who sends', async () => {
    sink.script('/willing', consents({ 'webhook-allowed-rate': '600' }));
    const answer = await create('/willing', { handshake: true, rateLimit: 50 });
    expect([answer.status, answer.text]).toEqual([201, answer.text]);
    const webhook = answer.json.data as WebhookJson;
    expect(webhook.allowedRate).toBe(600);
    expect(Date.parse(webhook.verifiedAt ?? '')).toBeLessThanOrEqual(Date.now());
    const [asked] = sink.requests('/willing');
    expect(asked).toMatchObject({
      method: 'OPTIONS',
      headers: { 'webhook-request-origin': origin, 'webhook-request-rate': '3000' },
    });
    await space.publish([{ type: 'file.created', data: { id: 1 } }]);
    const [, delivery] = (await sink.received('/willing', 2)) as [ReceivedRequest, ReceivedRequest];
    expect(delivery).toMatchObject({ method: 'POST', headers: { origin } });
  });

  it('T-086 a receiver that does not consent is a clear error, and nothing is made', async () => {
    expectRefusal(await create('/indifferent'), 'WebHook-Allowed-Origin');
    sink.script('/unable', { status: 405 });
    expectRefusal(await create('/unable'), '405');
    sink.script('/other', { headers: { 'webhook-allowed-origin': 'example.com' } });
    expectRefusal(await create('/other'), origin);
    sink.script('/reset', { reset: true });
    expectRefusal(await create('/reset'), 'without an answer');
    expect(await door.rows('/api/v1/webhooks?url[contains]=indifferent')).toEqual([]);
  });

  it('T-088 another URL is asked again, and a refusal changes nothing', async () => {
    sink.script('/first', consents());
    sink.script('/second', consents());
    const { id } = (await create('/first')).json.data as WebhookJson;
    const path = `/api/v1/webhooks/${id}`;
    expectRefusal(await door.patch(path, { url: sink.url('/no') }), 'WebHook-Allowed-Origin');
    expect(((await door.get(path)).json.data as WebhookJson).url).toBe(sink.url('/first'));
    const moved = await door.patch(path, { url: sink.url('/second') });
    expect([moved.status, (moved.json.data as WebhookJson).url]).toEqual([200, sink.url('/second')]);
    expect(sink.requests('/second').map(({ method }) => method)).toEqual(['OPTIONS']);
    const replay = { since: new Date(Date.now() - 60_000).toISOString(), url: sink.url('/no') };
    expectRefusal(await door.post(`${path}/replays`, replay), 'WebHook-Allowed-Origin');
  });

  it('a receiver may take longer than other answers of ours do', async () => {
    sink.script('/slow', { ...consents(), delayMs: 2_300 });
    expect((await create('/slow')).status).toBe(201);
  });

  it('is asked of nobody else', async () => {
    const answer = await create('/unasked', {});
    expect(answer.json.data).toMatchObject({ handshake: false, verifiedAt: null, allowedRate: null });
    expect(sink.requests('/unasked')).toEqual([]);
  });

  it('is asked of everybody where webhook-service is told so, and it alone', async () => {
    await system.terminate('webhook-service');
    await system.startInstance('webhook-service', { WEBHOOK_HANDSHAKE: 'true', WEBHOOK_TEST_QUOTA: '50' });
    sink.script('/everybody', { ...consents(), delayMs: 2_300 });
    sink.script('/elsewhere', { ...consents(), delayMs: 2_300 });
    const answer = await create('/everybody', {});
    expect([answer.status, answer.json.data]).toMatchObject([201, { verifiedAt: expect.stringMatching(/Z$/) }]);
    const { id } = answer.json.data as WebhookJson;
    expect((await door.patch(`/api/v1/webhooks/${id}`, { url: sink.url('/elsewhere') })).status).toBe(200);
    expectRefusal(await create('/indifferent', {}), 'WebHook-Allowed-Origin');
  });
});
