import { randomBytes } from 'node:crypto';
import { headers } from 'nats';
import { RejectedRpc } from '../rejected/rejected.rpc';
import { SpacesRpc } from '../spaces/spaces.rpc';
import { WriteSide, WriteSideServers } from './write-side.fixture';

let servers: WriteSideServers;
let side: WriteSide;

beforeAll(async () => {
  servers = await WriteSideServers.start();
  await servers.putSpace(1);
  side = await WriteSide.start({ databaseUrl: servers.database.url, natsUrl: servers.nats.url });
});

afterAll(async () => {
  await side?.stop();
  await servers?.stop();
});

const call = <R>(request: R) => ({ request, body: new Uint8Array(0), deadline: performance.now() + 5_000 });
const rejected = async (spaceId?: string) =>
  (await new RejectedRpc(side.link).list(call(spaceId === undefined ? {} : { spaceId }))).head.rejected;
const metric = async (name: string) => (await side.metrics.registry.getSingleMetric(name)?.get())?.values ?? [];
const sum = async (name: string, labels: Record<string, string>) =>
  (await metric(name))
    .filter((value) => Object.entries(labels).every(([key, label]) => value.labels[key] === label))
    .reduce((total, { value }) => total + value, 0);

it('T-102 T-108 a created file is stored, logged and relayed, the payload being the stored text', async () => {
  await servers.publish({ id: 'a1', type: 'file.created', data: { id: 7, name: 'Seven' } });
  await servers.settled();
  const events = await servers.events();
  expect(events).toHaveLength(1);
  expect(events[0]).toMatchObject({ spaceId: 'spc_1', sequence: 1, event: 'file.created', recordId: 7, changed: [] });
  const [row] = await servers.rows<{ json: string }>('select json from data.file_state where space_id = 1 and id = 7');
  expect(Buffer.from(events[0]?.payload ?? '').toString()).toBe(
    `{"event":"file.created","data":${row?.json},"timestamp":"2026-03-10T12:00:00.000Z"}`,
  );
});

it('X4 T-110 awkward values come through byte for byte', async () => {
  const awkward = {
    name: `O'Brien "Ltd" \\ / \u2028\u2029 <b>&amp;</b> 日本語 😀 \u0001\t\r\n {a,b} NULL`,
    remarks: '{"json":"in text"}',
    listPrice: 0.1,
    salePrice: 9007199254740991,
    originalPrice: -12.5,
    earnestMoney: 1e-7,
    closingDate: '0001-01-01',
    listingDate: '9999-12-31',
    reviewSubmittedAt: '9999-12-31T23:59:59.999Z',
    createdAt: '0001-01-01T00:00:00.000Z',
    updatedAt: '2026-03-10T14:00:00+02:00',
  };
  await servers.publish({ id: 'x4', type: 'file.created', data: { id: 8, ...awkward } });
  await servers.publish({
    id: 'x4-tags',
    type: 'contact.created',
    data: { id: 8, tags: ['a"b', '\\', '', 'NULL', '{}', '日本'], phone: '(206) 555-1234' },
  });
  await servers.settled();
  const payload = Buffer.from((await servers.events()).at(-2)?.payload ?? '').toString();
  expect(JSON.stringify(JSON.parse(payload))).toBe(payload);
  const { data } = JSON.parse(payload) as { data: Record<string, unknown> };
  expect(data).toMatchObject({ ...awkward, updatedAt: '2026-03-10T12:00:00.000Z' });
  const [row] = await servers.rows(
    `select name, list_price, sale_price, earnest_money, closing_date::text, listing_date::text,
            to_char(review_submitted_at at time zone 'utc', 'YYYY-MM-DD HH24:MI:SS.MS') as at, search_text like '%日本語%' as found
     from data.file join data.file_search using (space_id, id) where id = 8`,
  );
  expect(row).toEqual({
    name: awkward.name,
    list_price: 0.1,
    sale_price: 9007199254740991,
    earnest_money: 1e-7,
    closing_date: '0001-01-01',
    listing_date: '9999-12-31',
    at: '9999-12-31 23:59:59.999',
    found: true,
  });
  expect(await servers.rows('select phone_keys from data.contact where id = 8')).toEqual([
    { phone_keys: ['1:2065551234'] },
  ]);
});

