import { connect as connectSocket } from 'node:net';
import { startSystem, waitFor, type TestSystem } from '@keyturn/testing';
import { Door, type Answer } from './door';
import { TestSpace } from './space';

/** Who may do what through the public door: CONTRACT T-001 … T-051, T-120 … T-122, with two gateways. */

const headersOf = ({ headers }: Answer) => [headers['x-ratelimit-limit'], headers['x-ratelimit-remaining']];

// A whole system starts first, on whatever machine this is.
jest.setTimeout(60_000);

describe('access', () => {
  let system: TestSystem;
  let space: TestSpace;
  let other: TestSpace;
  let bare: Door;

  beforeAll(async () => {
    system = await startSystem({ gateways: 2 });
    space = await TestSpace.make(system);
    other = await TestSpace.make(system);
    bare = new Door(system.baseUrl);
    await space.publish([{ type: 'file.created', data: { id: 1, name: 'Mine', listingStatus: 'active' } }]);
    await other.publish([{ type: 'file.created', data: { id: 1, name: 'Theirs' } }]);
  });

  afterAll(() => system.stop());

  const gatewayUrls = () => [system.gatewayUrl('api-gateway'), system.gatewayUrl('api-gateway#2')];
  const expectError = (answer: Answer, status: number, code: string) => {
    expect([answer.status, answer.json?.error?.code, answer.text]).toEqual([status, code, answer.text]);
    expect(Object.keys(answer.json)).toEqual(['success', 'error']);
    expect(answer.json.success).toBe(false);
    expect(Object.keys(answer.json.error)).toEqual(['code', 'message']);
    expect(answer.headers['content-type']).toBe('application/json; charset=utf-8');
  };

  describe('transport', () => {
    it('T-001 T-008 a path outside the prefix, or none of ours, is 404 with a key and 401 without', async () => {
      for (const path of [
        '/files',
        '/api/v2/files',
        '/api/v1/nonsense',
        '/api/v1/files/1/2',
        '/',
        '/api/v1',
        '/api/v1/webhooks/x/y',
      ]) {
        expectError(await space.door.get(path), 404, 'NOT_FOUND');
        expectError(await bare.get(path), 401, 'UNAUTHORIZED');
      }
    });

    it('T-002 T-005 success has exactly the keys of its kind', async () => {
      const list = await space.door.get('/api/v1/files');
      expect(Object.keys(list.json)).toEqual(['success', 'data', 'pagination']);
      expect(Object.keys((await space.door.get('/api/v1/files/1')).json)).toEqual(['success', 'data']);
      expect(list.headers['content-type']).toBe('application/json; charset=utf-8');
    });

    it('T-003 T-005 failure has exactly success and error', async () => {
      expectError(await bare.get('/api/v1/files'), 401, 'UNAUTHORIZED');
      expectError(await space.door.get('/api/v1/files?nonsense=1'), 400, 'VALIDATION_ERROR');
    });

    it('T-010 HEAD has the status and headers of GET and no body', async () => {
      for (const path of ['/api/v1/files', '/api/v1/files/1', '/api/v1/files/404', '/api/v1/health']) {
        const [get, head] = [await space.door.get(path), await space.door.send(path, { method: 'HEAD' })];
        expect([path, head.status, head.text]).toEqual([path, get.status, '']);
        for (const name of ['content-type', 'content-length', 'etag'])
          if (path !== '/api/v1/health') expect([name, head.headers[name]]).toEqual([name, get.headers[name]]);
      }
    });

    it('X2 garbage is answered in the shape of the surface, fast, and the process lives', async () => {
      const started = performance.now();
      for (const path of [
        '/api/v1/files/%',
        '/api/v1/files/%ff',
        '/api/v1/files?search=%',
        '/api/v1/files?search=%ff%fe',
        '/api/v1/files?%00=1',
        `/api/v1/files?search=${'x'.repeat(100_000)}`,
        `/api/v1/files/${'9'.repeat(5_000)}`,
        '/api/v1/../../etc/passwd',
        '//evil.example/api/v1/files',
      ]) {
        const answer = await space.door.get(path);
        expect([path.slice(0, 60), Math.floor(answer.status / 100)]).toEqual([path.slice(0, 60), 4]);
        expect(answer.json.success).toBe(false);
      }
      expect(performance.now() - started).toBeLessThan(5_000);
      expect((await bare.get('/api/v1/health')).status).toBe(200);
    });

    it('X2 what is not even HTTP is answered and cut', async () => {
      const { hostname, port } = new URL(system.baseUrl);
      for (const bytes of [
        '\u0000\u0001\u0002\r\n\r\n',
        'GET / HTTP/9.9\r\n\r\n',
        `GET /${'a'.repeat(70_000)} HTTP/1.1\r\n\r\n`,
        'GET /api/v1/health HTTP/1.1\r\nHost: x\r\nBad Header: y\r\n\r\n',
      ]) {
        const reply = await new Promise<string>((resolve) => {
          let text = '';
          const socket = connectSocket(Number(port), hostname, () => socket.write(bytes));
          socket.on('data', (chunk) => (text += chunk.toString()));
          socket.on('error', () => resolve(text));
          socket.on('close', () => resolve(text));
        });
        expect(reply).toMatch(/^HTTP\/1\.1 4\d\d /);
        expect(reply).toContain('"success":false');
      }
      expect((await bare.get('/api/v1/health')).status).toBe(200);
    });

    it('has a request id and the usual security headers on every reply', async () => {
      for (const answer of [
        await space.door.get('/api/v1/files'),
        await bare.get('/nowhere'),
        await bare.get('/api/v1/health'),
      ]) {
        expect(answer.headers['x-request-id']).toMatch(/^[\w-]{8,64}$/);
        expect(answer.headers['x-content-type-options']).toBe('nosniff');
        expect(answer.headers['x-powered-by']).toBeUndefined();
      }
      const given = await bare.get('/api/v1/health', { 'x-request-id': 'my-own-id-1' });
      expect(given.headers['x-request-id']).toBe('my-own-id-1');
      const hostile = await bare.get('/api/v1/health', { 'x-request-id': 'a b"<script>' });
      expect(hostile.headers['x-request-id']).not.toContain('script');
    });
  });

  describe('health', () => {
    it('T-050 T-051 is open to everybody, also with an invalid key, and not enveloped', async () => {
      for (const door of [bare, bare.with({ 'x-api-key': 'nonsense' }), space.door]) {
        const answer = await door.get('/api/v1/health');
        expect(answer.status).toBe(200);
        expect(Object.keys(answer.json)).toEqual(['status', 'timestamp']);
        const { timestamp } = answer.json as unknown as { timestamp: string };
        expect(timestamp).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);
        expect(Math.abs(Date.parse(timestamp) - Date.now())).toBeLessThan(5_000);
      }
    });
  });

  describe('keys', () => {
    it('T-020 the header is found in any case', async () => {
      for (const name of ['X-API-Key', 'x-api-key', 'X-Api-KEY'])
        expect((await bare.get('/api/v1/files', { [name]: space.key })).status).toBe(200);
    });

    it('T-021 T-022 a missing, unknown, malformed, expired or revoked key is one and the same 401', async () => {
      const expiring = await space.createKey({ name: 'short', expiresAt: new Date(Date.now() + 1_500).toISOString() });
      const revoked = await space.createKey({ name: 'revoked' });
      expect((await bare.get('/api/v1/files', { 'x-api-key': expiring.key })).status).toBe(200);
      await space.revokeKey(revoked.id);
      const tampered = `${space.key.slice(0, -1)}${space.key.endsWith('a') ? 'b' : 'a'}`;
      await waitFor(
        'the key to expire',
        async () => (await bare.get('/api/v1/files', { 'x-api-key': expiring.key })).status === 401,
      );
      for (const key of [
        revoked.key,
        expiring.key,
        tampered,
        'tc_live_',
        'nonsense',
        `tc_live_${'a'.repeat(46)}`,
        'é'.repeat(10),
      ]) {
        const answer = await bare.get('/api/v1/files', { 'x-api-key': Buffer.from(key).toString('latin1') });
        expectError(answer, 401, 'UNAUTHORIZED');
        expect(answer.json.error.message).toBe('Invalid or expired API key');
      }
      expectError(await bare.get('/api/v1/files'), 401, 'UNAUTHORIZED');
    });

    it('T-023 a key begins with tc_live_ and has at least 32 random characters', () => {
      expect(space.key).toMatch(/^tc_live_[0-9A-Za-z]{32,}$/);
    });

    it('T-024 T-025 a key in the URL or as a bearer token is none', async () => {
      for (const path of [`/api/v1/files?api_key=${space.key}`, `/api/v1/files?X-API-Key=${space.key}`])
        expectError(await bare.get(path), 401, 'UNAUTHORIZED');
      expectError(await bare.get('/api/v1/files', { authorization: `Bearer ${space.key}` }), 401, 'UNAUTHORIZED');
    });

    it('T-028 a revoked key is refused by every replica from the very next request', async () => {
      const key = await space.createKey({ name: 'to revoke', rateLimit: 1_000_000 });
      const doors = gatewayUrls().map((url) => new Door(url, { 'x-api-key': key.key }));
      expect(doors).toHaveLength(2);
      for (const door of doors) expect((await door.get('/api/v1/files')).status).toBe(200);
      await space.revokeKey(key.id);
      for (const door of doors) expectError(await door.get('/api/v1/files'), 401, 'UNAUTHORIZED');
    });

    it('T-004 T-029 the host label and the key must name one Space', async () => {
      const host = (label: string) => ({ host: `${label}.tcnorthwest.com` });
      expect((await space.door.get('/api/v1/files', host(space.slug))).status).toBe(200);
      expectError(await space.door.get('/api/v1/files', host(other.slug)), 401, 'UNAUTHORIZED');
      expect((await space.door.get('/api/v1/files', { host: '127.0.0.1' })).status).toBe(200);
      const { json } = await space.door.get('/api/v1/files/1');
      expect(json.data).toMatchObject({ name: 'Mine' });
    });
  });

  describe('read only', () => {
    it('T-032 T-009 T-121 a write on anything but webhooks is 403 before its body is read', async () => {
      const before = await space.door.get('/api/v1/files/1');
      for (const method of ['POST', 'PUT', 'PATCH', 'DELETE'])
        for (const path of [
          '/api/v1/files',
          '/api/v1/files/1',
          '/api/v1/files/999',
          '/api/v1/nonsense',
          '/api/v1/contacts/lookup',
        ])
          for (const body of ['{"name":"x"}', '{broken', '', Buffer.alloc(2_000_000, '[')]) {
            const answer = await space.door.send(path, { method, body });
            expectError(answer, 403, 'FORBIDDEN');
          }
      expect((await space.door.get('/api/v1/files/1')).text).toBe(before.text);
    });

    it('T-033 a key without webhooks:write may not write them, one without read may not read', async () => {
      const reader = await space.createKey({ name: 'reader', scopes: ['read'] });
      const door = bare.with({ 'x-api-key': reader.key });
      expect((await door.get('/api/v1/webhooks')).status).toBe(200);
      expectError(await door.post('/api/v1/webhooks', { name: 'x' }), 403, 'FORBIDDEN');
      const writer = await space.createKey({ name: 'writer', scopes: ['webhooks:write'] });
      expectError(await bare.with({ 'x-api-key': writer.key }).get('/api/v1/files'), 403, 'FORBIDDEN');
    });

    it('T-121 T-120 the order is 401, 429, 403, route 404, 400, record 404', async () => {
      const tight = await space.createKey({ name: 'tight', rateLimit: 3 });
      const door = bare.with({ 'x-api-key': tight.key });
      expectError(await door.post('/api/v1/nonsense', '{'), 403, 'FORBIDDEN');
      expectError(await door.get('/api/v1/nonsense?page=0'), 404, 'NOT_FOUND');
      expectError(await door.get('/api/v1/files/404?fields=nonsense'), 400, 'VALIDATION_ERROR');
      expectError(await door.post('/api/v1/nonsense', '{'), 429, 'RATE_LIMIT_EXCEEDED');
      await space.revokeKey(tight.id);
      expectError(await door.get('/api/v1/files'), 401, 'UNAUTHORIZED');
    });
  });

  describe('rate limit', () => {
    it('T-040 T-041 T-042 T-043 exactly 60 of a burst over two replicas pass, and Remaining counts 59 … 0', async () => {
      const key = await space.createKey({ name: 'burst' });
      const doors = gatewayUrls().map((url) => new Door(url, { 'x-api-key': key.key }));
      const answers = await Promise.all(
        Array.from({ length: 200 }, (_, i) =>
          (doors[i % 2] as Door).get(i % 3 ? '/api/v1/files/1' : '/api/v1/nonsense'),
        ),
      );
      const passed = answers.filter((answer) => answer.status !== 429);
      expect(passed).toHaveLength(60);
      expect(passed.map((answer) => Number(answer.headers['x-ratelimit-remaining'])).sort((a, b) => b - a)).toEqual(
        Array.from({ length: 60 }, (_, i) => 59 - i),
      );
      for (const answer of answers) expect(answer.headers['x-ratelimit-limit']).toBe('60');
      const refused = answers.find((answer) => answer.status === 429) as Answer;
      expectError(refused, 429, 'RATE_LIMIT_EXCEEDED');
      expect(headersOf(refused)).toEqual(['60', '0']);
      const retryAfter = Number(refused.headers['retry-after']);
      expect(retryAfter).toBeGreaterThan(0);
      expect(retryAfter).toBeLessThanOrEqual(60);
    });

    it('T-041 T-042 every reply has the headers, two keys of one Space do not share, webhooks count too', async () => {
      const [a, b] = [await space.createKey({ name: 'a' }), await space.createKey({ name: 'b' })];
      const door = bare.with({ 'x-api-key': a.key });
      expect(headersOf(await door.get('/api/v1/files'))).toEqual(['60', '59']);
      expect(headersOf(await door.get('/api/v1/files/404'))).toEqual(['60', '58']);
      expect(headersOf(await door.post('/api/v1/files', {}))).toEqual(['60', '57']);
      expect(headersOf(await door.get('/api/v1/files?page=0'))).toEqual(['60', '56']);
      expect(headersOf(await door.get('/api/v1/webhooks'))).toEqual(['60', '55']);
      expect(headersOf(await bare.with({ 'x-api-key': b.key }).get('/api/v1/files'))).toEqual(['60', '59']);
      const anonymous = await bare.get('/api/v1/files');
      expect(anonymous.headers['x-ratelimit-limit']).toBe('600');
      expect(Number(anonymous.headers['x-ratelimit-remaining'])).toBeGreaterThanOrEqual(0);
    });

    it('T-044 says the same in the IETF fields', async () => {
      const { headers } = await space.door.get('/api/v1/files');
      expect(headers['ratelimit-policy']).toMatch(/;q=1000000;w=60/);
      expect(headers['ratelimit']).toMatch(/;r=\d+;t=\d+/);
    });
  });

  it('T-122 the documented Python script finds every key it prints', async () => {
    const { json } = await space.door.get('/api/v1/files');
    expect(json.success).toBe(true);
    for (const file of json.data as Record<string, unknown>[])
      for (const key of ['id', 'propertyAddress', 'listingStatus', 'fileType'])
        expect(Object.keys(file)).toContain(key);
    expect(json.pagination.total).toBe(1);
  });
});
