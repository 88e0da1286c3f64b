import type { RequestOf } from '@keyturn/contracts';
import { rowsOfSpace, startSystem, type TestSystem, waitFor } from '@keyturn/testing';
import { Client } from 'pg';
import { Receivers } from './receivers';
import { TestSpace } from './space';
import { tablesWith } from './stored-text';

jest.setTimeout(120_000);

const settings = { WEBHOOK_RETRY_SCHEDULE: '1s,1h', WEBHOOK_RETRY_JITTER: 'false', WEBHOOK_TIMEOUT: '15s' };
const name = 'Ottilie Nachname-Achtundvierzig';

describe('the life of a Space', () => {
  let system: TestSystem;
  let receivers: Receivers;
  let sql: Client;

  beforeAll(async () => {
    [system, receivers] = await Promise.all([startSystem({ dispatchers: 2, env: settings }), Receivers.start()]);
    sql = new Client({ connectionString: system.databaseUrl });
    await sql.connect();
  });
  afterAll(async () => {
    await sql?.end();
    await system?.stop();
    await receivers?.stop();
  });

  const suspend = ({ slug }: TestSpace) => system.admin.request('admin.spaces.suspend', { slug });
  const resume = ({ slug }: TestSpace) => system.admin.request('admin.spaces.resume', { slug });
  const remove = ({ slug }: TestSpace) => system.admin.request('admin.spaces.delete', { slug, confirm: slug });
  async function retention(now?: string): Promise<Record<string, number>[]> {
    const request: RequestOf<'admin.retention.data'> = now === undefined ? {} : { now };
    const reports: Record<string, number>[] = [];
    for (const owner of ['access', 'data', 'webhooks'] as const)
      reports.push(await system.admin.request(`admin.retention.${owner}`, request));
    return reports;
  }

  async function webhook(space: TestSpace, path: string, more: object = {}): Promise<string> {
    const body = { name: path, url: receivers.url(path), events: ['contact.*'], ...more };
    const { status, json, text } = await space.door.post('/api/v1/webhooks', body);
    if (status !== 201) throw new Error(text);
    return (json.data as { id: string }).id;
  }
  /** As they are stored: a suspended Space's keys open nothing. */
  async function deliveries(space: TestSpace): Promise<string[]> {
    const { rows } = await sql.query<{ what: string }>(
      `select status || ' ' || attempts as what from webhooks.delivery where space_id = $1 order by id`,
      [space.id.slice('spc_'.length)],
    );
    return rows.map(({ what }) => what);
  }
  const contact = (id: number, action = 'created', lastName = 'Somebody') => ({
    type: `contact.${action}`,
    data: { id, lastName },
  });

  it('suspended: what is owed waits, what is published is refused; resumed: all that waited is delivered', async () => {
    const [space, other] = [await TestSpace.make(system), await TestSpace.make(system)];
    await webhook(space, '/suspended');
    await webhook(space, '/suspended/hanging');
    await webhook(other, '/other');
    receivers.script('/suspended', { status: 500 }, 1);
    receivers.script('/other', { status: 500 }, 1);
    let release: () => void = () => undefined;
    const held = new Promise<void>((resolve) => (release = resolve));
    receivers.script('/suspended/hanging', async () => {
      await held;
      return {};
    });
    await space.publish([contact(1)]);
    await receivers.received('/suspended', 1);
    await receivers.received('/suspended/hanging', 1);
    await waitFor('the failure', async () => (await deliveries(space)).includes('retrying 1'));
    await suspend(space);
    expect((await space.door.get('/api/v1/contacts')).status).toBe(401);

    await space.publish([contact(2)]);
    const { rejected } = await system.admin.request('admin.events.rejected', { spaceId: space.id });
    expect(rejected).toEqual([expect.objectContaining({ type: 'contact.created', spaceId: space.id })]);
    // What hangs ends as it would have.
    release();
    await waitFor('the end of it', async () => (await deliveries(space)).includes('success 1'));
    // Its retry is due a second after an attempt that was made later than ours.
    await other.publish([contact(1)]);
    await receivers.received('/other', 2);
    expect(receivers.requests('/suspended')).toHaveLength(1);
    expect((await deliveries(space)).sort()).toEqual(['retrying 1', 'success 1']);
    // A dispatcher that begins now keeps to it as well.
    await system.kill('dispatcher');
    await system.startInstance('dispatcher');
    expect((await retention())[0]?.['spacesToldAgain']).toBe(1);
    await other.publish([contact(2)]);
    await receivers.received('/other', 3);
    expect(receivers.requests('/suspended')).toHaveLength(1);

    await resume(space);
    await receivers.received('/suspended', 2);
    await waitFor('the success', async () => (await deliveries(space)).sort().join() === 'success 1,success 2');
    await space.publish([contact(1, 'updated', 'Another')]);
    await receivers.received('/suspended', 3);
    await receivers.received('/suspended/hanging', 2);
  });

  it('deleted: what waits is cancelled and no secret is left; a week later nothing is, in any table', async () => {
    const [space, other] = [await TestSpace.make(system), await TestSpace.make(system)];
    for (const each of [space, other]) {
      const path = `/deleted/${each.id}`;
      const id = await webhook(each, path, { ordering: 'record' });
      await webhook(each, `${path}/failing`);
      receivers.script(`${path}/failing`, { status: 500, body: `we know ${name}` });
      await each.publish([
        contact(1, 'created', name),
        contact(2),
        contact(2, 'deleted'),
        { type: 'file.created', data: { id: 1 } },
      ]);
      await each.publish([{ type: 'contact.created', data: { id: 3, lastName: name, isActive: 'perhaps' } }]);
      await receivers.received(path, 3);
      await receivers.received(`${path}/failing`, 6);
      await waitFor(
        'second failures',
        async () => (await deliveries(each)).filter((d) => d === 'retrying 2').length === 3,
      );
      const replay = {
        since: new Date(Date.now() - 3_600_000).toISOString(),
        status: 'all',
        url: receivers.url(`${path}/elsewhere`),
      };
      expect((await each.door.post(`/api/v1/webhooks/${id}/replays`, replay)).status).toBe(201);
      await receivers.received(`${path}/elsewhere`, 3);
    }
    const before = await rowsOfSpace(sql, space.id);
    const others = await rowsOfSpace(sql, other.id);
    expect(Object.keys(before)).toEqual(Object.keys(others));
    expect(Object.keys(before)).toEqual(
      expect.arrayContaining([
        ...['access.api_key', 'access.audit', 'access.membership'],
        ...[
          'data.contact',
          'data.contact_search',
          'data.contact_state',
          'data.counter',
          'data.event_log',
          'data.space',
        ],
        ...['data.tombstone', 'webhooks.accepted', 'webhooks.attempt', 'webhooks.delivery', 'webhooks.endpoint'],
        ...['webhooks.endpoint_version', 'webhooks.message', 'webhooks.queue', 'webhooks.replay', 'webhooks.space'],
      ]),
    );

    expect(await remove(space)).toEqual({ id: space.id, deleted: true });
    expect((await space.door.get('/api/v1/contacts')).status).toBe(401);
    await waitFor('the end of what waits', async () => !('webhooks.queue' in (await rowsOfSpace(sql, space.id))));
    expect((await deliveries(space)).filter((delivery) => delivery === 'cancelled 2')).toHaveLength(3);
    const { rows } = await sql.query<{ secrets: number }>(
      `select count(coalesce(secret_enc, previous_secret_enc, headers_enc, signature_key_enc))::int as secrets
       from webhooks.endpoint where space_id = $1`,
      [space.id.slice('spc_'.length)],
    );
    expect(rows).toEqual([{ secrets: 0 }]);

    const inDays = (days: number) => new Date(Date.now() + days * 86_400_000).toISOString();
    await retention(inDays(6));
    const kept = await rowsOfSpace(sql, space.id);
    expect(kept).toMatchObject({ 'data.contact': 1, 'webhooks.message': 3, 'access.api_key': 1 });
    // The relay notes once a second how far it is, and what it has not behind it stays.
    await waitFor('the purge', async () => {
      const reports = await retention(inDays(8));
      return reports.every(({ spacesLeftToPurge }) => spacesLeftToPurge === 0);
    });
    expect(await rowsOfSpace(sql, space.id)).toEqual({ 'access.audit': kept['access.audit'] });
    expect(await rowsOfSpace(sql, other.id)).toEqual(others);
    expect((await system.admin.request('admin.events.rejected', { spaceId: space.id })).rejected).toEqual([]);
    expect((await system.admin.request('admin.events.rejected', { spaceId: other.id })).rejected).toHaveLength(1);
    expect((await other.door.get('/api/v1/contacts/1')).json.data).toMatchObject({ lastName: name });

    // The other one knows the name too; when it is gone as well, nobody does.
    expect((await tablesWith(sql, name)).length).toBeGreaterThan(4);
    await remove(other);
    await waitFor('the second purge', async () => {
      const reports = await retention(inDays(8));
      return reports.every(({ spacesLeftToPurge }) => spacesLeftToPurge === 0);
    });
    expect(await tablesWith(sql, name)).toEqual([]);
    expect(Object.keys(await rowsOfSpace(sql, other.id))).toEqual(['access.audit']);
  });
});
