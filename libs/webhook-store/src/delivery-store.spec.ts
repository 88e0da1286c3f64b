import { deliveryList, type DeliveryStatus, type ListQuery } from '@keyturn/contracts';
import { CursorCodec, parseListQuery } from '@keyturn/list-query';
import { result, room, StoreFixture } from './store.fixture';

describe('lists of deliveries', () => {
  let store: StoreFixture;
  let webhookId: string;
  const cursors = new CursorCodec('a key for tests of at least thirty-two characters');
  const count = 60;
  /** Ten an hour, oldest first; a few minutes of them lie on either side of midnight. */
  const moments = Array.from({ length: count }, (_, index) => new Date(Date.UTC(2026, 2, 9, 21) + index * 360_000));

  beforeAll(async () => {
    store = await StoreFixture.open();
    webhookId = (await store.webhook('spc_1')).id;
    await store.webhook('spc_1');
    const instance = await store.instance();
    const { leased } = await store.dispatch.accept(instance, store.events('spc_1', count), room(1_000));
    await store.dispatch.record(
      instance,
      leased.map(({ id }, index) =>
        index % 10 < 2
          ? result(id, { kind: 'failed' }, { status: index % 20 < 2 ? 404 : 500, error: 'no' })
          : result(id),
      ),
    );
    await store.database.acrossSpaces('a test moves time').query(
      {
        name: 'test.move',
        text: `update webhooks.delivery d set created_at = moved.at
               from (select id, ($1::timestamptz[])[row_number() over (partition by endpoint_id order by id)] as at
                     from webhooks.delivery) moved
               where d.id = moved.id`,
      },
      [moments.map((moment) => moment.toISOString())],
    );
  });
  afterAll(() => store.close());

  const ask = async (parameters: string) => {
    const query: ListQuery = parseListQuery(deliveryList, new URLSearchParams(parameters), { cursors, scope: [] });
    const { head, rows } = await store.deliveryStore.list('spc_1', webhookId, query);
    return { head, rows: rows.map((row) => JSON.parse(row) as Row) };
  };
  /** All pages of a walk. */
  const walk = async (parameters: string) => {
    const rows: Row[] = [];
    for (
      let query = parseListQuery(deliveryList, new URLSearchParams(`${parameters}&pageSize=7&cursor=`), {
        cursors,
        scope: [],
      });
      ;
    ) {
      const page = await store.deliveryStore.list('spc_1', webhookId, query);
      rows.push(...page.rows.map((row) => JSON.parse(row) as Row));
      if (page.head.next === null) return rows;
      query = { ...query, window: { after: page.head.next } };
    }
  };
  const midnight = '2026-03-10T00:00:00.000Z';

  it.each<[string, (at: Date) => boolean]>([
    [`createdAt[gte]=${midnight}`, (at) => at >= new Date(midnight)],
    [`createdAt[gt]=${midnight}`, (at) => at > new Date(midnight)],
    [`createdAt[lt]=${midnight}`, (at) => at < new Date(midnight)],
    [`createdAt[lte]=${midnight}`, (at) => at <= new Date(midnight)],
    ['createdAt=2026-03-09', (at) => at < new Date(midnight)],
    ['createdAt[gte]=2026-03-10', (at) => at >= new Date(midnight)],
    ['createdAt[gt]=2026-03-09&createdAt[lte]=2026-03-10', (at) => at >= new Date(midnight)],
    ['createdAt[lt]=2026-03-10', (at) => at < new Date(midnight)],
    ['createdAt[gte]=2026-03-11', () => false],
    [
      `createdAt[gte]=2026-03-09T23:30:00Z&createdAt[lt]=2026-03-10T00:30:00Z`,
      (at) =>
        Math.abs(at.getTime() - Date.parse(midnight)) <= 1_800_000 && at.getTime() < Date.parse(midnight) + 1_800_000,
    ],
  ])('T-092 by time, %s: exactly those of the time, newest first', async (parameters, matches) => {
    const expected = moments
      .filter(matches)
      .map((moment) => moment.toISOString())
      .reverse();
    expect((await walk(parameters)).map(({ createdAt }) => createdAt)).toEqual(expected);
    expect((await walk(`${parameters}&sort=createdAt&order=desc`)).map(({ createdAt }) => createdAt)).toEqual(expected);
    expect((await ask(parameters)).head.total).toBe(expected.length);
  });

  it('T-092 by code, also of what has been sent for again meanwhile', async () => {
    const [failed] = (await ask('responseStatus=404')).rows;
    expect((await walk('responseStatus=404')).map(({ responseStatus }) => responseStatus)).toEqual(Array(6).fill(404));
    expect(await walk('responseStatus[in]=404,500')).toHaveLength(12);
    expect(await walk('responseStatus[in]=200,404')).toHaveLength(count - 6);
    await store.deliveryStore.resend('spc_1', webhookId, failed?.id ?? '');
    const again = await walk('responseStatus=404');
    expect(again.map(({ status }) => status)).toEqual(['pending', ...Array<string>(5).fill('failed')]);
    expect(await walk('status=failed&responseStatus=404')).toHaveLength(5);
  });

  interface Row {
    readonly id: string;
    readonly status: DeliveryStatus;
    readonly createdAt: string;
    readonly responseStatus: number | null;
  }
});
