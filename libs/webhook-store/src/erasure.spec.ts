import type { CommittedEvent } from '@keyturn/contracts';
import { waitFor } from '@keyturn/testing';
import { WebhookLedger } from './audit-store';
import { acceptErased, eraseRecord } from './erasure';
import { result, room, StoreFixture } from './store.fixture';

const name = 'Jane Doe';

describe('erasing a record', () => {
  let store: StoreFixture;
  beforeAll(async () => {
    store = await StoreFixture.open();
  });
  beforeEach(() => store.clear());
  afterAll(() => store.close());

  const erase = (upTo = store.position('spc_1'), spaceId = 'spc_1') =>
    eraseRecord(store.database, { spaceId, resource: 'file', recordId: 1, upTo });
  const event = (recordId = 1, more: Partial<CommittedEvent> = {}) =>
    store.event('spc_1', { recordId, data: { name }, ...more });
  const statuses = async () => (await store.deliveries()).map(({ status }) => status);

  /** Every row of the schema as text: what a name could stand in. */
  async function everything(): Promise<string> {
    const texts = ['message', 'delivery', 'attempt', 'queue', 'erasure'].map(async (table) => {
      const text = table === 'message' ? `convert_from(payload, 'UTF8') || r::text` : 'r::text';
      const rows = await store.database.acrossSpaces('a test looks at everything').query<{ text: string }>({
        name: `test.all_${table}`,
        text: `select ${text} as text from webhooks.${table} r`,
      });
      return rows.map((row) => row.text).join('\n');
    });
    return (await Promise.all(texts)).join('\n');
  }

  it('its payloads become ids only, what was answered goes, what waits is cancelled; others stay', async () => {
    const webhook = await store.webhook('spc_1');
    const instance = await store.instance();
    const events = [event(), event(), event(2)];
    const [sent] = events;
    const { leased } = await store.dispatch.accept(instance, events, room());
    await store.dispatch.record(
      instance,
      leased
        .filter((_, at) => at !== 1)
        .map(({ id }) => result(id, { kind: 'delivered' }, { body: `thanks for ${name}` })),
    );
    await store.dispatch.release(instance, [leased[1]?.id ?? '']);
    expect(await erase(3, 'spc_2')).toMatchObject({ messages: 0 });
    expect(await erase()).toEqual({ messages: 2, cancelled: 1, attempts: 1, inHands: [] });

    const shown = (at: number) =>
      store.deliveryStore.getWithAttempts('spc_1', webhook.id, `dlv_${leased[at]?.id ?? ''}`);
    const erased = await shown(0);
    expect(JSON.stringify(erased)).not.toContain('Jane');
    expect(erased).toMatchObject({
      status: 'success',
      payload: { event: 'file.updated', data: { id: 1 }, timestamp: sent?.time },
      attemptLog: [{ responseBody: null, responseHeaders: null }],
    });
    expect(await shown(1)).toMatchObject({ status: 'cancelled', payload: { data: { id: 1 } } });
    expect(await shown(2)).toMatchObject({ responseBody: `thanks for ${name}`, payload: { data: { name } } });
    await expect(store.deliveryStore.resend('spc_1', webhook.id, `dlv_${leased[0]?.id ?? ''}`)).rejects.toMatchObject({
      code: 'CONFLICT',
    });
    expect(await erase()).toEqual({ messages: 0, cancelled: 0, attempts: 0, inHands: [] });
  });

  it('what is in a dispatcher’s hands ends with its attempt, given back or with its dispatcher, and leaves no answer', async () => {
    await store.webhook('spc_1');
    const [instance, dead] = await Promise.all([store.instance(), store.instance()]);
    const events = Array.from({ length: 4 }, () => event());
    const { leased } = await store.dispatch.accept(instance, events, room());
    const [lost] = (await store.dispatch.accept(dead, [event()], room())).leased;
    expect(await erase()).toMatchObject({ messages: 5, cancelled: 0, inHands: ['1'] });
    expect(await store.dispatch.erasedInHands(instance)).toEqual(['1']);

    const answer = { body: `${name} is unknown here`, headers: `{"x":"${name}"}` };
    await store.dispatch.record(instance, [
      result(leased[0]?.id ?? '', { kind: 'delivered' }, answer),
      result(leased[1]?.id ?? '', { kind: 'retry', inMs: 1 }, answer),
      result(leased[2]?.id ?? '', { kind: 'failed' }, answer),
    ]);
    await store.dispatch.release(instance, [leased[3]?.id ?? '']);
    await store.dispatch.retire(dead);
    expect(await store.dispatch.claim(instance, room())).toEqual([]);
    await store.dispatch.reap();
    expect(await statuses()).toEqual(['success', 'cancelled', 'failed', 'cancelled', 'cancelled']);
    // Its dispatcher was only slow: the attempt is kept, and what was answered is not.
    await store.dispatch.record(dead, [result(lost?.id ?? '', { kind: 'delivered' }, answer)]);
    expect(await everything()).not.toContain('Jane');
    expect(await store.dispatch.leasedTo(instance)).toEqual([]);
  });

  it('what comes in late, from the stream or by a replay, brings nothing back; a later event goes as ever', async () => {
    const webhook = await store.webhook('spc_1');
    const instance = await store.instance();
    const late = event();
    await erase();
    expect((await store.dispatch.accept(instance, [late], room())).leased).toEqual([]);
    expect(await statuses()).toEqual(['cancelled']);
    const replay = await store.replays.create('spc_1', webhook.id, {
      since: new Date(Date.now() - 60_000).toISOString(),
      until: new Date(Date.now() + 60_000).toISOString(),
      events: null,
      selection: 'all',
      ratePerSecond: null,
      url: null,
      dryRun: false,
    });
    const [job] = await store.replays.take(1);
    await store.replays.step(job as NonNullable<typeof job>, {
      events: [{ ...late, changed: [], traceparent: null, position: 1, bytes: late.payload.length }],
      last: late.sequence,
      more: false,
    });
    expect(await store.replays.get('spc_1', webhook.id, replay.id)).toMatchObject({ matched: 0 });
    expect(await everything()).not.toContain('Jane');

    const [later] = (await store.dispatch.accept(instance, [event()], room())).leased;
    await store.dispatch.record(instance, [result(later?.id ?? '')]);
    expect(await statuses()).toEqual(['cancelled', 'success']);
  });

  it('subscribers are told by a deletion that carries the id alone, also when the erasure is repeated', async () => {
    await store.webhook('spc_1', { events: ['file.*'] });
    const instance = await store.instance();
    const bare = { event: 'file.deleted', data: undefined };
    const told = store.event('spc_1', { recordId: 1, ...bare });
    await erase(told.sequence);
    const { leased } = await store.dispatch.accept(instance, [told], room());
    expect(leased).toHaveLength(1);
    expect(await erase(told.sequence)).toEqual({ messages: 0, cancelled: 0, attempts: 0, inHands: [] });
    await store.dispatch.record(
      instance,
      leased.map(({ id }) => result(id)),
    );
    expect(await statuses()).toEqual(['success']);
  });

  it('a dispatcher that is writing at that moment is waited for, and one behind it knows', async () => {
    await store.webhook('spc_1');
    const instance = await store.instance();
    const [first, second] = [event(), event()];
    let erasure: Promise<unknown> = Promise.resolve();
    let behind: Promise<unknown> = Promise.resolve();
    await store.database.transaction('a slow writer', async (tx) => {
      await tx.acrossSpaces('a test writes').query(
        {
          name: 'test.slow_writer',
          text: `insert into webhooks.message (day, id, space_id, sequence, event, resource, record_id, time, committed_at, changed, payload)
               values ((now() at time zone 'utc')::date, $1, 1, $2, 'file.updated', 'file', 1, now(), now(), '{}', $3)`,
        },
        [first.id, first.sequence, Buffer.from(first.payload)],
      );
      erasure = erase();
      await waitFor('the erasure to wait', () => waiting(1));
      behind = store.dispatch.accept(instance, [second], room());
      await waitFor('the other dispatcher to wait', () => waiting(2));
    });
    await Promise.all([erasure, behind]);
    expect(await statuses()).toEqual(['cancelled']);
    expect(await everything()).not.toContain('Jane');

    async function waiting(count: number): Promise<boolean> {
      const [row] = await store.database.acrossSpaces('a test looks on').query<{ count: string }>({
        name: 'test.waiting_for_locks',
        text: `select count(*) from pg_locks where not granted and relation = 'webhooks.message'::regclass`,
      });
      return Number(row?.count) >= count;
    }
  });

  it('an event that goes from the stream before a dispatcher had it leaves no gap: what is ordered behind it goes', async () => {
    await store.webhook('spc_1', {
      ordering: 'record',
      filter: { file: [{ field: 'name', operator: 'eq', value: name }] },
    });
    const instance = await store.instance();
    const [before, erased, behind] = [event(2), event(), event(2)];
    await store.dispatch.accept(instance, [before], room());
    const [head] = await store.dispatch.claim(instance, room());
    await store.dispatch.record(instance, [result(head?.id ?? '')]);
    await store.dispatch.accept(instance, [behind], room());
    expect(await store.dispatch.claim(instance, room())).toEqual([]);

    await erase();
    await acceptErased(store.database, [erased], 9);
    expect((await store.dispatch.claim(instance, room())).map(({ messageId }) => messageId)).toEqual([behind.id]);
    expect((await statuses()).sort()).toEqual(['cancelled', 'pending', 'success']);
    expect(await everything()).toContain('Jane');
    await eraseRecord(store.database, { spaceId: 'spc_1', resource: 'file', recordId: 2, upTo: behind.sequence });
    expect(await everything()).not.toContain('Jane');
  });

  it('the balance holds: a filter cannot ask any more what an erased event said, so the delivery tells', async () => {
    await store.webhook('spc_1', { name: 'Named', filter: { file: [{ field: 'name', operator: 'eq', value: name }] } });
    await store.webhook('spc_1', {
      name: 'Nameless',
      filter: { file: [{ field: 'name', operator: 'null', value: true }] },
    });
    const instance = await store.instance();
    const sent = event();
    const { leased } = await store.dispatch.accept(instance, [sent], room());
    await store.dispatch.record(
      instance,
      leased.map(({ id }) => result(id)),
    );
    await erase();
    const payload = Buffer.from(`{"event":"file.updated","data":{"id":1},"timestamp":"${sent.time}"}`);
    const ledger = await WebhookLedger.open(store.database, 'spc_1', Number.MAX_SAFE_INTEGER);
    await ledger.add({
      events: [{ ...sent, payload, changed: [], traceparent: null, position: 1, bytes: payload.length }],
      last: 1,
      more: false,
    });
    expect(ledger.balanced).toBe(true);
    expect(ledger.webhooks).toMatchObject([
      { owed: 1, delivered: 1 },
      { owed: 0, missing: 0 },
    ]);
  });
});
