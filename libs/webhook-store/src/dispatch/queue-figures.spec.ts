import { result, room, StoreFixture } from '../store.fixture';
import { mostCountedOfEndpoint } from './queue-figures';

/** What a dispatcher that is full takes in: nothing is leased to it. */
const noRoom = room(0);

describe('what waits for dispatchers', () => {
  let store: StoreFixture;
  beforeAll(async () => {
    store = await StoreFixture.open();
  });
  beforeEach(() => store.clear());
  afterAll(() => store.close());

  const number = (webhook: { id: string }) => webhook.id.slice('wh_'.length);
  const accept = async (count: number, given = noRoom) =>
    store.dispatch.accept(await store.instance(), store.events('spc_1', count), given);
  let said = 0;
  const say = (text: string, values: readonly unknown[] = []) =>
    store.database
      .acrossSpaces('a test says how it is')
      .query({ name: `test.figures.${String(++said)}`, text }, values);
  const aMinutePasses = () => say(`update webhooks.queue set due_at = due_at - interval '1 minute'`);
  const endpointIs = async (webhook: { id: string }, change: string) => {
    await say(`insert into webhooks.endpoint_state (endpoint_id) values ($1) on conflict do nothing`, [
      number(webhook),
    ]);
    await say(`update webhooks.endpoint_state set ${change} where endpoint_id = $1`, [number(webhook)]);
  };
  const figures = async () => {
    const { due, oldestDueSeconds } = await store.dispatch.figures();
    return { due, minutes: Math.round(oldestDueSeconds / 60) };
  };

  it('is nothing where there is nothing', async () => {
    expect(await store.dispatch.figures()).toEqual({ due: 0, oldestDueSeconds: 0, endpoints: {} });
  });

  it('is what is due and with nobody, and how long the oldest of it has been', async () => {
    await store.webhook('spc_1');
    await accept(3);
    await aMinutePasses();
    await accept(2);
    expect(await figures()).toEqual({ due: 5, minutes: 1 });
  });

  it('is a retry too, as soon as it has fallen due', async () => {
    const mine = await store.webhook('spc_1');
    const instance = await store.instance();
    const { leased } = await store.dispatch.accept(instance, [store.event('spc_1')], room());
    await store.dispatch.record(instance, [result(leased[0]?.id ?? '', { kind: 'retry', inMs: 3_600_000 })]);
    await endpointIs(mine, 'failing_since = null');
    expect(await figures()).toEqual({ due: 0, minutes: 0 });
    await store.passTime();
    expect((await figures()).due).toBe(1);
  });

  it('has no age where a dispatcher is at it: the rest goes at the pace of its receiver', async () => {
    await store.webhook('spc_1');
    await accept(5, room(1));
    await aMinutePasses();
    expect(await figures()).toEqual({ due: 4, minutes: 0 });
  });

  it.each([
    ['has asked for quiet', `hold_until = now() + interval '1 hour'`],
    ['fails', `failing_since = now()`],
  ])('is nothing of an endpoint that %s', async (_, change) => {
    const mine = await store.webhook('spc_1');
    await accept(3);
    await endpointIs(mine, change);
    await aMinutePasses();
    expect(await figures()).toEqual({ due: 0, minutes: 0 });
  });

  it('is nothing of an endpoint that has had what its rate allows', async () => {
    const mine = await store.webhook('spc_1', { rateLimit: 1 });
    await accept(3);
    await aMinutePasses();
    expect(await figures()).toEqual({ due: 3, minutes: 1 });
    await endpointIs(mine, `next_send_at = now() + interval '1 hour'`);
    expect(await figures()).toEqual({ due: 0, minutes: 0 });
  });

  it('is nothing of an endpoint that its owner has paused', async () => {
    const mine = await store.webhook('spc_1');
    await accept(3);
    await store.webhooks.setPaused('spc_1', mine.id, true);
    expect((await figures()).due).toBe(0);
  });

  it('is of one endpoint no more than one receiver can make use of', async () => {
    await Promise.all([store.webhook('spc_1'), store.webhook('spc_1')]);
    await accept(1);
    await say(
      `insert into webhooks.queue (delivery_id, day, endpoint_id, space_id, message_id, resource, record_id, thin, state, due_at, reason)
       select 1000000 + n, day, endpoint_id, space_id, message_id, resource, record_id, thin, state, due_at, reason
       from (select * from webhooks.queue order by delivery_id limit 1) one, generate_series(1, $1::int) n`,
      [mostCountedOfEndpoint * 2],
    );
    expect((await figures()).due).toBe(mostCountedOfEndpoint + 1);
  });
});
