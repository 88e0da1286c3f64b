import { StoreFixture, room } from './store.fixture';
import { dropOldDeliveries } from './retention';
import type { CommittedEvent } from '@keyturn/contracts';

const dayMs = 86_400_000;

describe('retention', () => {
  let store: StoreFixture;

  beforeAll(async () => (store = await StoreFixture.open()));
  afterAll(() => store.close());
  beforeEach(() => store.clear());

  const kept = () => store.deliveries().then((rows) => rows.length);

  async function oneDelivery(change: Partial<CommittedEvent> = {}): Promise<void> {
    await store.webhook('spc_1');
    await store.dispatch.accept(await store.instance(), [store.event('spc_1', change)], room());
  }

  it('T-118 days are dropped when they are older than what is kept, with what still waited of them', async () => {
    await oneDelivery();
    const now = Date.now();
    expect(await dropOldDeliveries(store.database, new Date(now + 29 * dayMs), 30 * dayMs)).toMatchObject({
      waitingDeliveries: 0,
    });
    expect(await kept()).toBe(1);
    const report = await dropOldDeliveries(store.database, new Date(now + 32 * dayMs), 30 * dayMs);
    expect(report.waitingDeliveries).toBe(1);
    expect(report.deliveryPartitions).toBeGreaterThanOrEqual(3);
    expect(await kept()).toBe(0);
  });

  it('T-118 only days are dropped, whatever else the catalog names, in whatever order Postgres asks', async () => {
    await oneDelivery();
    // Partitions of another table whose names look like days, one of them a day that there is not.
    await store.database.acrossSpaces('a test').query({
      name: 'test.other',
      text: `do $$ begin create table webhooks.other (id int) partition by list (id);
             create table webhooks.other_19700101 partition of webhooks.other for values in (1);
             create table webhooks.other_99999999 partition of webhooks.other for values in (2); end $$`,
    });
    const dropped = await dropOldDeliveries(store.database, new Date(Date.now() + 32 * dayMs), 30 * dayMs);
    expect(dropped.deliveryPartitions).toBeGreaterThanOrEqual(3);
    expect(await kept()).toBe(0);
    const [left] = await store.database.acrossSpaces('a test').query<{ count: string }>({
      name: 'test.left',
      text: `select count(*) from pg_inherits where inhparent = 'webhooks.other'::regclass`,
    });
    expect(left?.count).toBe('2');
  });

  it('T-118 a day that somebody is reading is dropped when they have finished', async () => {
    await oneDelivery();
    let read = () => {};
    const reading = store.database.transaction('somebody looks at deliveries', async (tx) => {
      await tx.acrossSpaces('a test').query({ name: 'test.read', text: 'select count(*) from webhooks.delivery' });
      await new Promise<void>((resolve) => (read = resolve));
    });
    const dropping = dropOldDeliveries(store.database, new Date(Date.now() + 32 * dayMs), 30 * dayMs);
    // Longer than one try waits for the lock.
    await new Promise((resolve) => setTimeout(resolve, 2_500));
    read();
    await reading;
    expect((await dropping).deliveryPartitions).toBeGreaterThanOrEqual(3);
    expect(await kept()).toBe(0);
  });
});
