import { deliveryList } from '@keyturn/contracts';
import { CursorCodec, parseListQuery } from '@keyturn/list-query';
import type { AttemptResult } from './dispatch/dispatch-store.types';
import { result, room, StoreFixture } from './store.fixture';

/** Days with another usual event and another usual code each; the first is as a version left it that knew nothing of either. */
const days = [
  { day: '2026-03-08', event: 'file.updated', code: 200, of: 'an older version' },
  { day: '2026-03-09', event: 'file.updated', code: 200, of: 'this version' },
  { day: '2026-03-10', event: 'file.created', code: 204, of: 'this version' },
] as const;
const events = ['file.created', 'file.updated', 'file.deleted', 'note.created'];
const codes = [200, 201, 204, 404, 410, 500];
const batches = 6;
const perBatch = 12;

describe('lists of deliveries by what is rare', () => {
  let store: StoreFixture;
  let webhookId: string;
  let all: Row[];
  const cursors = new CursorCodec('a key for tests of at least thirty-two characters');

  beforeAll(async () => {
    store = await StoreFixture.open();
    webhookId = (await store.webhook('spc_1', { events: [...events] })).id;
    await store.webhook('spc_1', { events: [...events] });
    const random = seeded(7);
    for (const { day, event, code } of days)
      for (let batch = 0; batch < batches; batch++) await deliver(day, event, code, random);
    await switchOffAndOn();
    const { day, event, code } = days[2];
    for (let batch = 0; batch < batches; batch++) await deliver(day, event, code, random);
    const failed = await walk('status=failed&responseStatus=500');
    for (const { id } of failed.slice(0, 3)) await store.deliveryStore.resend('spc_1', webhookId, id);
    await asAnOlderVersionLeftIt(days[0].day);
    all = await walk('');
  });
  afterAll(() => store.close());

  /** Mostly the usual event with the usual answer; some fail, some are tried again later, some have no answer at all. */
  async function deliver(day: string, event: string, code: number, random: () => number): Promise<void> {
    const instance = await store.instance();
    const one = <T>(values: readonly T[]) => values[Math.floor(random() * values.length)] as T;
    const committedAt = `${day}T12:00:00.000Z`;
    const batch = Array.from({ length: perBatch }, () =>
      store.event('spc_1', { committedAt, event: random() < 0.8 ? event : one(events) }),
    );
    const { leased } = await store.dispatch.accept(instance, batch, room(1_000));
    const results = leased.map(({ id }) => {
      const status = random() < 0.7 ? code : one([...codes, null]);
      const attempt = { status, faultClass: status === null ? ('refused' as const) : null };
      const effect: AttemptResult['effect'] =
        status !== null && status < 300
          ? { kind: 'delivered' }
          : random() < 0.7
            ? { kind: 'failed' }
            : { kind: 'retry', inMs: 3_600_000 };
      return { ...result(id, effect, attempt), committedAt: Date.parse(committedAt) };
    });
    await store.dispatch.record(instance, results);
  }

  /** Some of what has failed is sent for again, and what waits ends: as what it was before, or as cancelled. */
  async function switchOffAndOn(): Promise<void> {
    const failed = await walk('status=failed&responseStatus=404');
    for (const { id } of failed.slice(0, 3)) await store.deliveryStore.resend('spc_1', webhookId, id);
    await store.webhooks.update('spc_1', webhookId, { isActive: false }, store.position('spc_1'));
    await store.webhooks.update('spc_1', webhookId, { isActive: true }, store.position('spc_1'));
  }

  async function asAnOlderVersionLeftIt(day: string): Promise<void> {
    const db = store.database.acrossSpaces('a test goes back in time');
    await db.query(
      {
        name: 'test.older_rows',
        text: `update webhooks.delivery set unusual_event = null, unusual_code = null, trouble = null where day = $1::date`,
      },
      [day],
    );
    await db.query(
      {
        name: 'test.older_day',
        text: `update webhooks.endpoint_day set usual_event = '*', usual_code = -1 where day = $1::date`,
      },
      [day],
    );
  }

  const parsed = (parameters: string) =>
    parseListQuery(deliveryList, new URLSearchParams(parameters), { cursors, scope: [] });

  async function walk(parameters: string): Promise<Row[]> {
    const rows: Row[] = [];
    for (let query = parsed(`${parameters}&pageSize=7&cursor=`); ;) {
      const { head, rows: texts } = await store.deliveryStore.list('spc_1', webhookId, query);
      rows.push(...texts.map((text) => JSON.parse(text) as Row));
      if (head.next === null) return rows;
      query = { ...query, window: { after: head.next } };
    }
  }

  const filters: [string, (row: Row) => boolean][] = [
    ...[...events, 'task.created'].map((name): [string, (row: Row) => boolean] => [
      `event=${name}`,
      ({ event }) => event === name,
    ]),
    ...[...codes, 418].map((code): [string, (row: Row) => boolean] => [
      `responseStatus=${code}`,
      ({ responseStatus }) => responseStatus === code,
    ]),
    ...['pending', 'retrying', 'success', 'failed', 'cancelled'].map((name): [string, (row: Row) => boolean] => [
      `status=${name}`,
      ({ status }) => status === name,
    ]),
    ['status=failed&responseStatus=404', (row) => row.status === 'failed' && row.responseStatus === 404],
    ['status=cancelled&event=file.created', (row) => row.status === 'cancelled' && row.event === 'file.created'],
    ['event=file.updated&responseStatus=204', (row) => row.event === 'file.updated' && row.responseStatus === 204],
    ['createdAt[gte]=2026-03-01&responseStatus=201', ({ responseStatus }) => responseStatus === 201],
    ['createdAt[lt]=2026-03-01&responseStatus=200', () => false],
  ];
  it.each(filters)(
    'T-092 by %s: exactly those, page by page, in both orders, and their number',
    async (parameters, matches) => {
      const expected = all.filter(matches).map(({ id }) => id);
      expect((await walk(parameters)).map(({ id }) => id)).toEqual(expected);
      expect((await walk(`${parameters}&order=asc&sort=id`)).map(({ id }) => id)).toEqual(expected.toReversed());
      expect((await walk(`${parameters}&order=desc&sort=createdAt`)).map(({ id }) => id)).toEqual(expected);
      const { head } = await store.deliveryStore.list('spc_1', webhookId, parsed(`${parameters}&pageSize=100`));
      expect(head.total).toBe(expected.length);
    },
  );

  it('there is something of everything, and nothing is said of what is usual', async () => {
    expect(all).toHaveLength((days.length + 1) * batches * perBatch);
    expect(filters.filter(([, matches]) => !all.some(matches)).map(([name]) => name)).toEqual([
      'event=task.created',
      'responseStatus=418',
      'createdAt[lt]=2026-03-01&responseStatus=200',
    ]);
    const learned = await store.database.acrossSpaces('a test looks at everything').query(
      {
        name: 'test.usual',
        text: `select k.day::text as day, k.usual_event, k.usual_code,
                    bool_or(d.unusual_event = k.usual_event and d.id > early.id) as event_noted_late,
                    count(*) filter (where d.unusual_event is null and d.unusual_code is null) > 10 as plain
             from webhooks.endpoint_day k join webhooks.delivery d on d.endpoint_id = k.endpoint_id and d.day = k.day
             cross join lateral (
               select max(id) as id from (select id from webhooks.delivery e where e.endpoint_id = k.endpoint_id and e.day = k.day
                                          order by id limit ${3 * perBatch}) first
             ) early
             where k.endpoint_id = $1 and k.usual_code >= 0 group by 1, 2, 3 order by 1`,
      },
      [webhookId.slice('wh_'.length)],
    );
    expect(learned).toEqual(
      days.slice(1).map(({ day, event, code }) => ({
        day,
        usual_event: event,
        usual_code: code,
        event_noted_late: false,
        plain: true,
      })),
    );
  });

  interface Row {
    readonly id: string;
    readonly event: string;
    readonly status: string;
    readonly responseStatus: number | null;
  }
});

/** The same numbers in every run (mulberry32). */
function seeded(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}
