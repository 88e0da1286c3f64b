import type { OperationName, RequestOf } from '@keyturn/contracts';
import { Log } from '@keyturn/platform/logs';
import { Metrics } from '@keyturn/platform/metrics';
import type { RpcClient } from '@keyturn/platform/rpc';
import { waitFor } from '@keyturn/testing';
import { WriteSide, WriteSideServers, type Event } from '../apply/write-side.fixture';
import { Relay } from '../log/relay';
import { isAbout } from './about-record';
import { ErasureRpc } from './erasure.rpc';
import { RecordEraser } from './record-eraser';
import { StreamEraser } from './stream-eraser';

const name = 'Jane Doe';

describe('erasing a record', () => {
  let servers: WriteSideServers;
  let side: WriteSide;
  /** What webhook-service was asked, and the payloads that came with it. */
  const asked: { request: RequestOf<'webhooks.erase'>; body: string }[] = [];
  let failure: { of: OperationName; error: Error } | undefined;
  /** What was to be entered in the audit log. */
  const entered: RequestOf<'audit.erasure'>[] = [];

  beforeAll(async () => {
    servers = await WriteSideServers.start();
    await servers.putSpace(1);
    await servers.putSpace(2);
    side = await WriteSide.start({ databaseUrl: servers.database.url, natsUrl: servers.nats.url });
  });
  beforeEach(() => {
    asked.length = 0;
    entered.length = 0;
    failure = undefined;
  });
  afterAll(async () => {
    await side?.stop();
    await servers?.stop();
  });

  const others = {
    request: (operation: OperationName, request: never, { body }: { body: Uint8Array }) => {
      if (failure?.of === operation) return Promise.reject(failure.error);
      if (operation === 'audit.erasure') entered.push(request);
      else asked.push({ request, body: Buffer.from(body).toString() });
      return Promise.resolve({ head: { messages: 1, attempts: 2, cancelled: 3 }, body: new Uint8Array(0) });
    },
  } as unknown as RpcClient;

  function rpc(): ErasureRpc {
    const { database, link } = side;
    // This instance relays nothing: the one that does looks for itself.
    const relay = new Relay(database, link, Log.create('test', 'silent'), new Metrics('test'));
    return new ErasureRpc(database, new RecordEraser(database, new StreamEraser(link), relay, others));
  }

  async function erase(recordId: number, more: Partial<RequestOf<'admin.data.erase'>> = {}, waitMs = 20_000) {
    const request = { spaceId: 'spc_1', resource: 'contact', recordId, ...more };
    return (await rpc().erase({ request, body: new Uint8Array(0), deadline: performance.now() + waitMs })).head;
  }

  let events = 0;
  const contact = (id: number, action: string, more: Partial<Event> = {}): Event => ({
    id: `e-${++events}`,
    type: `contact.${action}`,
    version: events,
    data: { id, firstName: 'Jane', lastName: 'Doe', email: `jane-${id}@doe.example` },
    ...more,
  });
  const publish = async (...all: Event[]) => {
    for (const event of all) await servers.publish(event);
  };

  /** Where the text stands: in which tables and streams. */
  async function places(text: string): Promise<string[]> {
    const tables = await servers.rows<{ name: string }>(
      `select c.oid::regclass::text as name from pg_class c where relnamespace = 'data'::regnamespace and relkind = 'r'`,
    );
    const found: string[] = [];
    for (const { name: table } of tables) {
      const rows = await servers.rows(`select 1 from ${table} r where lower(r::text) like $1 limit 1`, [
        `%${text.toLowerCase()}%`,
      ]);
      if (rows.length) found.push(table);
    }
    for (const stream of ['DOMAIN', 'BACKFILL', 'EVENTS', 'REJECTED']) {
      const messages = await servers.streamMessages(stream);
      if (messages.some(({ bytes }) => Buffer.from(bytes).toString().includes(text))) found.push(stream);
    }
    return found;
  }
  const total = async () =>
    Number(
      (
        await servers.rows<{ total: string }>(
          `select total from data.counter where space_id = 1 and collection = 'contacts'`,
        )
      )[0]?.total,
    );

  it('leaves no trace of it in any table or stream, and what others say stays', async () => {
    await publish(
      contact(1, 'created'),
      contact(2, 'created'),
      contact(1, 'created', { space: 2 }),
      contact(1, 'updated', { data: { id: 1, firstName: 'Jane', email: 'jane-1@doe.example', company: 'Acme' } }),
    );
    // A first load goes beside the live events, which would be older than it.
    await servers.settled();
    await publish(
      contact(1, 'updated', { backfill: true, data: { id: 1, email: 'jane-1@doe.example', company: 'Backfilled' } }),
      contact(1, 'updated', { data: { id: 1, email: 'jane-1@doe.example', isActive: 'perhaps' } }),
    );
    await servers.publishRaw(
      'domain.spc_1.contact.updated',
      '{"type":"contact.updated","data":{"id":1,"email":"jane-1@doe.example"',
    );
    await servers.settled();
    expect(await places('jane-1@doe.example')).toEqual(
      expect.arrayContaining(['DOMAIN', 'BACKFILL', 'EVENTS', 'REJECTED', 'data.contact']),
    );
    const before = await total();

    const done = await erase(1);
    expect(done).toMatchObject({ deleted: true, events: 2, payloads: 2, answers: 4, cancelled: 6 });
    await servers.settled();
    const left = await places('jane-1@doe.example');
    // That of the other Space is another record.
    await erase(1, { spaceId: 'spc_2' });
    expect(left.filter((place) => !/^(data\.contact|data\.event_log|DOMAIN|EVENTS)/.test(place))).toEqual([]);
    expect(await places('jane-1@doe.example')).toEqual([]);
    expect(await places('jane-2@doe.example')).toEqual(expect.arrayContaining(['DOMAIN', 'EVENTS', 'data.contact']));
    expect(await total()).toBe(before - 1);

    const [first, second] = asked.filter(({ request }) => request.spaceId === 'spc_1');
    expect(first?.request).toMatchObject({ resource: 'contact', recordId: 1, events: [] });
    expect(second?.request.events.map(({ event }) => event)).toEqual(['contact.created', 'contact.updated']);
    expect(second?.body).toContain('jane-1@doe.example');
  });

  it('the log keeps its order and its ids; the deletion is told with the id alone', async () => {
    await publish(
      contact(3, 'created'),
      contact(4, 'created'),
      contact(3, 'updated', { data: { id: 3, firstName: name } }),
    );
    await servers.settled();
    const sequences = async () =>
      servers.rows<{ sequence: string; event_id: string; payload: string }>(
        'select sequence, event_id, payload from data.event_log where space_id = 1 order by sequence',
      );
    const before = await sequences();
    await erase(3);
    await servers.settled();
    const after = await sequences();
    expect(after.slice(0, -1).map(({ event_id: id }) => id)).toEqual(before.map(({ event_id: id }) => id));
    expect(after.map(({ sequence }) => Number(sequence))).toEqual(after.map((_, index) => index + 1));
    const payloads = after.map(({ payload }) => JSON.parse(payload) as { event: string; data: { id: number } });
    expect(payloads.filter(({ data }) => data.id === 3).map(({ event, data }) => [event, data])).toEqual([
      ['contact.created', { id: 3 }],
      ['contact.updated', { id: 3 }],
      ['contact.deleted', { id: 3 }],
    ]);
    const relayed = await servers.events();
    expect(
      relayed.filter(({ recordId, spaceId }) => recordId === 3 && spaceId === 'spc_1').map(({ event }) => event),
    ).toEqual(['contact.deleted']);
  });

  it('older events bring nothing back, a later one is a new record', async () => {
    const stale = contact(5, 'updated');
    await publish(contact(5, 'created'));
    await servers.settled();
    await erase(5);
    await publish(stale);
    await servers.settled();
    const rows = () => servers.rows('select id from data.contact where space_id = 1 and id = 5');
    expect(await rows()).toEqual([]);
    await publish(contact(5, 'updated', { data: { id: 5, firstName: 'John' } }));
    await servers.settled();
    expect(await rows()).toHaveLength(1);
    const [last] = (await servers.events()).slice(-1);
    expect(last).toMatchObject({ event: 'contact.created', recordId: 5 });
  });

  it('broken off anywhere, it is finished by its repetition; a third time finds nothing', async () => {
    await publish(contact(6, 'created'), contact(6, 'updated', { data: { id: 6, email: 'jane-6@doe.example' } }));
    await servers.settled();
    failure = { of: 'webhooks.erase', error: new Error('webhook-service is away') };
    await expect(erase(6)).rejects.toThrow('away');
    expect(await places('jane-6@doe.example')).toEqual(expect.arrayContaining(['DOMAIN', 'EVENTS']));
    failure = undefined;
    expect(await erase(6)).toMatchObject({ deleted: false, events: 2, streamMessages: 4 });
    expect(await places('jane-6@doe.example')).toEqual([]);
    expect(await erase(6)).toMatchObject({ deleted: false, events: 0, streamMessages: 0 });
    // What the first one told is still told.
    expect((await servers.events()).filter(({ recordId }) => recordId === 6).map(({ event }) => event)).toEqual([
      'contact.deleted',
    ]);
  });

  it('stands in the audit log by its name and id before anything goes, and else does not happen', async () => {
    await publish(contact(10, 'created'));
    await servers.settled();
    failure = { of: 'audit.erasure', error: new Error('the gateway is away') };
    await expect(erase(10)).rejects.toThrow('away');
    expect([entered, asked]).toEqual([[], []]);
    const everywhere = ['data.contact', 'data.event_log', 'DOMAIN', 'EVENTS'];
    expect((await places('jane-10@doe.example')).join()).toMatch(new RegExp(everywhere.join('.*')));
    failure = { of: 'webhooks.erase', error: new Error('webhook-service is away') };
    await expect(erase(10)).rejects.toThrow('away');
    failure = undefined;
    expect(await erase(10)).toMatchObject({ events: 1 });
    const entry = { spaceId: 'spc_1', resource: 'contact', recordId: 10 };
    expect(entered).toEqual([entry, entry]);
  });

  it('waits for what was published before it, and says so when that takes too long', async () => {
    await side.stop();
    await publish(contact(7, 'created'));
    side = await WriteSide.start({ databaseUrl: servers.database.url, natsUrl: servers.nats.url, idle: true });
    await expect(erase(7, {}, 0)).rejects.toMatchObject({
      code: 'UNAVAILABLE',
      message: expect.stringContaining('earlier events') as string,
    });
    side.applier.onApplicationBootstrap();
    expect(await erase(7)).toMatchObject({ deleted: true, events: 1 });
    await waitFor('nothing', async () => (await places('jane-7@doe.example')).length === 0);
  });

  it('goes on after a restart of NATS: nothing is read again, nothing is missing', async () => {
    await publish(contact(8, 'created'));
    await servers.settled();
    await erase(8);
    await servers.nats.kill();
    await servers.nats.restart();
    await waitFor('NATS', async () => (await servers.publisher.flush(), true), 20_000);
    await publish(contact(9, 'created'));
    await servers.settled();
    expect(await places('jane-8@doe.example')).toEqual([]);
    const sequences = (await servers.events())
      .filter(({ spaceId }) => spaceId === 'spc_1')
      .map(({ sequence }) => sequence);
    expect(sequences).toEqual([...sequences].sort((a, b) => a - b));
    expect(await servers.rows('select id from data.contact where space_id = 1 and id = 9')).toHaveLength(1);
  });

  it.each([
    ['spaceId', { spaceId: 'space one' }],
    ['resource', { resource: 'contacts' }],
    ['recordId', { recordId: 0 }],
  ])('a wrong %s is named', async (field, wrong) => {
    await expect(erase(1, wrong)).rejects.toMatchObject({ code: 'VALIDATION_ERROR', options: { field } });
  });

  it('a Space that is not there is not found', async () => {
    await expect(erase(1, { spaceId: 'spc_99' })).rejects.toMatchObject({ code: 'NOT_FOUND' });
  });
});

describe('what a message is about', () => {
  const about = (text: string) => isAbout(Buffer.from(text), 'contact', 12);
  it.each([
    ['the record', '{"type":"contact.updated","data":{"id":12}}', true],
    ['its id as text', '{"type":"contact.updated","data":{"id":"12"}}', true],
    ['another record', '{"type":"contact.updated","data":{"id":123}}', false],
    ['another resource', '{"type":"file.updated","data":{"id":12}}', false],
    ['something cut off', '{"type":"contact.updated","data":{"id": 12,"na', true],
    ['another, cut off', '{"type":"contact.updated","data":{"id":123,"na', false],
    ['nothing', 'null', false],
  ])('%s', (_what, text, expected) => {
    expect(about(text)).toBe(expected);
  });
});
