import { createHmac, createPublicKey, verify, type JsonWebKey } from 'node:crypto';
import { Webhook as StandardWebhook } from 'standardwebhooks';
import { Webhook as SvixWebhook } from 'svix';
import { startSystem, type ReceivedRequest, type TestSystem } from '@keyturn/testing';
import { Door } from './door';
import { Receivers } from './receivers';
import { TestSpace } from './space';

/** Signatures as a receiver checks them, with what the public door tells it: T-109, T-111. */

interface WebhookJson {
  id: string;
  signingSecret: string;
  signatureScheme: string;
  previousSchemeUntil: string | null;
  publicKey: string | null;
  publicKeysPath: string | null;
}

type PublicKey = JsonWebKey & { publicKey: string; until: string | null };

// A whole system starts first, on whatever machine this is.
jest.setTimeout(60_000);

describe('signatures', () => {
  let system: TestSystem;
  let space: TestSpace;
  let door: Door;
  let sink: Receivers;
  /** A receiver has no API key. */
  let outside: Door;

  beforeAll(async () => {
    system = await startSystem();
    sink = await Receivers.start();
    space = await TestSpace.make(system);
    door = space.door;
    outside = new Door(system.baseUrl);
  });

  afterAll(async () => {
    await system.stop();
    await sink.stop();
  });

  const create = (path: string, more: object) => space.subscribe(sink.url(path), ['file.*'], more);
  let files = 0;
  const publish = () => space.publish([{ type: 'file.created', data: { id: ++files, name: 'Zoë "/" 🏡' } }]);
  const keysAt = async (path: string | null): Promise<PublicKey[]> => {
    const { status, text } = await outside.get(path ?? '');
    expect([status, text]).toEqual([200, text]);
    return (JSON.parse(text) as { keys: PublicKey[] }).keys;
  };
  const signatures = (request: ReceivedRequest, scheme: string) =>
    String(request.headers['webhook-signature'])
      .split(' ')
      .filter((item) => item.startsWith(`${scheme},`))
      .map((item) => Buffer.from(item.slice(scheme.length + 1), 'base64'));
  /** Whether a signature of the request is by this key. */
  const isBy = (request: ReceivedRequest, jwk: JsonWebKey) => {
    const { 'webhook-id': id, 'webhook-timestamp': timestamp } = request.headers;
    const signed = Buffer.concat([Buffer.from(`${String(id)}.${String(timestamp)}.`), request.body]);
    const key = createPublicKey({ key: jwk, format: 'jwk' });
    return signatures(request, 'v1a').some((signature) => verify(null, signed, key, signature));
  };
  const isOfSeed = ({ headers, body }: ReceivedRequest, secret: string) =>
    headers['x-webhook-signature'] === createHmac('sha256', secret).update(body).digest('hex');
  const accepts = (Library: typeof StandardWebhook | typeof SvixWebhook, request: ReceivedRequest, secret: string) => {
    try {
      new Library(secret).verify(request.body.toString(), request.headers as Record<string, string>);
      return true;
    } catch {
      return false;
    }
  };

  it('T-109 T-111 v1: both libraries verify it with the secret', async () => {
    const { signingSecret, ...webhook } = await create('/v1', {});
    expect(webhook).toMatchObject({ signatureScheme: 'v1', publicKey: null, publicKeysPath: null });
    await publish();
    const [request] = (await sink.received('/v1', 1)) as [ReceivedRequest];
    for (const Library of [StandardWebhook, SvixWebhook]) expect(accepts(Library, request, signingSecret)).toBe(true);
    expect(isOfSeed(request, signingSecret)).toBe(true);
  });

  it('T-109 T-111 v1a: whoever knows the path of the public keys verifies it, through a rotation too', async () => {
    const webhook = await create('/v1a', { signatureScheme: 'v1a' });
    const [first, ...others] = await keysAt(webhook.publicKeysPath);
    expect([first?.publicKey, first?.until, others]).toEqual([webhook.publicKey, null, []]);
    await publish();
    const [before] = (await sink.received('/v1a', 1)) as [ReceivedRequest];
    expect(before.headers['webhook-signature']).toMatch(/^v1a,[A-Za-z0-9+/]{86}==$/);
    expect(Number(before.headers['webhook-timestamp'])).toBeGreaterThan(Date.now() / 1_000 - 60);
    expect(isBy(before, first as PublicKey)).toBe(true);
    expect(isOfSeed(before, webhook.signingSecret)).toBe(true);
    // They know the symmetric scheme only.
    for (const Library of [StandardWebhook, SvixWebhook])
      expect(accepts(Library, before, webhook.signingSecret)).toBe(false);

    const rotation = await door.post(`/api/v1/webhooks/${webhook.id}/rotate`, { overlapSeconds: 3_600 });
    const rotated = rotation.json.data as WebhookJson;
    expect(rotated.publicKeysPath).toBe(webhook.publicKeysPath);
    const both = await keysAt(webhook.publicKeysPath);
    expect(both.map(({ publicKey }) => publicKey)).toEqual([rotated.publicKey, webhook.publicKey]);
    expect(Date.parse(both[1]?.until ?? '')).toBeGreaterThan(Date.now());
    await publish();
    const [, during] = (await sink.received('/v1a', 2)) as [ReceivedRequest, ReceivedRequest];
    expect(both.map((key) => isBy(during, key))).toEqual([true, true]);
    expect(isOfSeed(during, rotated.signingSecret)).toBe(true);

    const last = await door.post(`/api/v1/webhooks/${webhook.id}/rotate`, { overlapSeconds: 0 });
    const only = await keysAt(webhook.publicKeysPath);
    expect(only.map(({ publicKey }) => publicKey)).toEqual([(last.json.data as WebhookJson).publicKey]);
    await publish();
    const [, , after] = (await sink.received('/v1a', 3)) as [ReceivedRequest, ReceivedRequest, ReceivedRequest];
    expect([isBy(after, only[0] as PublicKey), ...both.map((key) => isBy(after, key))]).toEqual([true, false, false]);
  });

  it('T-111 a change of scheme sends both for a day', async () => {
    const webhook = await create('/changed', {});
    const changed = await door.patch(`/api/v1/webhooks/${webhook.id}`, { signatureScheme: 'v1a' });
    const { publicKeysPath, previousSchemeUntil } = changed.json.data as WebhookJson;
    expect(Date.parse(previousSchemeUntil ?? '') - Date.now()).toBeGreaterThan(23 * 3_600_000);
    await publish();
    const [request] = (await sink.received('/changed', 1)) as [ReceivedRequest];
    const [key] = (await keysAt(publicKeysPath)) as [PublicKey];
    expect(isBy(request, key)).toBe(true);
    for (const Library of [StandardWebhook, SvixWebhook])
      expect(accepts(Library, request, webhook.signingSecret)).toBe(true);
    const refused = await door.patch(`/api/v1/webhooks/${webhook.id}`, { signatureScheme: 'v3' });
    expect([refused.status, refused.json.error.code]).toEqual([400, 'VALIDATION_ERROR']);
    expect(refused.json.error.message).toContain('signatureScheme');
  });

  it('T-034 keys of others are not to be found by ids, and no answer has a private key', async () => {
    const { id, publicKeysPath } = await create('/hidden', { signatureScheme: 'v1a' });
    for (const name of [id, id.slice('wh_'.length), space.id, space.slug, '*', '%2e%2e'])
      expect([name, (await outside.get(`/.well-known/webhook-keys/${name}`)).status]).toEqual([name, 404]);
    const answers = await Promise.all([
      door.get(`/api/v1/webhooks/${id}`),
      door.get('/api/v1/webhooks'),
      outside.get(publicKeysPath ?? ''),
    ]);
    for (const { text } of answers) expect(text).not.toMatch(/whsk_|whsec_/);
    await door.delete(`/api/v1/webhooks/${id}`);
    expect((await outside.get(publicKeysPath ?? '')).status).toBe(404);
  });
});