it('a Space that was put takes the event published the next moment, and one that was suspended does not', async () => {
  const spaces = new SpacesRpc(side.database);
  for (let n = 100; n < 110; n++) {
    await spaces.put(call({ spaceId: `spc_${n}`, status: 'active' as const }));
    await servers.publish({ id: `space-${n}`, type: 'note.created', space: n, data: { id: 1 } });
  }
  await servers.settled();
  expect(await servers.rows('select count(*)::int as n from data.note where space_id between 100 and 109')).toEqual([
    { n: 10 },
  ]);
  expect((await spaces.position(call({ spaceId: 'spc_109' }))).head).toEqual({ sequence: 1 });

  await spaces.put(call({ spaceId: 'spc_109', status: 'suspended' as const }));
  await servers.publish({ id: 'suspended', type: 'note.created', space: 109, data: { id: 2 } });
  await servers.settled();
  expect(await rejected('spc_109')).toMatchObject([
    { id: 'suspended', source: '/test', type: 'note.created', spaceId: 'spc_109' },
  ]);

  // What was refused may be sent again once it can be taken.
  await spaces.put(call({ spaceId: 'spc_109', status: 'active' as const }));
  await servers.publishRaw(
    'domain.spc_109.note.created',
    servers.bodyOf({ id: 'suspended', type: 'note.created', space: 109, data: { id: 2 } }),
  );
  await servers.settled();
  expect((await spaces.position(call({ spaceId: 'spc_109' }))).head).toEqual({ sequence: 2 });
});

it('an unknown Space has no position', async () => {
  await expect(new SpacesRpc(side.database).position(call({ spaceId: 'spc_999' }))).rejects.toMatchObject({
    code: 'NOT_FOUND',
  });
});

