import { createHmac } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { ApiError, type OperationName, type RequestOf } from '@keyturn/contracts';
import { Log } from '@keyturn/platform/logs';
import { Metrics } from '@keyturn/platform/metrics';
import { ensureStreams, NatsLink } from '@keyturn/platform/nats';
import { type RpcCall, RpcServer } from '@keyturn/platform/rpc';
import { type FreshNats, freePort, freshNats, waitFor } from '@keyturn/testing';
import { captureCommandLine } from './capture';
import { commands } from './command-line';

const adminToken = 'a'.repeat(40);
const space = {
  id: 'spc_3',
  slug: 'acme',
  name: 'Acme',
  status: 'active' as const,
  ownerEmail: 'o@example.com',
  createdAt: '2026-03-10T12:00:00.000Z',
};

const webhook = {
  ...{ id: 'wh_7', name: 'CRM', url: 'https://a.example/', events: ['file.*'], isActive: true, status: 'active' },
  ...{ rateLimit: null, ordering: 'none', retrySchedule: null, thin: false, filter: null, headerNames: [] },
  ...{ signatureScheme: 'v1', previousSchemeUntil: null, publicKey: null, publicKeysPath: null },
  ...{ disabledReason: null, previousSecretUntil: null, createdAt: space.createdAt, updatedAt: space.createdAt },
};

let nats: FreshNats;
let link: NatsLink;
let folder: string;
/** What the services were asked, in order. */
let asked: { operation: OperationName; request: unknown }[] = [];
/** What they answer; anything else is NOT_FOUND. */
let answers: Partial<Record<OperationName, unknown>> = {};

beforeAll(async () => {
  nats = await freshNats();
  const log = Log.create('test', 'silent');
  link = new NatsLink({ natsUrl: nats.url }, 'test', log);
  await link.whenConnected();
  await ensureStreams(link, 1);
  const server = new RpcServer('services', link, log, new Metrics('test'), adminToken);
  const operations: OperationName[] = [
    ...(['admin.spaces.create', 'admin.spaces.list', 'admin.spaces.suspend', 'admin.spaces.delete'] as const),
    ...(['admin.keys.create', 'admin.keys.list', 'admin.keys.revoke', 'admin.events.rejected'] as const),
    ...(['admin.retention.access', 'admin.retention.data', 'admin.retention.webhooks'] as const),
    ...(['data.streams.position', 'data.detail', 'admin.webhooks.audit'] as const),
    ...(['admin.spaces.resume', 'admin.members.list', 'admin.members.add', 'admin.members.remove'] as const),
    ...(['webhooks.create', 'webhooks.update', 'webhooks.rotate', 'webhooks.pause', 'webhooks.replay.create'] as const),
    ...(['admin.webhooks.deed', 'admin.webhooks.reseal', 'admin.data.erase'] as const),
  ];
  for (const operation of operations)
    server.addHandler(operation, (call: RpcCall<OperationName>) => {
      asked.push({ operation, request: call.request });
      const answer = answers[operation];
      if (answer === undefined) throw new ApiError('NOT_FOUND', 'There is nothing of that name');
      return Promise.resolve({ head: typeof answer === 'function' ? (answer as () => unknown)() : answer });
    });
  await new Promise<void>((resolve) => server.listen(() => resolve()));
  await link.ping();
  folder = mkdtempSync(path.join(tmpdir(), 'keyturn-cli-'));
});

afterAll(async () => {
  await link?.close();
  await nats?.stop();
  if (folder) rmSync(folder, { recursive: true });
});

beforeEach(() => {
  asked = [];
  answers = { 'admin.spaces.list': { spaces: [space] } };
});

const run = (line: readonly string[], more: { env?: NodeJS.ProcessEnv; stdin?: string; signal?: AbortSignal } = {}) =>
  captureCommandLine(line, { ...more, env: { NATS_URL: nats.url, ADMIN_TOKEN: adminToken, ...more.env } });

/** The one document on stdout. */
async function json(...line: string[]): Promise<unknown> {
  const { code, out, err } = await run([...line, '--json']);
  expect({ code, err }).toEqual({ code: 0, err: '' });
  expect(out.trimEnd().split('\n')).toHaveLength(1);
  return JSON.parse(out);
}

const request = <N extends OperationName>(operation: N) =>
  asked.find((question) => question.operation === operation)?.request as RequestOf<N>;

