import { Client } from 'pg';
import type { SpaceStatus } from '@keyturn/contracts';
import { rowsOfSpace } from '@keyturn/testing';
import { EndpointHealth } from './endpoint-health';
import type { NewReplay } from './replay-store';
import { putSpace } from './space-life';
import { purgeEndedSpaces } from './space-purge';
import { result, room, StoreFixture } from './store.fixture';

const day = 86_400_000;

describe('the life of a Space', () => {
  let store: StoreFixture;
  let sql: Client;
  let instance: string;
  beforeAll(async () => {
    store = await StoreFixture.open();
    sql = new Client({ connectionString: store.url });
    await sql.connect();
  });
  beforeEach(async () => {
    await store.clear();
    instance = await store.instance();
  });
  afterAll(async () => {
    await sql?.end();
    await store?.close();
  });

  const put = (status: SpaceStatus, spaceId = 'spc_1') => putSpace(store.database, spaceId, status);
  const number = (webhook: { id: string }) => webhook.id.slice('wh_'.length);
  const accept = (count: number, spaceId = 'spc_1', places = 100) =>
    store.dispatch.accept(instance, store.events(spaceId, count), room(places));
  const claim = () => store.dispatch.claim(instance, room(1_000));
  const statuses = async () => (await store.deliveries()).map(({ status, state }) => `${status} ${state ?? '–'}`);
  const replay = (change: Partial<NewReplay> = {}): NewReplay => ({
    since: '2020-01-01T00:00:00.000Z',
    until: '2100-01-01T00:00:00.000Z',
    events: null,
    selection: 'all',
    ratePerSecond: null,
    url: null,
    dryRun: false,
    ...change,
  });

  describe('suspended', () => {
    it('nothing is handed out, neither new nor due; then everything in its order, with no attempt counted', async () => {
      const webhook = await store.webhook('spc_1');
      await store.webhook('spc_2');
      const [early] = (await accept(1)).leased;
      await store.dispatch.record(instance, [result(early?.id ?? '', { kind: 'retry', inMs: 60_000 })]);
      expect(await put('suspended')).toEqual([number(webhook)]);
      await store.passTime();

      expect(await accept(3)).toMatchObject({ leased: [], waiting: 3 });
      expect(await claim()).toEqual([]);
      expect(await store.dispatch.nextDueInMs()).toBeNull();
      expect(await store.dispatch.figures()).toEqual({
        due: 0,
        oldestDueSeconds: 0,
        endpoints: { active: 1, suspended: 1 },
      });
      expect((await store.dispatch.endpoints([number(webhook)]))[0]?.state).toBe('suspended');
      expect((await store.webhooks.get('spc_1', webhook.id))?.status).toBe('active');
      expect((await accept(1, 'spc_2')).leased).toHaveLength(1);

      await put('active');
      expect((await store.dispatch.endpoints([number(webhook)]))[0]?.state).toBe('active');
      const claimed = await claim();
      expect(claimed.map(({ sequence, attempts, reason }) => [sequence, attempts, reason])).toEqual([
        [2, 0, 'first'],
        [3, 0, 'first'],
        [4, 0, 'first'],
        [1, 1, 'retry'],
      ]);
      // Whoever keeps settings by their revision reads them again.
      expect(claimed[0]?.revision).toBe(3);
    });

    it('what a dispatcher has waits as it was when it comes back; what was on the wire counts', async () => {
      await store.webhook('spc_1');
      const { leased } = await accept(3);
      await put('suspended');
      const [sent, failed, back] = leased.map(({ id }) => id) as [string, string, string];
      await store.dispatch.record(instance, [result(sent), result(failed, { kind: 'retry', inMs: 60_000 })]);
      await store.dispatch.release(instance, [back]);
      expect(await statuses()).toEqual(['success –', 'retrying scheduled', 'pending ready']);
      expect((await store.deliveries()).map(({ attempts }) => attempts)).toEqual([1, 1, 0]);
      expect(await claim()).toEqual([]);
      await put('active');
      expect((await claim()).map(({ id }) => id)).toEqual([back]);
    });

    it('an endpoint that was disabled is not probed, and its owner’s pause outlives the suspension', async () => {
      const [disabled, paused] = [await store.webhook('spc_1'), await store.webhook('spc_1')];
      await accept(1, 'spc_1', 0);
      await sql.query(`update webhooks.endpoint set disabled_reason = 'no_success' where id = $1`, [number(disabled)]);
      await sql.query(`update webhooks.endpoint_state set probe_at = now() where endpoint_id = $1`, [number(disabled)]);
      await store.webhooks.setPaused('spc_1', paused.id, true);
      await put('suspended');
      expect([await claim(), await store.dispatch.nextDueInMs()]).toEqual([[], null]);
      await put('active');
      expect((await claim()).map(({ webhookId, reason }) => [webhookId, reason])).toEqual([
        [number(disabled), 'probe'],
      ]);
    });

    it('its time is nobody’s silence: who failed before is judged by what comes after', async () => {
      const webhook = await store.webhook('spc_1');
      const health = new EndpointHealth(store.database, {
        thresholds: { withoutSuccessMs: 5 * day, failurePercent: 95, minAttempts: 100 },
        probeIntervalMs: 60_000,
        maxAttempts: 9,
      });
      await sql.query(`update webhooks.endpoint_state set failing_since = now() - interval '11 days'`);
      await put('suspended');
      await sql.query(`update webhooks.space set suspended_at = now() - interval '10 days'`);
      expect(await health.judge()).toEqual([]);
      await put('active');
      expect(await health.judge()).toEqual([]);
      const { rows } = await sql.query<{ hours: number }>(
        `select round(extract(epoch from now() - failing_since) / 3600)::int as hours from webhooks.endpoint_state`,
      );
      expect(rows).toEqual([{ hours: 24 }]);
      expect((await store.webhooks.get('spc_1', webhook.id))?.status).toBe('active');
    });

    it('what is made meanwhile waits too: webhooks, and the other URLs of replays; a test is refused', async () => {
      await put('suspended');
      const webhook = await store.webhook('spc_1');
      await store.replays.create('spc_1', webhook.id, replay({ url: 'https://example.com/other' }));
      const { rows } = await sql.query(`select suspended from webhooks.endpoint`);
      expect(rows).toEqual([{ suspended: true }, { suspended: true }]);
      await expect(store.webhooks.takeTest('spc_1', 10)).rejects.toMatchObject({ code: 'CONFLICT' });
      expect(await accept(1)).toMatchObject({ leased: [], waiting: 1 });
      await put('active');
      await store.webhooks.takeTest('spc_1', 10);
      expect(await claim()).toHaveLength(1);
    });

    it('an endpoint that is made in the same moment is not forgotten', async () => {
      await Promise.all([
        ...Array.from({ length: 8 }, () => store.webhook('spc_1')),
        put('suspended'),
        ...Array.from({ length: 8 }, () => store.webhook('spc_1')),
      ]);
      const { rows } = await sql.query(`select count(*)::int as open from webhooks.endpoint where not suspended`);
      expect(rows).toEqual([{ open: 0 }]);
    });
  });

  describe('deleted', () => {
    it('what waits is cancelled, what was sent stays sent, and no secret is left; nothing comes back', async () => {
      const webhook = await store.webhook('spc_1', { signatureScheme: 'v1a', headers: { 'x-token': 'secret' } });
      const other = await store.webhook('spc_2');
      await accept(1, 'spc_2', 0);
      const { leased } = await accept(5, 'spc_1', 4);
      const [sent, retried, back, failing] = leased.map(({ id }) => id) as [string, string, string, string];
      await store.dispatch.record(instance, [result(sent), result(retried, { kind: 'retry', inMs: 60_000 })]);
      await store.deliveryStore.resend('spc_1', webhook.id, `dlv_${sent}`);
      const job = await store.replays.create('spc_1', webhook.id, replay({ url: 'https://example.com/other' }));
      await sql.query(
        `insert into webhooks.idempotency (space_id, key, request_hash, reply_enc) values (1, 'key', '\\x00', '\\x00')`,
      );

      expect(await put('deleted')).toHaveLength(2);
      await store.dispatch.release(instance, [back]);
      await store.dispatch.record(instance, [result(failing, { kind: 'retry', inMs: 60_000 })]);
      expect(await statuses()).toEqual([
        'pending ready',
        'success –',
        ...['cancelled –', 'cancelled –', 'cancelled –', 'cancelled –'],
      ]);
      const { rows } = await sql.query(
        `select count(*)::int as endpoints,
                count(coalesce(secret_enc, previous_secret_enc, headers_enc, signature_key_enc, previous_signature_key_enc))::int as secrets
         from webhooks.endpoint where space_id = 1`,
      );
      expect(rows).toEqual([{ endpoints: 2, secrets: 0 }]);
      expect(await rowsOfSpace(sql, '1')).not.toHaveProperty('webhooks.idempotency');
      expect((await store.replays.get('spc_1', webhook.id, job.id))?.status).toBe('cancelled');
      expect(await store.replays.take(10)).toEqual([]);
      expect(await store.webhooks.get('spc_1', webhook.id)).toBeUndefined();
      expect(await accept(1)).toMatchObject({ leased: [], waiting: 0 });

      await put('deleted');
      for (const status of ['active', 'suspended'] as const)
        await expect(put(status)).rejects.toMatchObject({ code: 'CONFLICT' });
      await expect(store.webhook('spc_1')).rejects.toMatchObject({ code: 'CONFLICT' });
      await expect(store.webhooks.takeTest('spc_1', 10)).rejects.toMatchObject({ code: 'CONFLICT' });
      expect((await claim()).map(({ webhookId }) => webhookId)).toEqual([number(other)]);
    });

    it('however much waits', async () => {
      await store.webhook('spc_1');
      await accept(2_500, 'spc_1', 0);
      await put('suspended');
      await put('deleted');
      expect(new Set(await statuses())).toEqual(new Set(['cancelled –']));
    });
  });

  describe('purged', () => {
    const purge = (days = 8, until = performance.now() + 20_000) =>
      purgeEndedSpaces(store.database, new Date(Date.now() + (days - 7) * day), until);

    async function fill(spaceId: string): Promise<void> {
      const webhook = await store.webhook(spaceId, { ordering: 'record' });
      await store.webhook(spaceId);
      const { leased } = await accept(4, spaceId);
      await store.dispatch.record(
        instance,
        leased.map(({ id }) => result(id)),
      );
      await store.replays.create(spaceId, webhook.id, replay({ url: 'https://example.com/other' }));
      await sql.query(`insert into webhooks.erasure (space_id, resource, record_id, up_to) values ($1, 'file', 7, 1)`, [
        spaceId.slice('spc_'.length),
      ]);
      await sql.query(
        `insert into webhooks.idempotency (space_id, key, request_hash, reply_enc) values ($1, 'key', '\\x00', '\\x00')`,
        [spaceId.slice('spc_'.length)],
      );
    }
    /** Tables that name an endpoint and no Space. */
    const ofEndpoints = async () => {
      const counts: Record<string, number> = {};
      for (const table of ['endpoint_state', 'endpoint_day', 'endpoint_hour', 'endpoint_version']) {
        const { rows } = await sql.query<{ count: number }>(
          `select count(*)::int as count from webhooks.${table} t
           where not exists (select from webhooks.endpoint e where e.id = t.endpoint_id)`,
        );
        counts[table] = rows[0]?.count ?? 0;
      }
      return counts;
    };
    const none = { endpoint_state: 0, endpoint_day: 0, endpoint_hour: 0, endpoint_version: 0 };

    it('after its time nothing of it is left in any table, and the others have everything', async () => {
      await fill('spc_1');
      await fill('spc_2');
      await put('suspended', 'spc_2');
      await put('deleted');
      // The kept reply goes at once.
      const before = await rowsOfSpace(sql, '1');
      expect(Object.keys(before).sort()).toEqual(
        [
          ...[
            'accepted',
            'attempt',
            'delivery',
            'endpoint',
            'endpoint_version',
            'erasure',
            'message',
            'replay',
            'space',
          ],
        ].map((table) => `webhooks.${table}`),
      );
      const others = await rowsOfSpace(sql, '2');
      expect(await purge(6)).toEqual({ spaces: [], rows: 0, left: 0 });
      expect(await rowsOfSpace(sql, '1')).toEqual(before);
      expect(await purge()).toMatchObject({ spaces: ['spc_1'], left: 0 });
      expect(await rowsOfSpace(sql, '1')).toEqual({});
      expect(await rowsOfSpace(sql, '2')).toEqual(others);
      expect(await ofEndpoints()).toEqual(none);
      // An event of its that comes late is owed to nobody.
      expect(await accept(1)).toMatchObject({ leased: [], waiting: 0 });
      expect(await rowsOfSpace(sql, '1')).toEqual({});
    });

    it('in batches, on from where a run broke off, and not while a dispatcher has something of it', async () => {
      await store.webhook('spc_1');
      await accept(1_300, 'spc_1', 0);
      const [held] = (await claim()).map(({ id }) => id);
      await put('deleted');
      expect(await purge(8, performance.now())).toEqual({ spaces: [], rows: 0, left: 1 });
      expect(await purge()).toMatchObject({ spaces: [], left: 1 });
      expect(held).toBeDefined();
      await store.dispatch.retire(instance);
      expect(await purge()).toMatchObject({ spaces: ['spc_1'], left: 0 });
      expect(await rowsOfSpace(sql, '1')).toEqual({});
      expect(await ofEndpoints()).toEqual(none);
    });
  });
});