describe('what is refused', () => {
  const deep = '['.repeat(10_000) + ']'.repeat(10_000);
  const event = (changes: object = {}) =>
    JSON.stringify({
      ...(JSON.parse(servers.bodyOf({ id: 'h', type: 'file.created', data: { id: 1 } })) as object),
      ...changes,
    });

  const hostile: [what: string, subject: string, body: () => string | Uint8Array, reason: RegExp][] = [
    ['nothing', 'domain.spc_1.file.created', () => '', /^malformed/],
    ['random bytes', 'domain.spc_1.file.created', () => randomBytes(5_000), /^malformed/],
    ['nearly the largest message there is', 'domain.spc_1.file.created', () => randomBytes(1_040_000), /^malformed/],
    [
      'a megabyte of JSON',
      'domain.spc_1.file.created',
      () => event({ data: { id: 1, remarks: 'x'.repeat(1_000_000) } }),
      /^too_large/,
    ],
    ['arrays 10,000 deep', 'domain.spc_1.file.created', () => `{"a":${deep}}`, /^malformed/],
    [
      'arrays 10,000 deep in a field',
      'domain.spc_1.file.created',
      () => event({ data: 0 }).replace('"data":0', `"data":{"id":1,"name":${deep}}`),
      /^invalid_field/,
    ],
    [
      'half a surrogate pair',
      'domain.spc_1.file.created',
      () => event({ data: { id: 1, name: '\ud800' } }),
      /^invalid_field/,
    ],
    ['a NUL', 'domain.spc_1.file.created', () => event({ id: 'a\0b' }), /^malformed/],
    [
      '__proto__',
      'domain.spc_1.file.created',
      () => '{"__proto__":{"specversion":"1.0"},"constructor":1}',
      /^malformed/,
    ],
    [
      'an id of 30 digits',
      'domain.spc_1.file.created',
      () => event({ data: 0 }).replace('"data":0', `"data":{"id":${'9'.repeat(30)}}`),
      /^invalid_field/,
    ],
    [
      'a type with line ends',
      'domain.spc_1.file.created',
      () => event({ type: 'file\r\nX: y.created' }),
      /^unknown_type/,
    ],
    ['a subject of another Space', 'domain.spc_2.file.created', () => event(), /^subject_mismatch/],
    ['a subject of nothing', 'domain.x', () => event(), /^subject_mismatch/],
    ['a subject of a thousand parts', `domain.${'a.'.repeat(1_000)}a`, () => event(), /^subject_mismatch/],
    ['a subject beyond ASCII', 'domain.日本.😀', () => event(), /^subject_mismatch/],
    ['a live event among the backfill', 'backfill.spc_1.file.created', () => event(), /^subject_mismatch/],
    ['garbage among the backfill', 'backfill.>x', () => 'garbage', /^malformed/],
  ];

  it.each(hostile)('%s: is kept with its reason and holds up nothing', async (what, subject, body, reason) => {
    const before = (await rejected()).length;
    await servers.publishRaw(subject, body());
    await servers.publish({ id: `behind ${what}`, type: 'file.updated', data: { id: 50, name: what } });
    await servers.settled();
    const kept = await rejected();
    expect(kept).toHaveLength(before + 1);
    expect(kept.at(-1)?.reason).toMatch(reason);
    expect(Date.parse(kept.at(-1)?.receivedAt ?? '')).toBeGreaterThan(Date.now() - 60_000);
    expect(await servers.rows('select name from data.file where space_id = 1 and id = 50')).toEqual([{ name: what }]);
  });

  it('half a megabyte of headers', async () => {
    const header = headers();
    for (let n = 0; n < 500; n++) header.append(`X-${n}`, 'y'.repeat(1_000));
    servers.publisher.publish('domain.spc_1.file.created', 'garbage', { headers: header });
    await servers.publisher.flush();
    await servers.publish({ id: 'behind headers', type: 'file.updated', data: { id: 50, name: 'headers' } });
    await servers.settled();
    expect(await servers.rows('select name from data.file where space_id = 1 and id = 50')).toEqual([
      { name: 'headers' },
    ]);
  });

  it('a trace context with line ends does not reach the headers', async () => {
    await servers.publishRaw(
      'domain.spc_1.file.created',
      event({ id: 'trace', traceparent: 'a\r\nX: y', data: { id: 51 } }),
    );
    await servers.settled();
    const last = (await servers.events()).at(-1);
    expect(last).toMatchObject({ recordId: 51 });
    expect(last).not.toHaveProperty('traceparent');
  });

  it('a trace context travels on', async () => {
    const traceparent = '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01';
    await servers.publishRaw('domain.spc_1.file.created', event({ id: 'traced', traceparent, data: { id: 52 } }));
    await servers.settled();
    expect((await servers.events()).at(-1)).toMatchObject({ recordId: 52, traceparent });
  });

  it('garbage on the stream of committed events stops no relay', async () => {
    for (let n = 0; n < 3; n++) {
      servers.publisher.publish(`events.x${n}`, randomBytes(100));
      await servers.publisher.flush();
      await servers.publish({ id: `after garbage ${n}`, type: 'file.updated', data: { id: 50, name: `g${n}` } });
      await servers.settled();
    }
    const subjects = (await servers.streamMessages('EVENTS')).slice(-6).map(({ subject }) => subject);
    expect(subjects).toEqual([0, 1, 2].flatMap((n) => [`events.x${n}`, 'events.spc_1.file.updated']));
  });

  it('is counted by its reason', async () => {
    const all = await rejected();
    const codes = new Map<string, number>();
    for (const { reason } of all)
      codes.set(reason.split(':')[0] ?? '', (codes.get(reason.split(':')[0] ?? '') ?? 0) + 1);
    expect(codes.size).toBeGreaterThanOrEqual(6);
    for (const [code, count] of codes) expect(await sum('events_rejected_total', { code })).toBe(count);
    expect(await sum('events_applied_total', { outcome: 'rejected' })).toBe(all.length);
  });

  it('is listed by Space, as far as the Space can be told', async () => {
    const ofSpace = await rejected('spc_2');
    expect(ofSpace).toEqual([]);
    expect((await rejected('spc_1')).length).toBeGreaterThan(5);
    await expect(rejected('nonsense')).rejects.toMatchObject({ code: 'VALIDATION_ERROR' });
  });

  it('leaves the refused message itself in the stream', async () => {
    await servers.publishRaw('domain.spc_1.file.created', 'exactly these bytes');
    await servers.settled();
    const last = (await servers.streamMessages('REJECTED')).at(-1);
    expect(Buffer.from(last?.bytes ?? '').toString()).toBe('exactly these bytes');
    expect(last?.subject).toBe('rejected.spc_1');
  });
});

