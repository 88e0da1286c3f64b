import { randomBytes } from 'node:crypto';
import { HttpSink, onDatabase, startSystem, waitFor, type InstanceName, type TestSystem } from '@keyturn/testing';
import { Door } from './door';
import { TestSpace } from './space';

const instances: readonly InstanceName[] = ['api-gateway', 'data-service', 'webhook-service', 'dispatcher'];
/** Found in no line by chance. */
const mark = `Zq${randomBytes(6).toString('hex')}`;
const marked = (what: string) => `${mark}-${what}`;
const secretsKey = `${mark}-secrets-key-${'k'.repeat(24)}`;
const password = marked('password-of-the-owner');

/** Everything that a log must never hold, carried through every door at the most talkative level. */
describe('log lines', () => {
  let sink: HttpSink;
  let system: TestSystem;
  let space: TestSpace;
  /** What the system itself has made and handed out, or was told. */
  const secrets = new Map<string, string>();

  const output = () => instances.map((instance) => system.output(instance)).join('\n');
  const lines = () => instances.flatMap((instance) => system.logs(instance));

  beforeAll(async () => {
    sink = await HttpSink.start();
    system = await startSystem({
      env: {
        LOG_LEVEL: 'debug',
        SECRETS_KEY: secretsKey,
        WEBHOOK_RETRY_SCHEDULE: '50ms',
        WEBHOOK_RETRY_JITTER: 'false',
      },
    });
    space = await TestSpace.make(system);
    secrets.set('API key', space.key).set('admin credential', system.adminToken);
    secrets.set('password of the database', new URL(system.databaseUrl).password);
  }, 60_000);
  afterAll(async () => {
    await system?.stop();
    await sink?.stop();
  });

  const traceId = randomBytes(16).toString('hex');
  const traceparent = `00-${traceId}-${randomBytes(8).toString('hex')}-01`;

  it('hold nothing of a person, a caller or a secret, whatever is read, written, refused or breaks', async () => {
    await read();
    await write();
    await publish();
    await manage();
    await breakSomething();
    await waitFor('the lines of the last failure', () =>
      lines().some((line) => line['message'] === 'operation failed'),
    );

    const text = output();
    expect(lines().length).toBeGreaterThan(30);
    const found = text.split('\n').filter((line) => line.includes(mark));
    expect(found).toEqual([]);
    expect(secrets.size).toBe(9);
    for (const [what, secret] of secrets)
      expect([what, secret.length > 5, text.includes(secret)]).toEqual([what, true, false]);
  }, 90_000);

  it('are one JSON object each, with the ids of request and trace', () => {
    for (const instance of instances)
      for (const line of system.output(instance).trim().split('\n')) expect(() => JSON.parse(line)).not.toThrow();
    const answered = lines().filter((line) => line['message'] === 'answered');
    expect(answered.length).toBeGreaterThan(10);
    for (const line of answered) expect(line['requestId']).toEqual(expect.any(String));
    expect(answered.map((line) => line['traceId'])).toContain(traceId);
    const failed = lines().filter((line) => line['message'] === 'operation failed');
    expect(failed).toContainEqual(
      expect.objectContaining({ service: 'data-service', requestId: 'req-broken', traceId }),
    );
    const attempts = lines().filter((line) => line['message'] === 'delivery attempted');
    expect(attempts.map((line) => line['traceId'])).toContain(traceId);
  });

  async function read(): Promise<void> {
    const { door } = space;
    const paths = [
      `/api/v1/contacts?search=${marked('search')}`,
      `/api/v1/contacts?email=${marked('mail')}@example.com`,
      `/api/v1/contacts/lookup?phone=2065550143&fields=${marked('field')}`,
      `/api/v1/files?${marked('parameter')}=1`,
      `/api/v1/files?cursor=${marked('cursor')}`,
      `/api/v1/${marked('path')}`,
      `/api/v1/files/${marked('id')}`,
      `/api/v1/health?token=${marked('token')}`,
      `/${marked('elsewhere')}`,
    ];
    for (const path of paths) await door.get(path, { traceparent, cookie: `c=${marked('cookie')}` });
    await new Door(system.baseUrl).get('/api/v1/files', { 'x-api-key': `tc_live_${marked('wrong')}` });
    await new Door(system.baseUrl).get('/api/v1/files', { authorization: `Bearer ${marked('bearer')}` });
    await door.send('/api/v1/files', { method: 'POST', body: { name: marked('body') } });
    await door.send('/api/v1/webhooks', {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: `{"name": "${marked('broken')}"`,
    });
  }

  async function write(): Promise<void> {
    const headers = { 'X-Custom': marked('header'), Authorization: `Bearer ${marked('receiver')}` };
    const hook = (url: string) => ({
      name: marked('webhook'),
      url,
      events: ['contact.*', 'note.created'],
      headers,
    });
    sink.answer({ status: 500, headers: { 'x-answer': marked('answer') }, body: marked('answer') });
    const made = await space.door.post('/api/v1/webhooks', hook(sink.url(`/${marked('path')}?token=${marked('url')}`)));
    expect(made.status).toBe(201);
    const { id, signingSecret } = made.json.data as { id: string; signingSecret: string };
    // Nobody listens there: the dispatcher has a failure of its own to tell.
    const away = await space.door.post(
      '/api/v1/webhooks',
      hook(`http://127.0.0.1:1/${marked('away')}?k=${marked('k')}`),
    );
    expect(away.status).toBe(201);
    secrets.set('signing secret', signingSecret).set('its key', signingSecret.replace(/^whsec_/, ''));
    const rotated = await space.door.post(`/api/v1/webhooks/${id}/rotate`, {});
    secrets.set('rotated secret', (rotated.json.data as { signingSecret: string }).signingSecret);
    await space.door.post('/api/v1/webhooks', hook(`http://${marked('user')}:${marked('pass')}@127.0.0.1:1/`));
    await space.door.post('/api/v1/webhooks', { ...hook(sink.url('/')), events: [marked('event')] });
    await space.door.patch(`/api/v1/webhooks/${id}`, { name: marked('renamed'), [marked('field')]: marked('value') });
    await space.door.post(`/api/v1/webhooks/${id}/test`, {});
  }

  async function publish(): Promise<void> {
    const person = {
      firstName: marked('first'),
      lastName: marked('last'),
      email: `${mark}@example.com`,
      phone: '(206) 555-0143',
      street: marked('street'),
    };
    const before = sink.requests.length;
    await space.publish([
      { type: 'contact.created', data: { id: 1, ...person }, traceparent },
      { type: 'user.created', data: { id: 1, ...person, passwordHash: marked('hash') } },
      { type: 'file.created', data: { id: 1, propertyAddress: marked('address') } },
      { type: 'note.created', data: { id: 1, subject: marked('subject'), body: marked('text') } },
      // Refused, each for another reason.
      { type: 'contact.created', data: { id: 2, firstName: 5, lastName: marked('refused') } },
      { type: 'contact.created', data: { id: marked('record') } },
      { type: 'file.created', data: { id: 3, listingStatus: marked('status') } },
      { type: 'file.created', time: marked('time'), data: { id: 4 } },
      { type: 'note.created', data: { id: 5, body: `${marked('long')}${'x'.repeat(110_000)}` } },
    ]);
    await sink.received(before + 2);
    await waitFor(
      'attempts at both',
      () => lines().filter((line) => line['message'] === 'delivery attempted').length >= 6,
    );
  }

  async function manage(): Promise<void> {
    const door = new Door(system.baseUrl);
    const ownerEmail = `${mark}-owner@example.com`;
    const { slug } = await system.createSpace({ ownerEmail, ownerPassword: password });
    await door.post('/manage/session', { email: ownerEmail, password: marked('wrong-password') });
    const session = await door.post('/manage/session', { email: ownerEmail, password });
    expect(session.status).toBe(201);
    const cookie = String(session.headers['set-cookie']).split(';')[0] ?? '';
    secrets.set('session', cookie.slice(cookie.indexOf('=') + 1));
    const csrf = (session.json.data as { csrfToken: string }).csrfToken;
    secrets.set('CSRF token', csrf);
    const signedIn = door.with({ cookie, 'x-csrf-token': csrf });
    const made = await signedIn.post(`/manage/spaces/${slug}/keys`, { name: marked('key') });
    expect(made.status).toBe(201);
    secrets.set('key of the management plane', (made.json.data as { key: string }).key);
    await signedIn.get(`/manage/spaces/${slug}/audit?${marked('query')}`);
  }

  /** A table that is gone is no answer that anybody has foreseen: all that is known of the failure is logged. */
  async function breakSomething(): Promise<void> {
    await onDatabase(system.databaseUrl, async (client) => {
      await client.query('alter table data.contact rename to contact_away');
      const headers = { traceparent, 'x-request-id': 'req-broken' };
      const answer = await space.door.get(`/api/v1/contacts?lastName=${marked('unlucky')}`, headers);
      expect(answer.status).toBe(500);
      expect(answer.text).not.toContain(mark);
      await client.query('alter table data.contact_away rename to contact');
    });
  }
});
