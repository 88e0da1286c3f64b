import { execFile, spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import path from 'node:path';
import { freePort, startSystem, type TestSystem, waitFor, workspaceRoot } from '@keyturn/testing';
import { captureCommandLine } from './capture';

const program = path.join(workspaceRoot(), 'dist/tools/keyturn.js');
jest.setTimeout(120_000);

/** The built program against a whole system: what a script sees. */
describe('the command line and a running system', () => {
  let system: TestSystem;
  let env: NodeJS.ProcessEnv;

  beforeAll(async () => {
    system = await startSystem();
    env = {
      ...process.env,
      ...system.adminEnv,
      DATABASE_URL: system.databaseUrl,
      SECRETS_KEY: 's'.repeat(40),
    };
  });

  afterAll(async () => {
    await system?.stop();
  });

  /** The built program, as npm runs it. */
  const runProgram = (line: readonly string[]) =>
    new Promise<{ code: number; out: string; err: string }>((resolve) => {
      const child = execFile(process.execPath, [program, ...line], { env }, (_error, out, err) =>
        resolve({ code: child.exitCode ?? -1, out, err }),
      );
    });

  /** The same without the cost of a process. */
  const run = (line: readonly string[], stdin?: string) =>
    captureCommandLine(line, { env, ...(stdin === undefined ? {} : { stdin }) });

  async function json<T>(line: readonly string[], input?: string): Promise<T> {
    const { code, out, err } = await run([...line, '--json'], input);
    expect({ code, err }).toEqual({ code: 0, err: expect.any(String) });
    return JSON.parse(out) as T;
  }

  async function read(route: string, key: string) {
    const response = await fetch(`${system.baseUrl}/api/v1${route}`, { headers: { 'x-api-key': key } });
    const body = (await response.json()) as { data: never; pagination: { total: number } };
    return { status: response.status, ...body };
  }

  const newSpace = async (slug: string) => {
    await json(['spaces', 'create', '--name', slug, '--slug', slug, '--owner-email', `owner@${slug}.example`]);
    return json<{ id: string; key: string }>([
      'keys',
      'create',
      '--space',
      slug,
      '--name',
      'test',
      '--rate-limit',
      '1000',
    ]);
  };

  it('answers one JSON document on stdout, or a sentence on stderr and exit code 1', async () => {
    const { code, out } = await runProgram(['spaces', 'list', '--json']);
    expect([code, JSON.parse(out)]).toEqual([0, { spaces: expect.any(Array) }]);
    expect(out.endsWith('}\n')).toBe(true);
    expect(await runProgram(['keys', 'list', '--space', 'nobody'])).toEqual({
      code: 1,
      out: '',
      err: expect.stringMatching(/^keyturn: .+\n$/),
    });
  });

  it('T-026 T-028 makes a Space and a key, which works until it is revoked', async () => {
    const { id, key } = await newSpace('made');
    expect((await read('/files', key)).status).toBe(200);
    const listed = await json<{ keys: Record<string, unknown>[] }>(['keys', 'list', '--space', 'made']);
    expect(JSON.stringify(listed)).not.toContain(key);
    expect(await json(['keys', 'revoke', id])).toEqual({ id, revokedAt: expect.stringMatching(/Z$/) });
    expect((await read('/files', key)).status).toBe(401);
  });

  it('loads the same demo for the same seed, twice without a change, through the event path', async () => {
    const { key } = await newSpace('demo-one');
    const other = await newSpace('demo-two');
    const load = (slug: string, files: string) =>
      json(['demo', 'load', '--space', slug, '--files', files, '--seed', '7']);
    const report = (await load('demo-one', '30')) as { events: number };
    expect(report).toMatchObject({ files: 30, seed: 7, duplicates: 0 });
    const collections = ['files', 'contacts', 'users', 'agents', 'tasks', 'calendar-items', 'contingencies', 'notes'];
    const all = async (apiKey: string) =>
      Promise.all(
        collections.map(async (name) => (await read(`/${name}?pageSize=100&sort=id`, apiKey)).data as object[]),
      );
    const first = await all(key);
    const counts = await Promise.all(
      collections.map(async (name) => (await read(`/${name}?pageSize=1`, key)).pagination.total),
    );
    expect(counts[0]).toBe(30);
    // Agents are users, counted with them.
    const total = counts.reduce((sum, count) => sum + count, 0) - (counts[3] as number);
    expect(total).toBe(report.events);
    expect(await load('demo-one', '30')).toMatchObject({ events: report.events });
    expect(await all(key)).toEqual(first);
    await load('demo-two', '30');
    expect(await all(other.key)).toEqual(first);
  });

  it('T-064 the number of the documentation finds somebody in the demo', async () => {
    const { key } = await newSpace('caller');
    await json(['demo', 'load', '--space', 'caller', '--files', '3']);
    expect((await read('/contacts/lookup?phone=2065551234', key)).status).toBe(200);
  });

  it('publishes events; what data-service refuses is listed with its reason', async () => {
    const { key } = await newSpace('publisher');
    const { spaces } = await json<{ spaces: { id: string; slug: string }[] }>(['spaces', 'list']);
    const spaceid = spaces.find(({ slug }) => slug === 'publisher')?.id;
    const event = (id: string, data: object) =>
      JSON.stringify({
        specversion: '1.0',
        id,
        source: '/e2e',
        type: 'file.created',
        spaceid,
        time: '2026-03-10T12:00:00Z',
        data,
      });
    const lines = [event('a', { id: 1, name: 'Zoë 🏡' }), 'garbage', event('b', { id: 2, listPrice: 'much' })];
    const report = await json(['events', 'publish', '--file', '-'], lines.join('\n'));
    expect(report).toMatchObject({ accepted: 2, refused: 1, refusals: [{ line: 2 }] });
    await waitFor('the file', async () => (await read('/files/1', key)).status === 200);
    const rejected = () =>
      json<{ rejected: { id: string; reason: string }[] }>(['events', 'rejected', '--space', 'publisher']);
    await waitFor('the refusal', async () => (await rejected()).rejected.length === 1);
    expect((await rejected()).rejected).toEqual([
      expect.objectContaining({ id: 'b', source: '/e2e', spaceId: spaceid }),
    ]);
  });

  it('consents to webhooks at a local port and receives one, signature checked, when an event is published', async () => {
    const { key } = await newSpace('listener');
    const { spaces } = await json<{ spaces: { id: string; slug: string }[] }>(['spaces', 'list']);
    const spaceid = spaces.find(({ slug }) => slug === 'listener')?.id;
    const port = await freePort();
    const created = await fetch(`${system.baseUrl}/api/v1/webhooks`, {
      method: 'POST',
      headers: { 'x-api-key': key, 'content-type': 'application/json' },
      body: JSON.stringify({ name: 'local', url: `http://127.0.0.1:${port}/`, events: ['file.created'] }),
    });
    const { data } = (await created.json()) as { data: { id: string; signingSecret: string } };
    const listener = spawn(
      process.execPath,
      [program, 'listen', '--port', `${port}`, '--secret', data.signingSecret, '--json'],
      { env },
    );
    const received: Record<string, unknown>[] = [];
    createInterface({ input: listener.stdout }).on('line', (line) =>
      received.push(JSON.parse(line) as Record<string, unknown>),
    );
    const ended = new Promise((resolve) => listener.once('exit', resolve));
    await waitFor('the listener', () => fetch(`http://127.0.0.1:${port}/`).then(() => true));
    // As an installation with WEBHOOK_HANDSHAKE does by itself: the receiver is asked for its consent.
    const asked = await fetch(`${system.baseUrl}/api/v1/webhooks/${data.id}`, {
      method: 'PATCH',
      headers: { 'x-api-key': key, 'content-type': 'application/json' },
      body: JSON.stringify({ handshake: true }),
    });
    expect([asked.status, await asked.json()]).toMatchObject([
      200,
      { data: { verifiedAt: expect.stringMatching(/Z$/) } },
    ]);
    const event = {
      specversion: '1.0',
      id: '1',
      source: '/e2e',
      type: 'file.created',
      spaceid,
      time: '2026-03-10T12:00:00Z',
    };
    await json(['events', 'publish', '--file', '-'], JSON.stringify({ ...event, data: { id: 5, name: 'Õ "quoted"' } }));
    const delivery = await waitFor('a delivery', () => received.find((one) => one['event'] === 'file.created'));
    expect(delivery).toMatchObject({ signatureValid: true, attempt: '1', body: { event: 'file.created' } });
    listener.kill('SIGINT');
    expect(await ended).toBe(0);
  });

  it('suspends and deletes a Space: its keys are refused', async () => {
    const { key } = await newSpace('leaving');
    expect(await json(['spaces', 'suspend', 'leaving'])).toMatchObject({ status: 'suspended' });
    expect((await read('/files', key)).status).toBe(401);
    const careless = await run(['spaces', 'delete', 'leaving', '--confirm', 'other']);
    expect(careless).toMatchObject({ code: 1, out: '' });
    await json(['spaces', 'delete', 'leaving', '--confirm', 'leaving']);
    const { spaces } = await json<{ spaces: { slug: string; status: string }[] }>(['spaces', 'list']);
    expect(spaces.filter(({ slug, status }) => slug === 'leaving' && status !== 'deleted')).toEqual([]);
  });

  it('migrates what is migrated already, and runs retention', async () => {
    expect(await json(['migrate'])).toMatchObject({ migrated: expect.arrayContaining(['data-service']) });
    const { dropped } = await json<{ dropped: object }>(['retention', 'run']);
    expect(Object.keys(dropped)).toEqual(['access', 'data', 'webhooks']);
  });
});
