import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import type { Delivery, Erasure, WebhookAudit } from '@keyturn/contracts';
import { onDatabase, type ReceivedRequest, startSystem, type TestSystem, waitFor } from '@keyturn/testing';
import { captureCommandLine } from '../keyturn/capture';
import { Door } from './door';
import { Receivers } from './receivers';
import { TestSpace } from './space';
import { tablesWith } from './stored-text';

jest.setTimeout(120_000);

/** A first retry that comes soon enough to be seen, and later ones that wait. */
const settings = { WEBHOOK_RETRY_SCHEDULE: '1h,1h', WEBHOOK_RETRY_JITTER: 'false', WEBHOOK_TIMEOUT: '15s' };
const name = 'Ottilie Nachname-Siebenundvierzig';

describe('a record that is erased', () => {
  let system: TestSystem;
  let receivers: Receivers;
  let space: TestSpace;

  beforeAll(async () => {
    [system, receivers] = await Promise.all([startSystem({ dispatchers: 2, env: settings }), Receivers.start()]);
    space = await TestSpace.make(system);
  });
  afterAll(async () => {
    await system?.stop();
    await receivers?.stop();
  });

  async function command<T>(...line: string[]): Promise<T> {
    const { out, err } = await captureCommandLine([...line, '--json'], { env: system.adminEnv });
    if (err) throw new Error(err);
    return JSON.parse(out) as T;
  }
  const erase = (id: number) =>
    command<Erasure>('erase', '--space', space.slug, '--resource', 'contact', '--id', String(id));

  /** What the Space's owner sees in its audit log of what was erased. */
  async function erasuresInAudit(): Promise<unknown[]> {
    const [email, password] = ['auditor@keyturn.example', 'correct horse battery'];
    await command('members', 'add', email, '--space', space.slug, '--role', 'owner', '--password', password);
    const door = new Door(system.baseUrl);
    const { headers } = await door.post('/manage/session', { email, password });
    const cookie = String(headers['set-cookie']).split(';')[0] ?? '';
    const entries = await door.with({ cookie }).rows(`/manage/spaces/${space.slug}/audit`);
    return entries.filter(({ action }) => action === 'record.erased');
  }

  const webhook = async (path: string, more: object = {}) =>
    (await space.subscribe(receivers.url(`/${path}`), ['contact.*'], more)).id;

  async function deliveries(webhookId: string): Promise<Delivery[]> {
    const rows = await space.door.rows(`/api/v1/webhooks/${webhookId}/deliveries?pageSize=100&sort=id&order=asc`);
    return rows as unknown as Delivery[];
  }

  /** In which tables of any schema, and in which files of JetStream, the name stands. */
  async function traces(): Promise<string[]> {
    const found = await onDatabase(system.databaseUrl, (sql) => tablesWith(sql, name));
    const folder = system.nats.storeDir;
    for (const entry of readdirSync(folder, { recursive: true, withFileTypes: true })) {
      const file = path.join(entry.parentPath, entry.name);
      if (entry.isFile() && readFileSync(file).includes(name)) found.push(path.relative(folder, file));
    }
    return found;
  }

  it('is nowhere any more: not read, not fed, not stored, not sent; its subscribers know, the audit log says who, and life goes on', async () => {
    const answered = ({ body }: ReceivedRequest, status: number) =>
      body.includes(name) ? { status, body: `we know ${name}` } : {};
    let release: () => void = () => undefined;
    const held = new Promise<void>((resolve) => (release = resolve));
    receivers.script('/ok', (request) => answered(request, 200));
    receivers.script('/failing', (request) => answered(request, 500));
    receivers.script('/hanging', async (request) => {
      await held;
      return answered(request, 500);
    });
    const ok = await webhook('ok');
    const failing = await webhook('failing');
    const hanging = await webhook('hanging');
    const paused = await webhook('paused');
    const ordered = await webhook('ordered', { ordering: 'record' });
    await space.door.post(`/api/v1/webhooks/${paused}/pause`, {});

    const contact = { id: 42, lastName: name, email: 'someone@else.example' };
    await space.publish([
      { type: 'contact.created', data: contact },
      { type: 'contact.updated', data: { ...contact, company: 'Acme' } },
      { type: 'contact.updated', data: { ...contact, isActive: 'perhaps' } },
      { type: 'contact.created', data: { id: 43, lastName: 'Kept' } },
    ]);
    await receivers.received('/ok', 3);
    await receivers.received('/hanging', 3);
    const statuses = async (id: string) => (await deliveries(id)).map(({ status }) => status).sort();
    await waitFor('the failures', async () => (await statuses(failing)).join() === 'retrying,retrying,success');
    await waitFor('the success', async () => (await deliveries(ordered)).every(({ status }) => status === 'success'));
    expect((await traces()).length).toBeGreaterThan(4);

    const done = await erase(42);
    expect(done).toMatchObject({ deleted: true, events: 2 });
    expect(done.cancelled).toBe(4);
    release();
    const told = (path: string) => () =>
      receivers.requests(path).some(({ body }) => {
        const { event, data } = JSON.parse(body.toString()) as { event: string; data: object };
        return event === 'contact.deleted' && JSON.stringify(data) === '{"id":42}';
      });
    for (const path of ['/ok', '/ordered', '/hanging']) await waitFor(`word of it at ${path}`, told(path));
    const ended = 'cancelled,cancelled,success,success';
    await waitFor('what was on its way to end', async () => (await statuses(hanging)).join() === ended);

    expect(await traces()).toEqual([]);
    expect((await space.door.get('/api/v1/contacts/42')).status).toBe(404);
    expect((await space.door.get('/api/v1/contacts?search=Siebenundvierzig')).json.pagination.total).toBe(0);
    const feed = await space.door.rows('/api/v1/events?after=');
    expect(feed.map(({ payload }) => payload)).toEqual([
      { event: 'contact.created', data: { id: 42 }, timestamp: expect.any(String) as string },
      { event: 'contact.updated', data: { id: 42 }, timestamp: expect.any(String) as string },
      {
        event: 'contact.created',
        data: expect.objectContaining({ lastName: 'Kept' }) as object,
        timestamp: expect.any(String) as string,
      },
      { event: 'contact.deleted', data: { id: 42 }, timestamp: expect.any(String) as string },
    ]);
    const waiting = (await deliveries(paused)).map(({ event, status, payload }) => {
      const { data } = payload as { data: { id: number } };
      return `${data.id} ${event} ${status}`;
    });
    expect(waiting.sort()).toEqual([
      '42 contact.created cancelled',
      '42 contact.deleted pending',
      '42 contact.updated cancelled',
      '43 contact.created pending',
    ]);
    expect(JSON.stringify(await deliveries(ok))).not.toContain(name);

    // A repetition finds nothing, and leaves what has been told as it is.
    expect(await erase(42)).toMatchObject({ deleted: false, events: 0, streamMessages: 0, cancelled: 0 });
    expect((await statuses(paused)).join()).toBe('cancelled,cancelled,pending,pending');
    const entry = { actor: 'admin', action: 'record.erased', object: 'contact_42', address: null, detail: {} };
    const at = expect.stringMatching(/Z$/) as string;
    expect(await erasuresInAudit()).toEqual([1, 2].map(() => ({ id: expect.any(String) as string, at, ...entry })));
    const audit = await command<WebhookAudit>('webhooks', 'audit', '--space', space.slug);
    expect(audit.balanced).toBe(true);
    expect(audit.webhooks.every(({ owed }) => owed === 4)).toBe(true);

    await space.publish([{ type: 'contact.updated', data: { id: 42, lastName: 'Somebody New' } }]);
    const [last] = (await receivers.received('/ordered', 5)).slice(-1);
    expect(JSON.parse(last?.body.toString() ?? '')).toMatchObject({
      event: 'contact.created',
      data: { lastName: 'Somebody New' },
    });
    expect((await space.door.get('/api/v1/contacts/42')).json.data).toMatchObject({ lastName: 'Somebody New' });
  });

  it('what the dispatchers had not taken in stays untold, and holds nothing up behind it', async () => {
    const ordered = await webhook('later', { ordering: 'record' });
    await Promise.all((['dispatcher', 'dispatcher#2'] as const).map((instance) => system.kill(instance)));
    await space.publish([
      { type: 'contact.created', data: { id: 50, lastName: 'Before' } },
      { type: 'contact.created', data: { id: 51, lastName: name } },
      { type: 'contact.created', data: { id: 52, lastName: 'Behind' } },
    ]);
    expect(await erase(51)).toMatchObject({ deleted: true, events: 1 });
    await system.startInstance('dispatcher');
    await system.startInstance('dispatcher#2');
    // Well within the patience with a gap, which would be 90 s.
    const requests = await receivers.received('/later', 3, 30_000);
    const seen = requests.map(({ body }) => JSON.parse(body.toString()) as { event: string; data: { id: number } });
    expect(seen.map(({ event, data }) => `${event} ${data.id}`).sort()).toEqual([
      'contact.created 50',
      'contact.created 52',
      'contact.deleted 51',
    ]);
    expect((await deliveries(ordered)).map(({ status }) => status).sort()).toEqual([
      'cancelled',
      'success',
      'success',
      'success',
    ]);
    expect(await traces()).toEqual([]);
    expect((await command<WebhookAudit>('webhooks', 'audit', '--space', space.slug)).balanced).toBe(true);
  });
});
