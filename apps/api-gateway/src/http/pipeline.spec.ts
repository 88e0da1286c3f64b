import { connect, type Socket } from 'node:net';
import { ApiError, collections } from '@keyturn/contracts';
import { reply } from '@keyturn/platform/rpc';
import { freshDatabase, freshNats, waitFor, type FreshDatabase, type FreshNats } from '@keyturn/testing';
import { Audit } from '../audit/audit';
import { accessTemplate, RunningGateway, StandIn } from '../gateway-fixture';
import { makeApiKey } from '../keys/api-key';
import { webhookExample as webhook } from '../openapi/webhook-schemas';

jest.setTimeout(30_000);

/** The whole gateway over real HTTP; behind it a stand-in on a real NATS that answers what it was asked. */
describe('the gateway', () => {
  let database: FreshDatabase;
  let nats: FreshNats;
  let services: StandIn;
  let gateway: RunningGateway;
  let key: string;
  let asked: { operation: string; request: unknown }[] = [];
  /** How long the gateway waits for the last change of a webhook, in milliseconds. */
  let patience = 0;

  const record = (id: number) => JSON.stringify({ id, propertyAddress: '333 Main St', remarks: 'x'.repeat(200) });

  beforeAll(async () => {
    [database, nats] = await Promise.all([freshDatabase(accessTemplate), freshNats()]);
    const note = (operation: string, request: unknown) => asked.push({ operation, request });
    services = await StandIn.start(nats.url, {
      'data.space.put': () => reply({}),
      'webhooks.space.put': () => reply({}),
      'data.list': ({ request }) => {
        note('data.list', request);
        if (request.query.search.includes('boom')) throw new Error('select secret from somewhere');
        if (request.query.search.includes('busy')) throw new ApiError('UNAVAILABLE', 'The database cannot be reached');
        const { window, pageSize } = request.query;
        const rows = Array.from({ length: pageSize }, (_, i) => record(i + 1)).join(',');
        if ('page' in window) return reply({ count: pageSize, total: 142, next: null }, rows);
        return reply({ count: pageSize, total: null, next: window.after ? null : { value: 25, id: 25 } }, rows);
      },
      'data.detail': ({ request }) => {
        note('data.detail', request);
        if (request.id !== 12345) throw new ApiError('NOT_FOUND', 'Resource not found or not in your Space');
        return reply({}, record(12345));
      },
      'data.lookup': ({ request }) => {
        note('data.lookup', request);
        return reply({}, record(7));
      },
      'webhooks.list': ({ request }) => {
        note('webhooks.list', request);
        return reply({ count: 1, total: 1, next: null }, JSON.stringify(webhook));
      },
      'webhooks.get': () => reply(webhook),
      'webhooks.consent': ({ request }) => {
        note('webhooks.consent', request);
        return reply({ asked: request.id === 'wh_asking' || request.handshake });
      },
      'webhooks.create': ({ request, deadline }) => {
        note('webhooks.create', request);
        patience = deadline - performance.now();
        const { id, name, url, events, ...rest } = webhook;
        return reply({ id, name, url, events, signingSecret: 'whsec_abc', ...rest });
      },
      'webhooks.update': ({ request, deadline }) => {
        note('webhooks.update', request);
        patience = deadline - performance.now();
        return reply(webhook);
      },
      'webhooks.delete': ({ request }) => reply({ id: request.id, deleted: true }),
      'webhooks.deliveries': ({ request }) => {
        note('webhooks.deliveries', request);
        return reply({ count: 0, total: 0, next: null }, '');
      },
    });
    gateway = await RunningGateway.start(database.url, nats.url, { addressLimit: 100_000 });
    await gateway.createSpace('acme');
    await gateway.createSpace('beta');
    ({ key } = await gateway.createKey('acme', { rateLimit: 1_000_000 }));
  });

  beforeEach(() => {
    asked = [];
  });

  afterAll(async () => {
    await gateway.close();
    await services.close();
    await nats.stop();
    await database.drop();
  });

  interface Answer {
    status: number;
    headers: Headers;
    text: string;
    json: { success?: boolean; data?: unknown; error?: { code: string; message: string }; pagination?: object };
  }

  async function call(
    path: string,
    init: RequestInit & { apiKey?: string | null; base?: string } = {},
  ): Promise<Answer> {
    const { apiKey = key, base = gateway.url, headers, ...rest } = init;
    const response = await fetch(`${base}${path}`, {
      ...rest,
      headers: { ...(apiKey === null ? {} : { 'X-API-Key': apiKey }), ...(headers as Record<string, string>) },
    });
    const text = await response.text();
    return {
      status: response.status,
      headers: response.headers,
      text,
      json: (text === '' ? {} : JSON.parse(text)) as Answer['json'],
    };
  }

  /** Bytes on a socket, for what no client library would send. */
  async function raw(text: string | Buffer): Promise<string> {
    const { port } = new URL(gateway.url);
    const socket: Socket = connect(Number(port), '127.0.0.1');
    const parts: Buffer[] = [];
    socket.on('data', (part) => parts.push(part));
    socket.on('error', () => undefined);
    socket.write(text);
    await waitFor('an answer', () => {
      const answer = Buffer.concat(parts).toString('latin1');
      const end = answer.indexOf('\r\n\r\n');
      const length = /content-length: (\d+)/i.exec(answer)?.[1];
      return end !== -1 && answer.length >= end + 4 + Number(length ?? 0);
    });
    socket.destroy();
    return Buffer.concat(parts).toString('latin1');
  }

  const expectFailure = (answer: Answer, status: number, code: string) => {
    expect(answer.status).toBe(status);
    expect(answer.json).toEqual({ success: false, error: { code, message: expect.any(String) as string } });
    expect(Object.keys(answer.json)).toEqual(['success', 'error']);
    expect(answer.headers.get('content-type')).toBe('application/json; charset=utf-8');
    expect(answer.headers.get('x-ratelimit-limit')).toMatch(/^\d+$/);
    expect(answer.headers.get('x-ratelimit-remaining')).toMatch(/^\d+$/);
    expect(answer.headers.get('x-request-id')).toBeTruthy();
    expect(answer.headers.get('x-content-type-options')).toBe('nosniff');
    expect(answer.text).not.toMatch(/\bat \w+.*:\d+:\d+|select /);
  };

  describe('health', () => {
    it.each(['GET', 'HEAD'])('T-050 answers %s without a key, and with a wrong one', async (method) => {
      expect((await call('/api/v1/health', { method, apiKey: null })).status).toBe(200);
      expect((await call('/api/v1/health', { method, apiKey: 'tc_live_wrong' })).status).toBe(200);
    });

    it('T-051 says exactly status and the time now, without the envelope', async () => {
      const { json } = await call('/api/v1/health', { apiKey: null });
      const { timestamp } = json as { timestamp: string };
      expect(json).toEqual({ status: 'ok', timestamp });
      expect(timestamp).toBe(new Date(timestamp).toISOString());
      expect(Math.abs(Date.now() - Date.parse(timestamp))).toBeLessThan(5_000);
    });

    it('T-009 refuses writes like any other', async () => {
      expectFailure(await call('/api/v1/health', { method: 'POST' }), 403, 'FORBIDDEN');
      expectFailure(await call('/api/v1/contacts/lookup', { method: 'DELETE' }), 403, 'FORBIDDEN');
    });

    it('T-041 is never refused, and shows the bucket of the address', async () => {
      const { headers } = await call('/api/v1/health', { apiKey: null });
      expect(headers.get('x-ratelimit-limit')).toBe('100000');
    });
  });

  describe('keys', () => {
    it('T-020 takes the header in any case', async () => {
      for (const name of ['x-api-key', 'X-API-KEY', 'X-Api-Key'])
        expect((await call('/api/v1/files', { apiKey: null, headers: { [name]: key } })).status).toBe(200);
    });

    it.each<[string, string | null]>([
      ['no key', null],
      ['an empty key', ''],
      ['a malformed key', 'tc_live_short'],
      ['a key with a wrong checksum', `tc_live_${'a'.repeat(38)}`],
      ['an unknown key', makeApiKey()],
    ])('T-021 T-022 answers %s with 401 and the same words', async (_what, apiKey) => {
      const answer = await call('/api/v1/files', { apiKey });
      expectFailure(answer, 401, 'UNAUTHORIZED');
      expect(answer.json.error?.message).toBe('Invalid or expired API key');
    });

    it('T-022 T-028 answers a revoked and an expired key alike', async () => {
      const revoked = await gateway.createKey('acme');
      expect((await call('/api/v1/files', { apiKey: revoked.key })).status).toBe(200);
      await gateway.admin('admin.keys.revoke', { id: revoked.id });
      const expired = await gateway.createKey('acme', { expiresAt: '2020-01-01T00:00:00Z' });
      for (const { key: apiKey } of [revoked, expired]) {
        const answer = await call('/api/v1/files', { apiKey });
        expectFailure(answer, 401, 'UNAUTHORIZED');
        expect(answer.json.error?.message).toBe('Invalid or expired API key');
      }
    });

    it('T-024 T-025 takes no key from the address or from Authorization', async () => {
      for (const query of [`api_key=${key}`, `X-API-Key=${key}`, `apiKey=${key}`])
        expectFailure(await call(`/api/v1/files?${query}`, { apiKey: null }), 401, 'UNAUTHORIZED');
      const headers = { authorization: `Bearer ${key}` };
      expectFailure(await call('/api/v1/files', { apiKey: null, headers }), 401, 'UNAUTHORIZED');
    });

    it('T-004 is valid on its own host and on hosts that name no Space, never on another Space’s', async () => {
      const on = (host: string) => raw(`GET /api/v1/files HTTP/1.1\r\nHost: ${host}\r\nX-API-Key: ${key}\r\n\r\n`);
      expect(await on('acme.tcnorthwest.com')).toMatch(/^HTTP\/1.1 200 /);
      expect(await on('ACME.localhost:3000')).toMatch(/^HTTP\/1.1 200 /);
      expect(await on('nobody.tcnorthwest.com')).toMatch(/^HTTP\/1.1 200 /);
      expect(await on('beta.tcnorthwest.com')).toMatch(/^HTTP\/1.1 401 [^]*UNAUTHORIZED/);
    });

    it('T-029 asks for the rows of the key’s own Space', async () => {
      const beta = await gateway.createKey('beta');
      await call('/api/v1/files');
      await call('/api/v1/files', { apiKey: beta.key });
      const spaces = asked.map(({ request }) => (request as { spaceId: string }).spaceId);
      expect(new Set(spaces).size).toBe(2);
    });

    it('scopes: a key without read reads nothing, one without webhooks:write writes nothing', async () => {
      const writer = await gateway.createKey('acme', { scopes: ['webhooks:write'] });
      const reader = await gateway.createKey('acme', { scopes: ['read'] });
      expectFailure(await call('/api/v1/files', { apiKey: writer.key }), 403, 'FORBIDDEN');
      expectFailure(await call('/api/v1/webhooks', { apiKey: writer.key }), 403, 'FORBIDDEN');
      const post = { method: 'POST', body: '{}', headers: { 'content-type': 'application/json' } };
      expectFailure(await call('/api/v1/webhooks', { ...post, apiKey: reader.key }), 403, 'FORBIDDEN');
      expect((await call('/api/v1/webhooks', { ...post, apiKey: writer.key })).status).toBe(201);
      expect((await call('/api/v1/webhooks', { apiKey: reader.key })).status).toBe(200);
    });

    it('a suspended Space opens nothing any more', async () => {
      await gateway.createSpace('gone');
      const made = await gateway.createKey('gone');
      expect((await call('/api/v1/files', { apiKey: made.key })).status).toBe(200);
      await gateway.admin('admin.spaces.suspend', { slug: 'gone' });
      expectFailure(await call('/api/v1/files', { apiKey: made.key }), 401, 'UNAUTHORIZED');
    });
  });

  describe('limits', () => {
    it('T-040 T-041 T-042 T-043 T-044 60 of a burst pass whatever they ask, then 429 with Retry-After', async () => {
      const made = await gateway.createKey('acme');
      const paths = ['/api/v1/files', '/api/v1/nope', '/api/v1/files?page=0', '/api/v1/files/1', '/api/v1/webhooks'];
      const answers = await Promise.all(
        Array.from({ length: 90 }, (_, i) =>
          call(paths[i % paths.length] as string, { apiKey: made.key, method: i % 6 === 5 ? 'POST' : 'GET' }),
        ),
      );
      const refused = answers.filter(({ status }) => status === 429);
      expect(refused).toHaveLength(30);
      for (const answer of refused) {
        expectFailure(answer, 429, 'RATE_LIMIT_EXCEEDED');
        expect(answer.headers.get('x-ratelimit-remaining')).toBe('0');
        expect(Number(answer.headers.get('retry-after'))).toBeGreaterThan(0);
        expect(Number(answer.headers.get('retry-after'))).toBeLessThanOrEqual(60);
      }
      for (const { headers } of answers) expect(headers.get('x-ratelimit-limit')).toBe('60');
      const remaining = answers
        .filter(({ status }) => status !== 429)
        .map(({ headers }) => Number(headers.get('x-ratelimit-remaining')));
      expect(remaining.sort((a, b) => b - a)).toEqual(Array.from({ length: 60 }, (_, i) => 59 - i));
    });

    it('T-041 says the same in the fields of the IETF draft', async () => {
      const made = await gateway.createKey('acme', { rateLimit: 5 });
      const { headers } = await call('/api/v1/files', { apiKey: made.key });
      expect(headers.get('ratelimit-policy')).toBe('"key";q=5;w=60');
      expect(headers.get('ratelimit')).toBe('"key";r=4;t=60');
    });

    it('refuses an address that keeps asking without a key: 429 instead of 401, and never a good key', async () => {
      const narrow = await RunningGateway.start(database.url, nats.url, { addressLimit: 5 });
      try {
        const base = narrow.url;
        const statuses: number[] = [];
        for (let i = 0; i < 8; i++) statuses.push((await call('/api/v1/files', { base, apiKey: null })).status);
        expect(statuses).toEqual([401, 401, 401, 401, 401, 429, 429, 429]);
        expectFailure(await call('/nowhere', { base, apiKey: 'x' }), 429, 'RATE_LIMIT_EXCEEDED');
        expect((await call('/api/v1/health', { base, apiKey: null })).status).toBe(200);
        expect((await call('/api/v1/files', { base })).status).toBe(200);
      } finally {
        await narrow.close();
      }
    });
  });

  describe('what is refused, and in which order (T-121)', () => {
    const writes = ['POST', 'PUT', 'PATCH', 'DELETE'];

    it.each(writes)('T-032 %s on any data path is 403, whatever stands in the body', async (method) => {
      for (const path of ['/api/v1/files', '/api/v1/files/12345', '/api/v1/notes/0', '/api/v1/nope', '/elsewhere'])
        for (const body of ['{"name":"x"}', '{broken', ''])
          expectFailure(
            await call(path, { method, body, headers: { 'content-type': 'application/json' } }),
            403,
            'FORBIDDEN',
          );
      expect(asked).toEqual([]);
    });

    it.each(['OPTIONS', 'PROPFIND', 'LOCK'])('%s is no read, so it is a write', async (method) => {
      expectFailure(await call('/api/v1/files', { method }), 403, 'FORBIDDEN');
      expectFailure(await call('/api/v1/files', { method, apiKey: null }), 401, 'UNAUTHORIZED');
    });

    it('TRACE never echoes', async () => {
      const answer = await raw(`TRACE /api/v1/files HTTP/1.1\r\nHost: a\r\nX-API-Key: ${key}\r\n\r\n`);
      expect(answer).toMatch(/^HTTP\/1.1 403 [^]*"FORBIDDEN"/);
      expect(answer).not.toContain(key);
    });

    it('T-001 T-008 an unknown route is 401 without a key and 404 with one', async () => {
      for (const path of [
        '/',
        '/files',
        '/api/v1',
        '/api/v1/nope',
        '/api/v1/files/1/2',
        '/api/v2/files',
        '/api/v1/files/',
      ]) {
        expectFailure(await call(path, { apiKey: null }), 401, 'UNAUTHORIZED');
        expectFailure(await call(path), 404, 'NOT_FOUND');
      }
    });

    it('404 of a route, then 400, then 404 of a record', async () => {
      expectFailure(await call('/api/v1/nope?page=0'), 404, 'NOT_FOUND');
      expectFailure(await call('/api/v1/files/abc?nope=1'), 400, 'VALIDATION_ERROR');
      expectFailure(await call('/api/v1/files/abc'), 404, 'NOT_FOUND');
    });

    it('methods that a webhook path does not take are 400 and say which it takes (T-120)', async () => {
      const put = await call('/api/v1/webhooks/wh_1', { method: 'PUT', body: '{}' });
      expectFailure(put, 400, 'VALIDATION_ERROR');
      expect(put.headers.get('allow')).toBe('GET, PATCH, DELETE');
      expectFailure(await call('/api/v1/webhooks/wh_1/nope', { method: 'POST' }), 404, 'NOT_FOUND');
    });
  });

  describe('reads', () => {
    it.each([...collections.keys()])('T-060 lists and details /%s', async (name) => {
      const collection = collections.get(name)?.name;
      expect((await call(`/api/v1/${name}`)).status).toBe(200);
      expect((await call(`/api/v1/${name}/12345`)).status).toBe(200);
      expect(asked.map(({ request }) => (request as { collection: string }).collection)).toEqual([
        collection,
        collection,
      ]);
    });

    it('T-002 T-068 puts pages into the envelope, with exactly four keys of pagination', async () => {
      const { json } = await call('/api/v1/files');
      expect(Object.keys(json)).toEqual(['success', 'data', 'pagination']);
      expect(json.success).toBe(true);
      expect(json.data).toHaveLength(25);
      expect(json.pagination).toEqual({ page: 1, pageSize: 25, total: 142, totalPages: 6 });
    });

    it('T-062 puts a record into the envelope', async () => {
      const { json } = await call('/api/v1/files/12345');
      expect(json).toEqual({ success: true, data: JSON.parse(record(12345)) as unknown });
    });

    it.each([
      '0',
      '-1',
      '1.5',
      'abc',
      '9'.repeat(30),
      '9007199254740993',
      'x'.repeat(4_000),
      '%00',
      '1%2F2',
      '__proto__',
    ])('T-062 T-077 the id %s is 404 and asks nobody', async (id) => {
      expectFailure(await call(`/api/v1/files/${id}`), 404, 'NOT_FOUND');
      expect(asked).toEqual([]);
    });

    it('T-030 T-077 a record that the Space does not have is 404', async () => {
      expectFailure(await call('/api/v1/files/99'), 404, 'NOT_FOUND');
    });

    it('T-064 T-065 looks a contact up by national digits, and wins over the detail', async () => {
      expect((await call('/api/v1/contacts/lookup?phone=%2B1%20(206)%20555-1234%20x9')).status).toBe(200);
      expect(asked).toEqual([
        {
          operation: 'data.lookup',
          request: expect.objectContaining({ phone: '2065551234', fields: null }) as unknown,
        },
      ]);
    });

    it.each(['', '?phone=', '?phone=12345', '?phone=2065551234&phone=2065551235', '?phone=2065551234&nope=1'])(
      'T-064 refuses a lookup with "%s"',
      async (query) => {
        expectFailure(await call(`/api/v1/contacts/lookup${query}`), 400, 'VALIDATION_ERROR');
      },
    );

    it.each([
      'page=0',
      'pageSize=-1',
      'sort=passwordHash',
      'order=up',
      'nope=1',
      'spaceId=spc_2',
      'search=%FF',
      'a=%ZZ',
      'search=%00',
    ])('T-066 … T-076 refuses ?%s', async (query) => {
      expectFailure(await call(`/api/v1/users?${query}`), 400, 'VALIDATION_ERROR');
      expect(asked).toEqual([]);
    });

    it('walks by cursor: pageSize, nextCursor and hasMore, until the end', async () => {
      const first = await call('/api/v1/files?cursor=&sort=listPrice');
      const { nextCursor } = first.json.pagination as { nextCursor: string };
      expect(first.json.pagination).toEqual({ pageSize: 25, nextCursor, hasMore: true });
      expect(first.headers.get('link')).toBe(`</api/v1/files?cursor=${nextCursor}&sort=listPrice>; rel="next"`);
      const last = await call(`/api/v1/files?cursor=${nextCursor}&sort=listPrice`);
      expect(last.json.pagination).toEqual({ pageSize: 25, nextCursor: null, hasMore: false });
      expect(last.headers.get('link')).toBeNull();
      const beta = await gateway.createKey('beta');
      for (const [path, apiKey] of [
        [`/api/v1/contacts?cursor=${nextCursor}`, key],
        [`/api/v1/files?cursor=${nextCursor}`, key],
        [`/api/v1/files?cursor=${nextCursor}&sort=listPrice`, beta.key],
      ] as const)
        expectFailure(await call(path, { apiKey }), 400, 'VALIDATION_ERROR');
    });

    it('links the next page, and none after the last', async () => {
      expect((await call('/api/v1/files?city=%3Cx%3E&page=5')).headers.get('link')).toBe(
        '</api/v1/files?city=%3Cx%3E&page=6>; rel="next"',
      );
      expect((await call('/api/v1/files?page=6')).headers.get('link')).toBeNull();
    });

    it('T-010 HEAD has the status and the headers of GET, and no body', async () => {
      for (const path of [
        '/api/v1/files',
        '/api/v1/files/12345',
        '/api/v1/files/99',
        '/api/v1/nope',
        '/api/v1/webhooks',
      ]) {
        const [get, head] = [await call(path), await call(path, { method: 'HEAD' })];
        expect(head.status).toBe(get.status);
        expect(head.text).toBe('');
        const shown = ({ headers }: Answer) =>
          [...headers].filter(
            ([name]) => !/^(date|x-request-id|x-ratelimit-remaining|ratelimit|connection|keep-alive)$/.test(name),
          );
        expect(shown(head)).toEqual(shown(get));
      }
    });

    it('answers 304 to whoever has it, and it counts', async () => {
      const made = await gateway.createKey('acme');
      const first = await call('/api/v1/files', { apiKey: made.key });
      const etag = first.headers.get('etag') as string;
      expect(etag).toMatch(/^W\/"[\w-]+"$/);
      for (const header of [etag, `"other", ${etag}`, etag.slice(2), '*']) {
        const again = await call('/api/v1/files', { apiKey: made.key, headers: { 'if-none-match': header } });
        expect([again.status, again.text, again.headers.get('etag')]).toEqual([304, '', etag]);
        expect(again.headers.get('x-ratelimit-remaining')).toMatch(/^5\d$/);
      }
      const other = await call('/api/v1/files?pageSize=2', { headers: { 'if-none-match': etag } });
      expect(other.status).toBe(200);
      expect((await call('/api/v1/files', { apiKey: made.key })).headers.get('x-ratelimit-remaining')).toBe('54');
    });

    it('compresses from 1 KiB on for whoever takes it', async () => {
      const get = (path: string, encoding: string) =>
        raw(
          `GET ${path} HTTP/1.1\r\nHost: a\r\nX-API-Key: ${key}\r\nAccept-Encoding: ${encoding}\r\nConnection: close\r\n\r\n`,
        );
      expect(await get('/api/v1/files', 'gzip')).toMatch(/content-encoding: gzip/);
      expect(await get('/api/v1/files', 'gzip;q=0')).not.toMatch(/content-encoding/);
      expect(await get('/api/v1/files/12345', 'gzip')).not.toMatch(/content-encoding/);
      expect(await get('/api/v1/files/12345', 'gzip')).toMatch(/vary: Accept-Encoding/);
      const packed = await fetch(`${gateway.url}/api/v1/files`, { headers: { 'X-API-Key': key } });
      expect(packed.headers.get('content-encoding')).toBe('gzip');
      expect(((await packed.json()) as { data: unknown[] }).data).toHaveLength(25);
    });

    it('T-011 a fault of ours is 500 without a word about it', async () => {
      expectFailure(await call('/api/v1/files?search=boom'), 500, 'INTERNAL_ERROR');
    });

    it('a part that is down is 503 with Retry-After, at once', async () => {
      const answer = await call('/api/v1/files?search=busy');
      expectFailure(answer, 503, 'INTERNAL_ERROR');
      expect(answer.headers.get('retry-after')).toBe('1');
      const started = performance.now();
      // Nobody answers this operation here.
      expectFailure(await call('/api/v1/webhooks/wh_1/test', { method: 'POST' }), 503, 'INTERNAL_ERROR');
      expect(performance.now() - started).toBeLessThan(1_000);
    });
  });

  describe('webhooks', () => {
    const json = { 'content-type': 'application/json' };

    it('T-080 T-081 T-082 T-087 T-090 maps replies to statuses, and lets nobody keep a secret', async () => {
      const created = await call('/api/v1/webhooks', { method: 'POST', headers: json, body: '{"name":"CRM"}' });
      expect(created.status).toBe(201);
      expect(Object.keys(created.json.data as object).slice(0, 7)).toEqual([
        ...['id', 'name', 'url', 'events', 'signingSecret', 'isActive', 'createdAt'],
      ]);
      expect(created.headers.get('cache-control')).toBe('no-store');
      expect(asked.at(-1)).toMatchObject({ operation: 'webhooks.create', request: { input: { name: 'CRM' } } });

      expect((await call('/api/v1/webhooks/wh_42')).json.data).toEqual(webhook);
      const list = await call('/api/v1/webhooks?isActive=true&search=crm');
      expect(list.json.pagination).toEqual({ page: 1, pageSize: 25, total: 1, totalPages: 1 });
      const deleted = await call('/api/v1/webhooks/wh_42', { method: 'DELETE' });
      expect([deleted.status, deleted.json]).toEqual([200, { success: true, data: { id: 'wh_42', deleted: true } }]);
    });

    it('logs who wrote which webhook', async () => {
      const made = await gateway.createKey('acme');
      await call('/api/v1/webhooks', { method: 'POST', headers: json, body: '{}', apiKey: made.key });
      const { entries } = await gateway.part(Audit).list('spc_1', { page: 1, pageSize: 1 });
      expect(entries).toEqual([
        expect.objectContaining({
          actor: `key:${made.id}`,
          action: 'webhook.created',
          object: 'wh_42',
          address: '127.0.0.1',
        }),
      ]);
    });

    it('T-088 PATCH without a body changes nothing', async () => {
      expect((await call('/api/v1/webhooks/wh_42', { method: 'PATCH' })).status).toBe(200);
      expect(asked.at(-1)).toMatchObject({ operation: 'webhooks.update', request: { input: {} } });
    });

    it('T-086 waits longer where webhook-service says that a receiver is asked first, and nowhere else', async () => {
      const write = async (method: string, path: string, body: object) => {
        asked = [];
        const answer = await call(`/api/v1/webhooks${path}`, { method, headers: json, body: JSON.stringify(body) });
        expect(answer.status).toBeLessThan(300);
        return [asked.map(({ operation }) => operation).join(), patience > 10_000];
      };
      const url = 'https://example.com/other';
      expect(await write('POST', '', { name: 'x' })).toEqual(['webhooks.create', false]);
      expect(await write('POST', '', { url })).toEqual(['webhooks.consent,webhooks.create', false]);
      expect(await write('POST', '', { url, handshake: true })).toEqual(['webhooks.consent,webhooks.create', true]);
      expect(await write('PATCH', '/wh_42', { url })).toEqual(['webhooks.consent,webhooks.update', false]);
      expect(await write('PATCH', '/wh_42', { handshake: true })).toEqual(['webhooks.consent,webhooks.update', true]);
      expect(await write('PATCH', '/wh_asking', { url })).toEqual(['webhooks.consent,webhooks.update', true]);
      expect(await write('PATCH', '/wh_asking', { name: 'x' })).toEqual(['webhooks.update', false]);
    });

    it('T-092 lists deliveries, newest first', async () => {
      const { json: body } = await call('/api/v1/webhooks/wh_42/deliveries?status=failed');
      expect(body.data).toEqual([]);
      expect(asked.at(-1)).toMatchObject({
        operation: 'webhooks.deliveries',
        request: { id: 'wh_42', query: { sort: 'id', order: 'desc' } },
      });
    });

    it.each<[string, string, string | Buffer]>([
      ['malformed JSON', 'application/json', '{"name":'],
      ['a form', 'application/x-www-form-urlencoded', 'name=CRM'],
      ['text', 'text/plain', '{"name":"CRM"}'],
      ['2 MB', 'application/json', JSON.stringify({ name: 'x'.repeat(2_000_000) })],
      ['arrays 10,000 deep', 'application/json', '['.repeat(10_000) + ']'.repeat(10_000)],
      ['a key __proto__', 'application/json', '{"__proto__":{"isActive":false}}'],
      ['invalid UTF-8', 'application/json', Buffer.from([0x7b, 0x22, 0xff, 0x22, 0x3a, 0x31, 0x7d])],
    ])('T-094 refuses %s', async (_what, type, body) => {
      const started = performance.now();
      const answer = await call('/api/v1/webhooks', { method: 'POST', headers: { 'content-type': type }, body });
      expectFailure(answer, 400, 'VALIDATION_ERROR');
      expect(performance.now() - started).toBeLessThan(1_000);
      expect(asked).toEqual([]);
    });
  });

  describe('what is not a request', () => {
    it.each<[string, string]>([
      ['noise', 'NOISE\r\n\r\n'],
      ['a query of 100 kB', `GET /api/v1/files?search=${'a'.repeat(100_000)} HTTP/1.1\r\nHost: a\r\n\r\n`],
      ['a header of 100 kB', `GET /api/v1/files HTTP/1.1\r\nHost: a\r\nX-A: ${'a'.repeat(100_000)}\r\n\r\n`],
      ['a header with a NUL', 'GET /api/v1/files HTTP/1.1\r\nHost: a\r\nX-A: a\0b\r\n\r\n'],
      ['two lengths', 'POST /api/v1/webhooks HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n'],
      ['smuggling', 'POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n'],
      ['CONNECT', 'CONNECT a:1 HTTP/1.1\r\nHost: a:1\r\n\r\n'],
    ])('answers %s with a 4xx of our shape, and hangs up', async (_what, bytes) => {
      const answer = await raw(bytes);
      expect(answer).toMatch(/^HTTP\/1\.1 400 Bad Request\r\n/);
      const [head = '', body = ''] = answer.split('\r\n\r\n');
      expect(JSON.parse(body)).toEqual({
        success: false,
        error: { code: 'VALIDATION_ERROR', message: expect.any(String) as string },
      });
      expect(head).toMatch(/content-type: application\/json; charset=utf-8/);
      expect(head).toMatch(/x-ratelimit-limit: \d+/);
      expect(head).toMatch(/connection: close/);
    });

    it.each<[string, string, number]>([
      ['a request without Host', 'GET /api/v1/files HTTP/1.1\r\n', 200],
      ['HTTP/1.0', 'GET /api/v1/files HTTP/1.0\r\n', 200],
      ['an absolute target', 'GET http://acme.example/api/v1/files HTTP/1.1\r\nHost: acme.example\r\n', 200],
      ['OPTIONS *', 'OPTIONS * HTTP/1.1\r\nHost: a\r\n', 403],
      ['an unknown expectation', 'GET /api/v1/files HTTP/1.1\r\nHost: a\r\nExpect: 200-ok\r\n', 200],
      ['an upgrade', 'GET /api/v1/files HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n', 200],
      ['a malformed path', 'GET /api/v1/files/%ZZ HTTP/1.1\r\nHost: a\r\n', 400],
      ['an overlong encoding', 'GET /api/v1/files/%C0%AF HTTP/1.1\r\nHost: a\r\n', 400],
    ])('answers %s like any other', async (_what, head, status) => {
      const good = await raw(`${head}X-API-Key: ${key}\r\n\r\n`);
      expect(good).toMatch(new RegExp(`^HTTP/1\\.1 ${status} `));
      expect(good).toContain('application/json; charset=utf-8');
      const stranger = await raw(`${head}\r\n`);
      expect(stranger).toMatch(/^HTTP\/1\.1 401 [^]*"UNAUTHORIZED"/);
    });

    it('T-004 T-050 lets an absolute target in by its path and its host, whatever the header Host says', async () => {
      const health = 'GET http://other.example/api/v1/health?x HTTP/1.1\r\nHost: a\r\nConnection: close\r\n';
      expect(await raw(`${health}\r\n`)).toMatch(/^HTTP\/1\.1 200 [^]*"status":"ok"/);
      const write = 'POST HTTPS://a/api/v1/webhooks HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n';
      expect(await raw(`${write}X-API-Key: ${key}\r\nContent-Length: 2\r\n\r\n{}`)).toMatch(/^HTTP\/1\.1 201 /);
      await gateway.createSpace('elsewhere');
      const read = (host: string, header: string) =>
        raw(`GET http://${host}/api/v1/files HTTP/1.1\r\nHost: ${header}\r\nX-API-Key: ${key}\r\n\r\n`);
      expect(await read('elsewhere.example', 'a')).toMatch(/^HTTP\/1\.1 401 /);
      expect(await read('a', 'elsewhere.example')).toMatch(/^HTTP\/1\.1 200 /);
      expect(await raw('GET http://a HTTP/1.1\r\nHost: a\r\n\r\n')).toMatch(/^HTTP\/1\.1 401 /);
    });

    it('keeps a sane request id and makes one in the place of another', async () => {
      expect((await call('/api/v1/files', { headers: { 'x-request-id': 'abc-1' } })).headers.get('x-request-id')).toBe(
        'abc-1',
      );
      expect(
        (await call('/api/v1/files', { headers: { 'x-request-id': 'a b<' } })).headers.get('x-request-id'),
      ).toHaveLength(36);
    });
  });

  it('tells connections to end while the service drains', async () => {
    const leaving = await RunningGateway.start(database.url, nats.url);
    try {
      expect((await call('/api/v1/files', { base: leaving.url })).headers.get('connection')).toBe('keep-alive');
      leaving.drain.begin();
      expect((await call('/api/v1/files', { base: leaving.url })).headers.get('connection')).toBe('close');
    } finally {
      await leaving.close();
    }
  });
});
