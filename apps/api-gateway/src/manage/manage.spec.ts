import { makeDatabase, statement, type Database } from '@keyturn/platform/database';
import { reply } from '@keyturn/platform/rpc';
import { freshDatabase, freshNats, type FreshDatabase, type FreshNats } from '@keyturn/testing';
import { hashPassword } from '../accounts/password';
import { accessTemplate, RunningGateway, StandIn } from '../gateway-fixture';
import { Keys } from '../keys/keys';
import { AccessRetention } from '../retention/access-retention';
import { LoginLimit } from './login-limit';

const password = 'correct horse battery';
const addMember = statement(
  'test.member',
  `with account as (insert into access.account (email, password_hash) values ($1, $2) returning id)
   insert into access.membership (space_id, account_id, role)
   select s.id, account.id, 'member' from account, access.space s where s.slug = $3`,
);
const storedSecrets = statement(
  'test.secrets',
  `select (select json_agg(k)::text from access.api_key k) as keys, (select json_agg(s)::text from access.session s) as sessions,
          (select json_agg(a)::text from access.audit a) as audit, (select json_agg(a)::text from access.account a) as accounts`,
);
const expireSessions = statement('test.expire', `update access.session set expires_at = now() - interval '1 s'`);

jest.setTimeout(30_000);

