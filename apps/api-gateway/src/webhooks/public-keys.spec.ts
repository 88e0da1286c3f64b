import { createPublicKey, type JsonWebKey } from 'node:crypto';
import { ApiError, type WebhookPublicKey } from '@keyturn/contracts';
import { reply } from '@keyturn/platform/rpc';
import { freshDatabase, freshNats, type FreshDatabase, type FreshNats } from '@keyturn/testing';
import { accessTemplate, RunningGateway, StandIn } from '../gateway-fixture';
import { keptFor } from './public-keys.controller';

jest.setTimeout(30_000);

const keysId = '0d8a3c0e-6a0f-4c8e-9f43-2f6f0f5a7b11';
const path = `/.well-known/webhook-keys/${keysId}`;
const current = 'whpk_1SiA4o9hyqTCpIqC5V9HUakiiaeACeqfZTInDBbOir4=';

describe('public keys of a webhook', () => {
  let database: FreshDatabase;
  let nats: FreshNats;
  let services: StandIn;
  let gateway: RunningGateway;
  let keys: WebhookPublicKey[] = [];

  beforeAll(async () => {
    [database, nats] = await Promise.all([freshDatabase(accessTemplate), freshNats()]);
    services = await StandIn.start(nats.url, {
      'webhook_keys.get': ({ request }) => {
        if (request.keysId !== keysId) throw new ApiError('NOT_FOUND', 'There are no such keys');
        return reply({ keys });
      },
    });
    gateway = await RunningGateway.start(database.url, nats.url, { addressLimit: 12 });
  });

  afterAll(async () => {
    await gateway.close();
    await services.close();
    await nats.stop();
    await database.drop();
  });

  const get = (at = path, headers: Record<string, string> = {}) => fetch(gateway.url + at, { headers });

  it('are a JSON Web Key Set, for whoever asks, kept for five minutes', async () => {
    keys = [{ publicKey: current, until: null }];
    const response = await get();
    expect(response.status).toBe(200);
    expect(response.headers.get('content-type')).toBe('application/json; charset=utf-8');
    expect(response.headers.get('cache-control')).toBe('public, max-age=300');
    const body = (await response.json()) as { keys: [JsonWebKey] };
    expect(body.keys).toEqual([
      {
        kty: 'OKP',
        crv: 'Ed25519',
        x: '1SiA4o9hyqTCpIqC5V9HUakiiaeACeqfZTInDBbOir4',
        kid: 'rEltOPXl-8jZfn0NbO5yMzHDi5e-WdjzkrFUUcp6oIE',
        use: 'sig',
        alg: 'EdDSA',
        publicKey: current,
        until: null,
      },
    ]);
    expect(createPublicKey({ key: body.keys[0], format: 'jwk' }).asymmetricKeyType).toBe('ed25519');
    const again = await get(path, { 'if-none-match': response.headers.get('etag') ?? '' });
    expect([again.status, again.headers.get('cache-control')]).toEqual([304, 'public, max-age=300']);
    expect((await fetch(gateway.url + path, { method: 'HEAD' })).status).toBe(200);
  });

  it('that end are not kept beyond their end', () => {
    const now = Date.parse('2026-03-10T12:00:00.000Z');
    const until = (iso: string) =>
      keptFor(
        [
          { publicKey: current, until: null },
          { publicKey: current, until: iso },
        ],
        now,
      );
    expect(until('2026-03-10T13:00:00.000Z')).toBe(300);
    expect(until('2026-03-10T12:00:41.000Z')).toBe(41);
    expect(until('2026-03-10T11:59:00.000Z')).toBe(0);
  });

  it('T-003 unknown sets, other methods and the rest of the folder are refused like anything else', async () => {
    const other = await get('/.well-known/webhook-keys/00000000-0000-4000-8000-000000000000');
    expect([other.status, await other.json()]).toEqual([
      404,
      { success: false, error: { code: 'NOT_FOUND', message: 'There are no such keys' } },
    ]);
    expect((await get(`${path}/more`)).status).toBe(404);
    expect((await get('/.well-known/webhook-keys')).status).toBe(401);
    expect((await get('/.well-known/other')).status).toBe(401);
    expect((await fetch(gateway.url + path, { method: 'POST' })).status).toBe(401);
  });

  it('T-040 count against the address that asks', async () => {
    let refused: Response | undefined;
    for (let i = 0; i < 12 && !refused; i++) {
      const response = await get();
      if (response.status !== 200) refused = response;
    }
    expect(refused?.status).toBe(429);
    expect(refused?.headers.get('retry-after')).toMatch(/^[1-9]\d*$/);
  });
});
