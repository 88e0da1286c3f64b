import { room, StoreFixture } from '../store.fixture';
import type { FilterCondition } from '@keyturn/contracts';

describe('what is owed', () => {
  let store: StoreFixture;
  beforeAll(async () => {
    store = await StoreFixture.open();
  });
  beforeEach(() => store.clear());
  afterAll(() => store.close());

  const number = (webhook: { id: string }) => webhook.id.slice('wh_'.length);

  it('T-107 one delivery per subscribed event of the own Space, and none besides', async () => {
    const mine = await store.webhook('spc_1');
    const other = await store.webhook('spc_1', { events: ['contact.created'] });
    await store.webhook('spc_2');
    const instance = await store.instance();
    const { leased, waiting } = await store.dispatch.accept(
      instance,
      [
        store.event('spc_1', { event: 'file.updated' }),
        store.event('spc_1', { event: 'file.deleted' }),
        store.event('spc_1', { event: 'contact.created' }),
        store.event('spc_3', { event: 'file.updated' }),
      ],
      room(),
    );
    expect(leased.map(({ webhookId }) => webhookId).sort()).toEqual([number(mine), number(other)].sort());
    expect(waiting).toBe(0);
    expect(await store.deliveries()).toMatchObject([
      { status: 'pending', state: 'leased', owner: instance },
      { status: 'pending', state: 'leased', owner: instance },
    ]);
  });

  it('T-085 a wildcard is every event of its resource', async () => {
    await store.webhook('spc_1', { events: ['task.*'] });
    const names = ['task.created', 'task.updated', 'task.completed', 'task.deleted', 'note.created'];
    const events = names.map((event) => store.event('spc_1', { event }));
    const { leased } = await store.dispatch.accept(await store.instance(), events, room());
    expect(leased.map(({ messageId }) => messageId)).toEqual(events.slice(0, 4).map(({ id }) => id));
  });

  it('T-114 the same events twice, even at once by two instances, make each delivery once', async () => {
    await Promise.all([store.webhook('spc_1'), store.webhook('spc_1'), store.webhook('spc_2')]);
    const events = [...store.events('spc_1', 100), ...store.events('spc_2', 100)];
    const [one, two] = await Promise.all([store.instance(), store.instance()]);
    await Promise.all([
      store.dispatch.accept(one, events, room(1_000)),
      store.dispatch.accept(two, events.toReversed(), room(1_000)),
      store.dispatch.accept(two, events.slice(50), room(1_000)),
    ]);
    const deliveries = await store.deliveries();
    expect(deliveries).toHaveLength(300);
    expect(new Set(deliveries.map((row) => `${row.endpoint_id} ${row.message_id}`)).size).toBe(300);
  });

  it('T-088 T-089 a change holds for events behind it, whenever they arrive', async () => {
    const webhook = await store.webhook('spc_1', { events: ['file.created'] });
    const before = store.event('spc_1', { event: 'file.created' });
    const unwanted = store.event('spc_1', { event: 'file.updated' });
    await store.webhooks.update('spc_1', webhook.id, { events: ['file.updated'] }, store.position('spc_1'));
    const after = store.event('spc_1', { event: 'file.updated' });
    const unwantedNow = store.event('spc_1', { event: 'file.created' });
    const { leased } = await store.dispatch.accept(
      await store.instance(),
      [unwantedNow, after, unwanted, before],
      room(),
    );
    expect(leased.map(({ messageId }) => messageId).sort()).toEqual([before.id, after.id].sort());
  });

  it('T-089 nothing of the time in which it was off, neither then nor later', async () => {
    const webhook = await store.webhook('spc_1');
    await store.webhooks.update('spc_1', webhook.id, { isActive: false }, store.position('spc_1'));
    const missed = store.event('spc_1');
    await store.webhooks.update('spc_1', webhook.id, { isActive: true }, store.position('spc_1'));
    const wanted = store.event('spc_1');
    const { leased } = await store.dispatch.accept(await store.instance(), [missed, wanted], room());
    expect(leased.map(({ messageId }) => messageId)).toEqual([wanted.id]);
  });

  it('an event of before a switch-off that arrives behind it is owed and cancelled, so the books balance', async () => {
    const webhook = await store.webhook('spc_1');
    const late = store.event('spc_1');
    await store.webhooks.update('spc_1', webhook.id, { isActive: false }, store.position('spc_1'));
    const { leased, waiting } = await store.dispatch.accept(await store.instance(), [late], room());
    expect([leased.length, waiting]).toEqual([0, 0]);
    expect(await store.deliveries()).toMatchObject([{ status: 'cancelled', state: null }]);
  });

  it('T-090 nothing for a deleted webhook', async () => {
    const webhook = await store.webhook('spc_1');
    await store.webhooks.remove('spc_1', webhook.id);
    const { leased } = await store.dispatch.accept(await store.instance(), [store.event('spc_1')], room());
    expect(leased).toEqual([]);
    expect(await store.deliveries()).toEqual([]);
  });

  it('events of any day find their partition', async () => {
    await store.webhook('spc_1');
    const old = store.event('spc_1', { committedAt: '2020-02-29T23:59:59.999Z' });
    const { leased } = await store.dispatch.accept(await store.instance(), [old, store.event('spc_1')], room());
    expect(leased).toHaveLength(2);
  });

  it.each<[string, FilterCondition, Parameters<StoreFixture['event']>[1], boolean]>([
    ['changed', { field: 'listingStatus', operator: 'changed' }, { changed: ['listingStatus', 'name'] }, true],
    ['not changed', { field: 'listingStatus', operator: 'changed' }, { changed: ['name'] }, false],
    ['over', { field: 'listPrice', operator: 'gt', value: 500_000 }, { data: { listPrice: 500_000.5 } }, true],
    ['not over', { field: 'listPrice', operator: 'gt', value: 500_000 }, { data: { listPrice: 500_000 } }, false],
    ['null is never over', { field: 'listPrice', operator: 'gt', value: 0 }, { data: { listPrice: null } }, false],
    ['equal', { field: 'city', operator: 'eq', value: 'Kent' }, { data: { city: 'Kent' } }, true],
    ['unlike, unset too', { field: 'city', operator: 'ne', value: 'Kent' }, { data: { city: null } }, true],
    ['one of', { field: 'city', operator: 'in', value: ['Kent', 'Renton'] }, { data: { city: 'Renton' } }, true],
    ['none of', { field: 'city', operator: 'in', value: ['Kent', 'Renton'] }, { data: { city: 'Auburn' } }, false],
    ['contains', { field: 'city', operator: 'contains', value: 'RENT' }, { data: { city: 'Renton' } }, true],
    [
      'before',
      { field: 'closingDate', operator: 'lt', value: '2026-04-01' },
      { data: { closingDate: '2026-03-31' } },
      true,
    ],
    ['unset', { field: 'city', operator: 'null', value: true }, { data: { city: null } }, true],
    ['set', { field: 'city', operator: 'null', value: false }, { data: { city: null } }, false],
  ])('a filter: %s', async (_what, condition, event, passes) => {
    await store.webhook('spc_1', { events: ['file.*', 'note.*'], filter: { file: [condition] } });
    const { leased } = await store.dispatch.accept(
      await store.instance(),
      [store.event('spc_1', event), store.event('spc_1', { event: 'note.created' })],
      room(),
    );
    expect(leased).toHaveLength(passes ? 2 : 1);
  });

  it('filters of many webhooks: each is met or not by itself, all its conditions together', async () => {
    const filters: [string, FilterCondition[] | null][] = [
      ['none', null],
      [
        'all met, fields in turn',
        [
          { field: 'remarks', operator: 'contains', value: 'ZOË' },
          { field: 'city', operator: 'contains', value: 'kent' },
          { field: 'remarks', operator: 'contains', value: 'pool' },
          { field: 'city', operator: 'eq', value: 'Kent' },
        ],
      ],
      [
        'one not met',
        [
          { field: 'remarks', operator: 'contains', value: 'pool' },
          { field: 'city', operator: 'ne', value: 'Kent' },
        ],
      ],
      ['of an unset field', [{ field: 'name', operator: 'contains', value: 'pool' }]],
      ['met', [{ field: 'remarks', operator: 'contains', value: 'pool' }]],
    ];
    const made = new Map<string, string>();
    for (const [what, conditions] of filters)
      made.set((await store.webhook('spc_1', { filter: conditions && { file: conditions } })).id, what);
    const event = store.event('spc_1', { data: { remarks: 'Zoë: a POOL', city: 'Kent', name: null } });
    const { leased } = await store.dispatch.accept(await store.instance(), [event], room());
    expect(leased.map(({ webhookId }) => made.get(`wh_${webhookId}`))).toEqual([
      'none',
      'all met, fields in turn',
      'met',
    ]);
  });

  it('says whether the thin form is meant, as it was when the event was committed', async () => {
    const webhook = await store.webhook('spc_1', { thin: true });
    const thin = store.event('spc_1');
    await store.webhooks.update('spc_1', webhook.id, { thin: false }, store.position('spc_1'));
    const whole = store.event('spc_1');
    const { leased } = await store.dispatch.accept(await store.instance(), [thin, whole], room());
    expect(leased.map(({ thin }) => thin)).toEqual([true, false]);
  });
});