describe('the management plane', () => {
  let database: FreshDatabase;
  let nats: FreshNats;
  let services: StandIn;
  let gateway: RunningGateway;
  let direct: Database;

  beforeAll(async () => {
    [database, nats] = await Promise.all([freshDatabase(accessTemplate), freshNats()]);
    services = await StandIn.start(nats.url, {
      'data.space.put': () => reply({}),
      'data.list': () => reply({ count: 0, total: 0, next: null }),
    });
    gateway = await RunningGateway.start(database.url, nats.url, { trustProxy: 1, addressLimit: 10_000 });
    direct = makeDatabase(database.url);
    await gateway.createSpace('acme', { ownerEmail: 'owner@acme.example', ownerPassword: password });
    await gateway.createSpace('beta', { ownerEmail: 'owner@beta.example', ownerPassword: password });
    const hash = await hashPassword(password);
    await direct.acrossSpaces('test').query(addMember, ['member@acme.example', hash, 'acme']);
  });

  afterAll(async () => {
    await direct.close();
    await gateway.close();
    await services.close();
    await nats.stop();
    await database.drop();
  });

  interface Signed {
    cookie: string;
    csrf: string;
  }

  let address = 0;
  async function call(
    method: string,
    path: string,
    options: { signed?: Signed; body?: unknown; headers?: Record<string, string> } = {},
  ) {
    const { signed, body, headers = {} } = options;
    const response = await fetch(`${gateway.url}${path}`, {
      method,
      headers: {
        ...(body === undefined ? {} : { 'content-type': 'application/json' }),
        ...(signed ? { cookie: signed.cookie, 'x-csrf-token': signed.csrf } : {}),
        ...headers,
      },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    return {
      status: response.status,
      headers: response.headers,
      json: (await response.json()) as {
        success: boolean;
        data: never;
        error: { code: string; message: string };
        pagination: unknown;
      },
    };
  }

  /** Each from an address of its own, so that the tests do not run into one another's limit. */
  const attempt = (email: string, secret: string, from = `10.9.${address++ >> 8}.${address & 255}`) =>
    call('POST', '/manage/session', { body: { email, password: secret }, headers: { 'x-forwarded-for': from } });

  const signed = new Map<string, Promise<Signed>>();
  /** Once for all tests that need nothing but a session: a password costs what it should. */
  function signedIn(email: string): Promise<Signed> {
    const session = signed.get(email) ?? signIn(email);
    signed.set(email, session);
    return session;
  }

  async function signIn(email: string): Promise<Signed> {
    const { status, headers, json } = await attempt(email, password);
    expect(status).toBe(201);
    return {
      cookie: (headers.get('set-cookie') ?? '').split(';')[0] as string,
      csrf: (json.data as { csrfToken: string }).csrfToken,
    };
  }

  describe('sessions', () => {
    it('begin with e-mail and password, in a cookie that no script reads and no other site sends', async () => {
      const { status, headers, json } = await attempt('Owner@Acme.example', password);
      expect(status).toBe(201);
      expect(headers.get('set-cookie')).toMatch(
        /^keyturn_session=[\w-]{43}; Path=\/manage; HttpOnly; SameSite=Strict; Max-Age=43\d{3}$/,
      );
      expect(headers.get('cache-control')).toBe('no-store');
      expect(json).toEqual({
        success: true,
        data: {
          email: 'owner@acme.example',
          spaces: [{ id: expect.stringMatching(/^spc_\d+$/) as string, slug: 'acme', name: 'acme', role: 'owner' }],
          csrfToken: expect.any(String) as string,
          expiresAt: expect.any(String) as string,
        },
      });
    });

    it('travel only over https where the proxy says that it is https', async () => {
      const { headers } = await call('POST', '/manage/session', {
        body: { email: 'owner@acme.example', password },
        headers: { 'x-forwarded-proto': 'https', 'x-forwarded-for': '10.8.0.1' },
      });
      expect(headers.get('set-cookie')).toMatch(/; Secure$/);
    });

    it('do not begin with anything else, and never say what was wrong', async () => {
      const wrong = await attempt('owner@acme.example', 'wrong password');
      const unknown = await attempt('nobody@acme.example', password);
      expect([wrong.status, wrong.json]).toEqual([401, unknown.json]);
      expect(unknown.status).toBe(401);
      for (const body of [
        {},
        { email: 'x', password },
        { email: 'owner@acme.example' },
        { email: 'owner@acme.example', password: 7 },
        [],
        null,
      ])
        expect((await call('POST', '/manage/session', { body })).json.error.code).toBe('VALIDATION_ERROR');
    });

    it('end by DELETE, and by time', async () => {
      const signed = await signIn('owner@acme.example');
      expect((await call('GET', '/manage/session', { signed })).status).toBe(200);
      const out = await call('DELETE', '/manage/session', { signed });
      expect([out.status, out.json.data]).toEqual([200, { signedOut: true }]);
      expect(out.headers.get('set-cookie')).toMatch(/^keyturn_session=; .*Max-Age=0/);
      expect((await call('GET', '/manage/session', { signed })).status).toBe(401);

      const late = await signIn('owner@acme.example');
      await direct.acrossSpaces('test').query(expireSessions);
      expect((await call('GET', '/manage/session', { signed: late })).json.error.code).toBe('UNAUTHORIZED');
      const report = await gateway.part(AccessRetention).run(new Date());
      expect(report['sessions']).toBeGreaterThan(0);
    });

    it('guesses are limited by e-mail, from anywhere: ten in a quarter of an hour, and then the right one too', async () => {
      expect((await attempt('owner@beta.example', 'guess guess')).status).toBe(401);
      const limit = gateway.part(LoginLimit);
      for (let i = 1; i < 10; i++) await limit.begin('owner@beta.example', `10.6.0.${i}`);
      const refused = await attempt('owner@beta.example', password);
      expect([refused.status, refused.json.error.code]).toEqual([429, 'RATE_LIMIT_EXCEEDED']);
      expect(Number(refused.headers.get('retry-after'))).toBeGreaterThan(800);
      expect((await attempt('owner@acme.example', password)).status).toBe(201);
    });

    it('guesses are limited by address: fifty, however many come at once', async () => {
      const limit = gateway.part(LoginLimit);
      const begun = await Promise.allSettled(
        Array.from({ length: 80 }, (_, i) => limit.begin(`nobody${i}@x.example`, '10.7.0.1')),
      );
      expect(begun.filter(({ status }) => status === 'fulfilled').length).toBeLessThanOrEqual(50);
      let more = begun.filter(({ status }) => status === 'fulfilled').length;
      for (; more < 50; more++) await limit.begin(`nobody${more}@x.example`, '10.7.0.1');
      await expect(limit.begin('nobody@x.example', '10.7.0.1')).rejects.toMatchObject({ code: 'RATE_LIMIT_EXCEEDED' });
      await limit.begin('nobody@x.example', '10.7.0.2');
    });
  });

  describe('keys', () => {
    it('T-026 T-027 are made, listed and revoked by the owner; the key itself is shown once', async () => {
      const signed = await signedIn('owner@acme.example');
      const made = await call('POST', '/manage/spaces/acme/keys', {
        signed,
        body: { name: 'CRM', rateLimit: 120, scopes: ['read'], expiresAt: '2099-01-01T00:00:00Z' },
      });
      expect(made.status).toBe(201);
      expect(made.headers.get('cache-control')).toBe('no-store');
      const { key, ...shown } = made.json.data as { key: string; id: string; prefix: string };
      expect(key).toMatch(/^tc_live_/);
      expect(shown).toEqual({
        id: expect.stringMatching(/^key_\d+$/) as string,
        name: 'CRM',
        prefix: key.slice(0, 12),
        scopes: ['read'],
        rateLimit: 120,
        createdAt: expect.any(String) as string,
        lastUsedAt: null,
        expiresAt: '2099-01-01T00:00:00.000Z',
        revokedAt: null,
      });

      const used = await fetch(`${gateway.url}/api/v1/files`, { headers: { 'X-API-Key': key } });
      expect(used.status).toBe(200);
      const list = await call('GET', '/manage/spaces/acme/keys?pageSize=50', { signed });
      expect(list.json.data).toEqual([{ ...shown, lastUsedAt: expect.any(String) as string }]);
      expect(list.json.pagination).toEqual({ page: 1, pageSize: 50, total: 1, totalPages: 1 });
      expect(JSON.stringify(list.json)).not.toContain(key);

      const revoked = await call('DELETE', `/manage/spaces/acme/keys/${shown.id}`, { signed });
      expect([revoked.status, revoked.json.data]).toEqual([
        200,
        { id: shown.id, revokedAt: expect.any(String) as string },
      ]);
      expect((await fetch(`${gateway.url}/api/v1/files`, { headers: { 'X-API-Key': key } })).status).toBe(401);
      const again = await call('DELETE', `/manage/spaces/acme/keys/${shown.id}`, { signed });
      expect(again.json).toEqual(revoked.json);
    });

    it.each<[string, object]>([
      ['no name', {}],
      ['an empty name', { name: ' ' }],
      ['a limit of 0', { name: 'x', rateLimit: 0 }],
      ['a limit over a million', { name: 'x', rateLimit: 1_000_001 }],
      ['a limit as text', { name: 'x', rateLimit: '60' }],
      ['an unknown scope', { name: 'x', scopes: ['admin'] }],
      ['no scope', { name: 'x', scopes: [] }],
      ['no moment', { name: 'x', expiresAt: 'tomorrow' }],
      ['a NUL', { name: 'a\0b' }],
    ])('refuses %s', async (_what, body) => {
      const signed = await signedIn('owner@acme.example');
      const answer = await call('POST', '/manage/spaces/acme/keys', { signed, body });
      expect([answer.status, answer.json.error.code]).toEqual([400, 'VALIDATION_ERROR']);
    });

    it('T-027 any other member gets 403, an account of another Space 404', async () => {
      const member = await signedIn('member@acme.example');
      const requests: [string, string, unknown][] = [
        ['GET', '/manage/spaces/acme/keys', undefined],
        ['POST', '/manage/spaces/acme/keys', { name: 'x' }],
        ['DELETE', '/manage/spaces/acme/keys/key_1', undefined],
        ['GET', '/manage/spaces/acme/audit', undefined],
      ];
      for (const [method, path, body] of requests) {
        expect((await call(method, path, { signed: member, body })).json.error.code).toBe('FORBIDDEN');
        expect((await call(method, path.replace('acme', 'beta'), { signed: member, body })).status).toBe(404);
        expect((await call(method, path.replace('acme', 'nobody'), { signed: member, body })).status).toBe(404);
      }
    });

    it('T-027 is out of reach for an API key', async () => {
      const { key } = await gateway.createKey('acme');
      for (const path of ['/manage/spaces/acme/keys', '/manage/session', '/manage/spaces/acme/audit']) {
        const answer = await call('GET', path, { headers: { 'x-api-key': key } });
        expect([answer.status, answer.json.error.code]).toEqual([401, 'UNAUTHORIZED']);
      }
    });

    it('a write without the CSRF token, or with a wrong one, is 403 and changes nothing', async () => {
      const signed = await signedIn('owner@acme.example');
      const before = await call('GET', '/manage/spaces/acme/keys', { signed });
      for (const csrf of ['', 'x', signed.csrf.slice(1), signed.cookie.split('=')[1] as string]) {
        const answer = await call('POST', '/manage/spaces/acme/keys', {
          signed: { ...signed, csrf },
          body: { name: 'x' },
        });
        expect([answer.status, answer.json.error.code]).toEqual([403, 'FORBIDDEN']);
      }
      expect((await call('GET', '/manage/spaces/acme/keys', { signed })).json).toEqual(before.json);
    });

    it('a key of another Space cannot be revoked', async () => {
      const { id } = await gateway.createKey('beta');
      const signed = await signedIn('owner@acme.example');
      expect((await call('DELETE', `/manage/spaces/acme/keys/${id}`, { signed })).status).toBe(404);
      expect((await call('DELETE', '/manage/spaces/acme/keys/7', { signed })).status).toBe(404);
    });
  });

  it('logs who did what, newest first', async () => {
    const signed = await signedIn('owner@acme.example');
    const made = await call('POST', '/manage/spaces/acme/keys', {
      signed,
      body: { name: 'logged' },
      headers: { 'x-forwarded-for': '192.0.2.7' },
    });
    const { id } = made.json.data as { id: string };
    const { json } = await call('GET', '/manage/spaces/acme/audit?pageSize=1', { signed });
    expect(json.data).toEqual([
      {
        id: expect.stringMatching(/^aud_\d+$/) as string,
        at: expect.any(String) as string,
        actor: 'account:owner@acme.example',
        action: 'key.created',
        object: id,
        address: '192.0.2.7',
        detail: expect.objectContaining({ name: 'logged' }) as unknown,
      },
    ]);
    const all = await call('GET', '/manage/spaces/acme/audit?pageSize=100', { signed });
    expect((all.json.data as { action: string }[]).map(({ action }) => action)).toEqual(
      expect.arrayContaining(['space.created', 'key.created', 'key.revoked']),
    );
    expect((await call('GET', '/manage/spaces/acme/audit?page=0', { signed })).status).toBe(400);
    expect((await call('GET', '/manage/spaces/acme/audit?nope=1', { signed })).status).toBe(400);
  });

  it('T-034 keeps no key, token or password that could be used', async () => {
    const { key } = await gateway.createKey('acme');
    const signed = await signedIn('owner@acme.example');
    const [row] = await direct.acrossSpaces('test').query<Record<string, string>>(storedSecrets);
    const text = JSON.stringify(row);
    for (const secret of [key.slice(12), signed.cookie.split('=')[1] as string, signed.csrf, password])
      expect(text).not.toContain(secret);
    expect((await gateway.part(Keys).list('spc_1', { page: 1, pageSize: 1 })).keys[0]).not.toHaveProperty('sha256');
  });
});