it('an event that the database will not store is refused alone', async () => {
  await servers.rows(`alter table data.note add constraint no_swearing check (subject <> 'damn')`);
  try {
    const publishing = [];
    for (let id = 1; id <= 40; id++)
      publishing.push(
        servers.publish({ id: `n${id}`, type: 'note.created', data: { id, subject: id === 23 ? 'damn' : 'hello' } }),
      );
    await Promise.all(publishing);
    await servers.settled();
    expect(await servers.rows('select count(*)::int as n from data.note where space_id = 1')).toEqual([{ n: 39 }]);
    expect((await rejected('spc_1')).at(-1)).toMatchObject({
      id: 'n23',
      reason: expect.stringMatching(/^invalid_field/) as string,
    });
  } finally {
    await servers.rows('alter table data.note drop constraint no_swearing');
  }
});

it('`created` followed at once by `updated` emits both, in that order, each with its own payload', async () => {
  const before = (await servers.events()).length;
  const publishing = [];
  for (let id = 1_000; id < 1_100; id++)
    for (const [n, action] of ['created', 'updated', 'updated'].entries())
      publishing.push(
        servers.publish({
          id: `${id}-${n}`,
          type: `task.${action}`,
          time: `2026-03-10T12:00:0${n}.000Z`,
          data: { id, title: `t${n}` },
        }),
      );
  await Promise.all(publishing);
  await servers.settled();
  const events = (await servers.events()).slice(before);
  const ofRecord = new Map<number, typeof events>();
  for (const event of events) ofRecord.set(event.recordId, [...(ofRecord.get(event.recordId) ?? []), event]);
  expect(ofRecord.size).toBe(100);
  for (const each of ofRecord.values())
    expect(
      each.map(({ event, payload }) => [
        event,
        (JSON.parse(Buffer.from(payload).toString()) as { data: { title: string } }).data.title,
      ]),
    ).toEqual([
      ['task.created', 't0'],
      ['task.updated', 't1'],
      ['task.updated', 't2'],
    ]);
  const sequences = (await servers.events())
    .filter(({ spaceId }) => spaceId === 'spc_1')
    .map(({ sequence }) => sequence);
  expect(sequences).toEqual(sequences.map((_, index) => index + 1));
});

it('a backfill that is running delays no live event by more than a second', async () => {
  await servers.putSpace(3);
  const count = 6_000;
  for (let id = 1; id <= count; id++) {
    const event = {
      id: `b${id}`,
      type: 'file.created',
      space: 3,
      backfill: true,
      data: { id, name: `File ${id}`, remarks: 'x'.repeat(300) },
    };
    servers.publisher.publish('backfill.spc_3.file.created', servers.bodyOf(event));
    if (id % 2_000 === 0) await servers.publisher.flush();
  }
  const delays: number[] = [];
  const arrivals = servers.publisher.subscribe('events.spc_3.note.created');
  const arrival = arrivals[Symbol.asyncIterator]();
  const backfilled = async () => {
    const [row] = await servers.rows<{ n: number }>(
      `select total::int as n from data.counter where space_id = 3 and collection = 'files'`,
    );
    return row?.n ?? 0;
  };
  for (let id = 1; (await backfilled()) < count; id++) {
    const started = performance.now();
    await servers.publish({ id: `live${id}`, type: 'note.created', space: 3, data: { id } });
    await arrival.next();
    delays.push(performance.now() - started);
    if (delays.length > 2_000) throw new Error('the backfill does not end');
  }
  arrivals.unsubscribe();
  expect(delays.length).toBeGreaterThan(5);
  expect(Math.max(...delays)).toBeLessThan(1_000);
  // No webhook fires for it.
  const log = await servers.rows(`select event, count(*)::int as n from data.event_log where space_id = 3 group by 1`);
  expect(log).toEqual([{ event: 'note.created', n: delays.length }]);
}, 60_000);