describe('the command line', () => {
  it('makes, lists, suspends and deletes Spaces', async () => {
    answers['admin.spaces.create'] = space;
    answers['admin.spaces.suspend'] = { ...space, status: 'suspended' };
    answers['admin.spaces.delete'] = { id: 'spc_3', deleted: true };
    const flags = ['--name', 'Acme', '--slug', 'acme', '--owner-email', 'o@example.com'];
    expect(await json('spaces', 'create', ...flags)).toEqual(space);
    expect(request('admin.spaces.create')).toEqual({ name: 'Acme', slug: 'acme', ownerEmail: 'o@example.com' });
    expect(await json('spaces', 'list')).toEqual({ spaces: [space] });
    expect(await json('spaces', 'suspend', 'acme')).toMatchObject({ status: 'suspended' });
    expect(await json('spaces', 'delete', 'acme', '--confirm', 'acme')).toEqual({ id: 'spc_3', deleted: true });
    expect(request('admin.spaces.delete')).toEqual({ slug: 'acme', confirm: 'acme' });
  });

  it('takes a suspended Space again, and lists, adds and removes its members', async () => {
    answers['admin.spaces.resume'] = space;
    expect(await json('spaces', 'resume', 'acme')).toEqual(space);
    const member = { email: 'a@example.com', role: 'member', since: '2026-03-10T12:00:00.000Z' };
    answers['admin.members.list'] = { members: [member] };
    answers['admin.members.add'] = { ...member, password: 'made-up' };
    answers['admin.members.remove'] = { email: 'a@example.com', removed: true };
    expect(await json('members', 'list', '--space', 'acme')).toEqual({ members: [member] });
    const add = ['members', 'add', 'a@example.com', '--space', 'acme'];
    expect(await json(...add, '--role', 'owner', '--password', 'p'.repeat(8))).toMatchObject({ password: 'made-up' });
    const wanted = { space: 'acme', email: 'a@example.com' };
    expect(request('admin.members.add')).toEqual({ ...wanted, role: 'owner', password: 'p'.repeat(8) });
    expect((await run(add)).out).toContain('made-up');
    await json('members', 'remove', 'a@example.com', '--space', 'acme');
    expect(request('admin.members.remove')).toEqual(wanted);
  });

  describe('what it changes for an owner', () => {
    const update = ['webhooks', 'update', 'wh_7', '--space', 'acme'];

    it('is entered in the audit log', async () => {
      answers['webhooks.update'] = { ...webhook, name: 'New' };
      answers['admin.webhooks.deed'] = {};
      expect(await json(...update, '--name', 'New', '--active', 'false')).toMatchObject({ name: 'New' });
      expect(request('webhooks.update')).toEqual({
        spaceId: 'spc_3',
        id: 'wh_7',
        input: { name: 'New', isActive: false },
      });
      expect(request('admin.webhooks.deed')).toEqual({
        spaceId: 'spc_3',
        operation: 'webhooks.update',
        object: 'wh_7',
      });
    });

    it('is answered, and a failure, where it cannot be entered: a secret is shown once', async () => {
      answers['webhooks.rotate'] = { ...webhook, signingSecret: 'whsec_once' };
      const { code, out, err } = await run(['webhooks', 'rotate', 'wh_7', '--space', 'acme', '--json']);
      expect([code, (JSON.parse(out) as { signingSecret: string }).signingSecret]).toEqual([1, 'whsec_once']);
      expect(JSON.parse(err)).toMatchObject({ error: { code: 'NOT_LOGGED' } });
      expect((JSON.parse(err) as { error: { message: string } }).error.message).toContain('webhook.rotated is done');
    });

    it.each([
      [[...update, '--rate-limit', '0'], 'rateLimit', 'rateLimit must be 1', '--rate-limit must be 1'],
      [[...update, '--active', 'true'], 'isActive', 'isActive cannot be', '--active cannot be'],
      [[...update, '--url', 'x'], 'url', 'no such place', '--url: no such place'],
      [[...update, '--url', 'x'], 'body', 'body is bad', 'body is bad'],
    ])('is refused in words of flags: %j', async (line, field, said, shown) => {
      answers['webhooks.update'] = () => {
        throw new ApiError('VALIDATION_ERROR', said, { field });
      };
      expect(await run(line)).toEqual({ code: 1, out: '', err: `keyturn: ${shown}\n` });
    });
  });

  it('encrypts anew until nothing is left, and fails where something stays', async () => {
    const steps = [
      { resealed: 500, left: 7 },
      { resealed: 7, left: 0 },
    ];
    answers['admin.webhooks.reseal'] = () => steps.shift();
    expect(await json('reseal')).toEqual({ resealed: 507, left: 0 });
    answers['admin.webhooks.reseal'] = { resealed: 0, left: 2 };
    const { code, out, err } = await run(['reseal', '--json']);
    expect([code, JSON.parse(out)]).toEqual([1, { resealed: 0, left: 2 }]);
    expect(JSON.parse(err)).toMatchObject({ error: { code: 'NOT_RESEALED' } });
  });

  it('erases a record', async () => {
    answers['admin.data.erase'] = {
      deleted: true,
      events: 2,
      streamMessages: 5,
      payloads: 3,
      cancelled: 1,
      answers: 4,
    };
    const { out } = await run(['erase', '--space', 'acme', '--resource', 'calendar_item', '--id', '12']);
    expect(out).toContain('calendar_item 12 of acme is erased');
    expect(request('admin.data.erase')).toEqual({ spaceId: 'spc_3', resource: 'calendar_item', recordId: 12 });
  });

  it('makes, lists and revokes keys', async () => {
    const key = { id: 'key_1', name: 'CRM', prefix: 'tc_live_abcd', scopes: ['read'], rateLimit: 100, expiresAt: null };
    answers['admin.keys.create'] = { ...key, key: 'tc_live_abcdefgh' };
    answers['admin.keys.list'] = { keys: [key] };
    answers['admin.keys.revoke'] = { id: 'key_1', revokedAt: '2026-03-10T12:00:00.000Z' };
    const flags = ['--space', 'acme', '--name', 'CRM', '--rate-limit', '100', '--scopes', 'read, webhooks:write'];
    expect(await json('keys', 'create', ...flags)).toMatchObject({ id: 'key_1', key: 'tc_live_abcdefgh' });
    expect(request('admin.keys.create')).toEqual({
      space: 'acme',
      name: 'CRM',
      rateLimit: 100,
      scopes: ['read', 'webhooks:write'],
    });
    expect(await json('keys', 'list', '--space', 'acme')).toEqual({ keys: [key] });
    expect(await json('keys', 'revoke', 'key_1')).toEqual({ id: 'key_1', revokedAt: '2026-03-10T12:00:00.000Z' });
    const shown = await run(['keys', 'create', ...flags]);
    expect(shown.out).toContain('tc_live_abcdefgh');
  });

  it('shows tables to people', async () => {
    const { out } = await run(['spaces', 'list']);
    expect(out).toBe(
      'ID     SLUG  NAME  STATUS  OWNER          CREATED\n' +
        'spc_3  acme  Acme  active  o@example.com  2026-03-10T12:00:00.000Z\n',
    );
  });

  it('publishes lines from a file and from standard input, byte for byte, and counts repeats', async () => {
    const event = (id: string) =>
      `{"specversion":"1.0","id":"${id}","source":"/t","type":"file.created","spaceid":"spc_3","time":"2026-03-10T12:00:00Z","data":{"id":1,"name":"Zoë"}}`;
    const file = path.join(folder, 'events.ndjson');
    writeFileSync(file, `${event('1')}\nnonsense\n${event('2')}\n${event('1')}`);
    expect(await json('events', 'publish', '--file', file)).toEqual({
      accepted: 3,
      duplicates: 1,
      refused: 1,
      refusals: [{ line: 2, reason: 'is not JSON in UTF-8' }],
    });
    const { out } = await run(['events', 'publish', '--file', '-'], { stdin: `${event('3')}\n` });
    expect(out).toBe('1 accepted, 0 refused\n');
    const manager = await link.manager();
    const stored = await manager.streams.getMessage('DOMAIN', { last_by_subj: 'domain.spc_3.file.created' });
    expect(Buffer.from(stored.data).toString()).toBe(event('3'));
    expect(stored.header.get('Nats-Msg-Id')).toBe('/t|3');
  });

  it('shows refused events, of one Space by its slug', async () => {
    const rejected = [
      { id: 'x', source: '/t', type: 'file.created', spaceId: 'spc_3', reason: 'too_large: …', receivedAt: 'now' },
    ];
    answers['admin.events.rejected'] = { rejected };
    expect(await json('events', 'rejected', '--space', 'acme')).toEqual({ rejected });
    expect(request('admin.events.rejected')).toEqual({ spaceId: 'spc_3' });
    expect(await json('events', 'rejected')).toEqual({ rejected });
  });

  it('shows control characters that a publisher or a receiver has sent, and lets none speak to the terminal', async () => {
    const id = '\u001b]52;c;ZXZpbA==\u0007\u009b2J\r';
    const facts = {
      source: '/a',
      type: 'file.created',
      spaceId: 'spc_3',
      reason: 'malformed',
      receivedAt: space.createdAt,
    };
    answers['admin.events.rejected'] = { rejected: [{ id, ...facts }] };
    const { out } = await run(['events', 'rejected']);
    expect(out).toContain('\\u001b]52;c;ZXZpbA==\\u0007\\u009b2J\\u000d');
    expect(out).not.toMatch(/(?!\n)\p{Cc}/u);
    expect(await json('events', 'rejected')).toEqual({ rejected: [{ id, ...facts }] });
  });

  it('an audit that does not balance is an answer and a failure, which names the webhook and what is missing', async () => {
    const even = { webhookId: 'wh_1', name: 'Even', owed: 3, delivered: 3, missing: 0, stuck: 0, examples: [] };
    const odd = {
      webhookId: 'wh_2',
      name: 'Odd',
      owed: 9,
      delivered: 7,
      missing: 2,
      stuck: 1,
      examples: ['evt_a', 'evt_b'],
    };
    const base = { spaceId: 'spc_3', since: '2026-01-01T00:00:00.000Z', sequence: 9 };
    answers['admin.webhooks.audit'] = { ...base, balanced: true, webhooks: [even] };
    expect(await run(['webhooks', 'audit', '--space', 'acme'])).toMatchObject({ code: 0, err: '' });
    const audit = { ...base, balanced: false, webhooks: [even, odd] };
    answers['admin.webhooks.audit'] = audit;
    const { code, out, err } = await run(['webhooks', 'audit', '--space', 'acme', '--json']);
    expect([code, JSON.parse(out)]).toEqual([1, audit]);
    expect(JSON.parse(err)).toEqual({
      error: {
        code: 'NOT_BALANCED',
        message: 'wh_2 "Odd": 2 of 9 have no delivery (evt_a, evt_b), 1 wait where nothing would send them',
      },
    });
  });

  it('loads the demo and waits until it is applied; a second load repeats the first', async () => {
    answers['data.detail'] = {};
    answers['data.streams.position'] = { DOMAIN: 0, BACKFILL: 1_000_000, EVENTS: 0 };
    const first = (await json('demo', 'load', '--space', 'acme', '--files', '20')) as { events: number };
    expect(first).toMatchObject({ spaceId: 'spc_3', files: 20, seed: 1, duplicates: 0 });
    const second = await json('demo', 'load', '--space', 'acme', '--files', '20');
    expect(second).toMatchObject({ events: first.events, duplicates: first.events });
  });

  it('runs retention of every owner', async () => {
    answers['admin.retention.access'] = { sessions: 2 };
    answers['admin.retention.data'] = {};
    answers['admin.retention.webhooks'] = { deliveries: 7 };
    const now = '2026-12-01T00:00:00.000Z';
    expect(await json('retention', 'run', '--now', now)).toEqual({
      dropped: { access: { sessions: 2 }, data: {}, webhooks: { deliveries: 7 } },
    });
    expect(request('admin.retention.data')).toEqual({ now });
  });

  it('consents to webhooks, receives them, and prints them with their signatures checked', async () => {
    const port = await freePort();
    const stop = new AbortController();
    const secret = 'whsec_c2VjcmV0';
    const running = run(['listen', '--port', String(port), '--secret', secret, '--json'], { signal: stop.signal });
    const body = '{"event":"file.created","data":{"id":1},"timestamp":"2026-03-10T12:00:00.000Z"}';
    const post = (signature: string) =>
      fetch(`http://127.0.0.1:${port}/`, {
        method: 'POST',
        headers: { 'x-webhook-signature': signature, 'x-webhook-event': 'file.created', 'x-webhook-id': 'evt_1' },
        body,
      });
    const signature = createHmac('sha256', secret).update(body).digest('hex');
    expect((await waitFor('the receiver', () => post(signature))).status).toBe(200);
    expect((await post('0'.repeat(64))).status).toBe(401);
    const ask = async (headers: Record<string, string>) => {
      const answer = await fetch(`http://127.0.0.1:${port}/`, { method: 'OPTIONS', headers });
      return [
        answer.status,
        ...['allow', 'webhook-allowed-origin', 'webhook-allowed-rate'].map((name) => answer.headers.get(name)),
      ];
    };
    const origin = 'hooks.keyturn.example';
    expect(await ask({ 'webhook-request-origin': origin })).toEqual([200, 'POST', origin, null]);
    expect(await ask({ 'webhook-request-origin': origin, 'webhook-request-rate': '600' })).toEqual([
      200,
      'POST',
      origin,
      '600',
    ]);
    stop.abort();
    const { out, code } = await running;
    const lines = out
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line) as { signatureValid: boolean; id: string });
    expect(code).toBe(0);
    expect(lines.map(({ signatureValid, id }) => [signatureValid, id])).toEqual([
      [true, 'evt_1'],
      [false, 'evt_1'],
    ]);
  });

  it.each([
    ['an unknown command', ['spaces', 'rename'], 'there is no command "spaces rename"'],
    ['an unknown flag', ['spaces', 'list', '--all'], "Unknown option '--all'"],
    ['a group alone', ['keys'], 'one of these is needed: keys create, keys list, keys revoke'],
    ['a flag without its value', ['keys', 'list', '--space'], "Option '--space' needs a value"],
    ['a missing flag', ['keys', 'list'], '--space is required'],
    ['a missing operand', ['keys', 'revoke'], 'usage: keyturn keys revoke ID'],
    ['an operand too many', ['spaces', 'list', 'acme'], 'usage: keyturn spaces list'],
    ['a number that is none', ['demo', 'load', '--space', 'acme', '--files', '1e3'], '--files must be a whole number'],
    ['a day that is none', ['demo', 'load', '--space', 'acme', '--today', '2026-02-30'], '--today must be a date'],
    [
      'a file that is not there',
      ['events', 'publish', '--file', '/nowhere.ndjson'],
      '/nowhere.ndjson cannot be read (ENOENT)',
    ],
    [
      'a record of nothing',
      ['erase', '--resource', 'house', '--id', '1', '--space', 'acme'],
      '--resource must be one of file,',
    ],
    [
      'no record',
      ['erase', '--resource', 'file', '--id', '0', '--space', 'acme'],
      '--id must be the id of a record, not "0"',
    ],
    ['nothing to change', ['webhooks', 'update', 'wh_1', '--space', 'acme'], 'nothing to change: give one of --name'],
    [
      'JSON that is none',
      ['webhooks', 'update', 'wh_1', '--space', 'acme', '--filter', '{'],
      '--filter must be JSON or none, not "{"',
    ],
    [
      'neither true nor false',
      ['webhooks', 'update', 'wh_1', '--space', 'acme', '--thin', 'yes'],
      '--thin must be true or false, not "yes"',
    ],
    [
      'an unknown status',
      ['deliveries', 'list', '--space', 'acme', '--webhook', 'wh_1', '--status', 'lost'],
      '--status must be one of pending',
    ],
    [
      'a code that is no number',
      ['deliveries', 'list', '--space', 'acme', '--webhook', 'wh_1', '--code', '5xx'],
      '--code must be',
    ],
    [
      'a moment that is none',
      ['replays', 'create', '--space', 'acme', '--webhook', 'wh_1', '--since', 'yesterday'],
      '--since must be',
    ],
    [
      'events that are none',
      ['events', 'feed', '--space', 'acme', '--types', 'file.lost'],
      '--types names no event: "file.lost"',
    ],
    ['an unknown Space', ['demo', 'load', '--space', 'nobody'], 'There is no Space "nobody"'],
    ['what the service refuses', ['keys', 'revoke', 'key_9'], 'There is nothing of that name'],
  ])('says in one sentence what is wrong: %s', async (_case, line, sentence) => {
    const plain = await run(line);
    expect(plain).toMatchObject({ code: 1, out: '' });
    expect(plain.err).toContain(sentence);
    expect(plain.err.trimEnd().split('\n')).toHaveLength(1);
    const asJson = await run([...line, '--json']);
    expect(asJson).toMatchObject({ code: 1, out: '' });
    expect((JSON.parse(asJson.err) as { error: { message: string } }).error.message).toContain(sentence);
  });

  it('needs the admin credential, and a system that runs', async () => {
    expect((await run(['spaces', 'list'], { env: { ADMIN_TOKEN: '' } })).err).toContain('ADMIN_TOKEN');
    expect((await run(['spaces', 'list'], { env: { ADMIN_TOKEN: 'b'.repeat(40) } })).err).toContain('admin credential');
    expect((await run(['spaces', 'list'], { env: { NATS_URL: '' } })).err).toContain('npm start');
    const nobody = `nats://127.0.0.1:${await freePort()}`;
    expect((await run(['spaces', 'list'], { env: { NATS_URL: nobody } })).err).toContain('NATS does not answer');
  });

  it('explains every command', async () => {
    expect(await run(['--help'])).toMatchObject({ code: 0, err: '' });
    for (const command of commands) {
      const { code, out } = await run([...command.name.split(' '), '--help']);
      expect(code).toBe(0);
      expect(out).toContain(`keyturn ${command.name}`);
      for (const flag of Object.keys(command.flags ?? {})) expect(out).toContain(`--${flag}`);
    }
    expect((await run(['keys', '--help'])).out).toContain('keys revoke ID');
  });
});
