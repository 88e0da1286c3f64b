import { waitFor } from '@keyturn/testing';
import { DispatcherFixture } from '../testing/dispatcher.fixture';
import { createHmac, createPublicKey, verify } from 'node:crypto';
import type { ServerResponse } from 'node:http';
import type { CommittedEvent } from '@keyturn/contracts';
import { EndpointHealth, newSigningSecret, PostgresDispatchStore, putSpace, SecretBox } from '@keyturn/webhook-store';
import { Webhook } from 'standardwebhooks';
import { Webhook as SvixWebhook } from 'svix';
import { FarAway } from '../testing/far-away';
import { HttpReceiver, RawReceiver, type ReceivedRequest } from '../testing/receiver';
import { ConcurrencyLimit } from './concurrency';

describe('deliveries', () => {
  let system: DispatcherFixture;
  const receivers: HttpReceiver[] = [];
  const receiver = async (...given: Parameters<typeof HttpReceiver.start>) => {
    const started = await HttpReceiver.start(...given);
    receivers.push(started);
    return started;
  };

  beforeEach(async () => {
    system = await DispatcherFixture.open({ WEBHOOK_RETRY_SCHEDULE: '50ms,50ms,50ms', WEBHOOK_TIMEOUT: '500ms' });
  });
  afterEach(async () => {
    await system.close();
    for (const each of receivers.splice(0)) await each.close();
  });

  it('T-107 T-111 go to the subscribers of the Space, with their headers', async () => {
    const mine = await receiver();
    const foreign = await receiver();
    await system.webhook(mine.url);
    await system.webhook(foreign.url, {}, 'spc_2');
    system.dispatcher();
    const event = system.event({ traceparent: '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01' });
    await system.publish(event, system.event({ event: 'file.deleted' }));
    await waitFor('the delivery', () => mine.requests.length === 1);
    const [request] = mine.requests;
    expect(request?.body).toEqual(Buffer.from(event.payload));
    expect(request?.headers).toMatchObject({
      'content-type': 'application/json',
      'content-length': String(event.payload.length),
      'user-agent': 'Keyturn-Webhooks/1',
      'x-webhook-event': 'file.created',
      'x-webhook-id': event.id,
      'x-webhook-attempt': '1',
      'webhook-id': event.id,
      traceparent: expect.stringMatching(
        /^00-4bf92f3577b34da6a3ce929d0e0e4736-(?!00f067aa0ba902b7)[0-9a-f]{16}-01$/,
      ) as string,
    });
    await waitFor('the record', async () => (await system.deliveries())[0]?.status === 'success');
    expect(foreign.requests).toEqual([]);
    expect(await system.deliveries()).toMatchObject([{ status: 'success', attempts: 1, code: 200, state: null }]);
  });

  it('T-112 X3 are retried on the schedule with the same id and bytes, each attempt with its own time', async () => {
    let answers = 0;
    const flaky = await receiver((_request, response) => response.writeHead(++answers < 3 ? 500 : 204).end());
    await system.webhook(flaky.url);
    system.dispatcher();
    const event = system.event();
    await system.publish(event);
    await waitFor('the success', async () => (await system.deliveries())[0]?.status === 'success');
    expect(flaky.requests.map(({ headers }) => [headers['webhook-id'], headers['x-webhook-attempt']])).toEqual([
      [event.id, '1'],
      [event.id, '2'],
      [event.id, '3'],
    ]);
    for (const { body } of flaky.requests) expect(body).toEqual(Buffer.from(event.payload));
    const gaps = flaky.requests.map(({ at }, index) => at - (flaky.requests[index - 1]?.at ?? at)).slice(1);
    for (const gap of gaps) expect(gap).toBeGreaterThanOrEqual(49);
    expect(await system.attempts()).toMatchObject([
      { number: 1, reason: 'first', code: 500, fault: 'status', error: 'the receiver answered 500' },
      { number: 2, reason: 'retry', code: 500 },
      { number: 3, reason: 'retry', code: 204, fault: null, error: null },
    ]);
  });

  it('X3 fail when the schedule is used up', async () => {
    const broken = await receiver((_request, response) => response.writeHead(500).end('no'));
    await system.webhook(broken.url);
    system.dispatcher();
    await system.publish(system.event());
    await waitFor('the failure', async () => (await system.deliveries())[0]?.status === 'failed');
    expect(broken.requests).toHaveLength(4);
    expect(await system.deliveries()).toMatchObject([{ attempts: 4, code: 500, state: null }]);
  });

  it('T-112 a connection fault is repeated once at once, which does not count', async () => {
    const gone = await receiver();
    const { url, port } = gone;
    await gone.close();
    await system.webhook(url, { retryScheduleMs: [300] });
    system.dispatcher();
    await system.publish(system.event());
    await waitFor('two attempts', async () => (await system.attempts()).length === 2);
    const back = await receiver(undefined, { port });
    await waitFor('the success', async () => (await system.deliveries())[0]?.status === 'success');
    expect(await system.attempts()).toMatchObject([
      { number: 1, reason: 'first', fault: 'refused' },
      { number: 1, reason: 'repeat', fault: 'refused' },
      { number: 2, reason: 'retry', fault: null },
    ]);
    expect(back.requests[0]?.headers['x-webhook-attempt']).toBe('2');
    expect(await system.deliveries()).toMatchObject([{ attempts: 2, status: 'success' }]);
  });

  it('T-112 410 ends the delivery and turns the endpoint off; what waits is cancelled', async () => {
    const done = await receiver((request, response) =>
      response.writeHead(request.headers['x-webhook-event'] === 'file.updated' ? 410 : 500).end(),
    );
    const webhook = await system.webhook(done.url, { retryScheduleMs: [60_000] });
    system.dispatcher();
    await system.publish(...system.events(3));
    await waitFor('the failures', async () =>
      (await system.deliveries()).every(({ status, state }) => status === 'retrying' && state === 'scheduled'),
    );
    await system.publish(system.event({ event: 'file.updated' }));
    await waitFor(
      'the end',
      async () =>
        (await system.deliveries()).map(({ status }) => status).join() === 'cancelled,cancelled,cancelled,failed',
    );
    expect(await system.webhooks.get('spc_1', webhook.id)).toMatchObject({ isActive: false, disabledReason: 'gone' });
    await system.publish(system.event());
    const other = await receiver();
    await system.webhook(other.url);
    await system.publish(system.event());
    await waitFor('an event behind it', () => other.requests.length === 1);
    expect(done.requests).toHaveLength(4);
  });

  it('T-112 Retry-After replaces the next offset only', async () => {
    let answers = 0;
    const busy = await receiver((_request, response) =>
      ++answers === 1
        ? response.writeHead(429, { 'retry-after': '1' }).end()
        : response.writeHead(answers < 3 ? 500 : 200).end(),
    );
    await system.webhook(busy.url);
    system.dispatcher();
    await system.publish(system.event());
    await waitFor('the success', async () => (await system.deliveries())[0]?.status === 'success');
    const [first, second, third] = busy.requests.map(({ at }) => at) as [number, number, number];
    expect(second - first).toBeGreaterThanOrEqual(1_000);
    expect(second - first).toBeLessThan(1_800);
    expect(third - second).toBeLessThan(800);
  });

  it('T-089 T-090 stop with the endpoint, and begin again for new events only', async () => {
    const broken = await receiver((_request, response) => response.writeHead(500).end());
    const webhook = await system.webhook(broken.url, { retryScheduleMs: [200, 200, 200, 200, 200] });
    system.dispatcher();
    await system.publish(system.event());
    await waitFor('the first attempt', async () => (await system.deliveries())[0]?.state === 'scheduled');
    await system.change(webhook.id, { isActive: false });
    const missed = system.event();
    await system.publish(missed);
    await system.change(webhook.id, { isActive: true });
    const wanted = system.event();
    await system.publish(wanted);
    await waitFor('the new event', () => broken.requests.some(({ headers }) => headers['webhook-id'] === wanted.id));
    expect(broken.requests.some(({ headers }) => headers['webhook-id'] === missed.id)).toBe(false);
    expect((await system.deliveries())[0]).toMatchObject({ status: 'cancelled', attempts: 1 });
  });

  it('T-088 a new URL holds for what is retried', async () => {
    const broken = await receiver((_request, response) => response.writeHead(500).end());
    const mended = await receiver();
    const webhook = await system.webhook(broken.url, { retryScheduleMs: [100, 100, 100, 100] });
    system.dispatcher();
    const event = system.event();
    await system.publish(event);
    await waitFor('the first attempt', () => broken.requests.length > 0);
    await system.change(webhook.id, { url: mended.url });
    await waitFor('the delivery', () => mended.requests.length === 1);
    expect(mended.requests[0]?.headers['webhook-id']).toBe(event.id);
  });

  it('T-091 a test event goes once, whatever the endpoint wants', async () => {
    const broken = await receiver((_request, response) => response.writeHead(503).end('down'));
    const webhook = await system.webhook(broken.url, { events: ['note.created'], isActive: false });
    const dispatcher = system.dispatcher();
    const id = await waitFor('a lease', () => dispatcher.engine.sendTest('spc_1', webhook.id));
    expect(id).toMatch(/^dlv_\d+$/);
    expect(await system.deliveries()).toMatchObject([{ status: 'failed', attempts: 1, code: 503, state: null }]);
    const [request] = broken.requests;
    expect(JSON.parse(request?.body.toString() ?? '')).toEqual({
      event: 'webhook.test',
      data: { webhookId: webhook.id, message: expect.any(String) as string },
      timestamp: expect.stringMatching(/Z$/) as string,
    });
    await expect(dispatcher.engine.sendTest('spc_2', webhook.id)).rejects.toMatchObject({ code: 'NOT_FOUND' });
    await expect(dispatcher.engine.sendTest('spc_1', 'wh_999999')).rejects.toMatchObject({ code: 'NOT_FOUND' });
    expect(broken.requests).toHaveLength(1);
  });

  it('garbage in the stream is dropped and holds nothing up', async () => {
    const mine = await receiver();
    await system.webhook(mine.url);
    const { metrics } = system.dispatcher();
    await system.publishRaw('events.spc_1.file.created', 'not an event');
    await system.publishRaw('events.nonsense', '');
    await system.publish({ ...system.event(), committedAt: 'yesterday' });
    const event = system.event();
    await system.publish(event);
    await waitFor('the event behind it', () => mine.requests.length === 1);
    expect(mine.requests[0]?.headers['webhook-id']).toBe(event.id);
    await waitFor('the count', async () =>
      (await metrics.registry.metrics()).includes('webhook_messages_dropped_total{service="dispatcher"} 3'),
    );
  });

  it('T-114 two dispatchers send each delivery once', async () => {
    const mine = await receiver();
    await system.webhook(mine.url);
    system.dispatcher();
    system.dispatcher();
    await system.publish(...system.events(500));
    await waitFor(
      'all of them',
      async () => (await system.deliveries()).filter(({ status }) => status === 'success').length === 500,
    );
    expect(mine.requests).toHaveLength(500);
    expect(new Set(mine.requests.map(({ headers }) => headers['webhook-id'])).size).toBe(500);
  });

  it('more than memory holds waits in the database', async () => {
    let open = 0;
    let most = 0;
    const slow = await receiver((_request, response) => {
      most = Math.max(most, ++open);
      setTimeout(() => {
        open--;
        response.end();
      }, 2);
    });
    await system.webhook(slow.url);
    system.dispatcher();
    await system.publish(...system.events(2_000));
    await waitFor(
      'all of them',
      async () => (await system.deliveries()).filter(({ status }) => status === 'success').length === 2_000,
      20_000,
    );
    expect(slow.requests.length).toBe(2_000);
    expect(most).toBeGreaterThan(8);
    expect(most).toBeLessThanOrEqual(ConcurrencyLimit.max);
  });

  it('a drained dispatcher ends what is in flight and leaves the rest to another', async () => {
    let answered = 0;
    const slow = await receiver((_request, response) => setTimeout(() => response.end(String(++answered)), 100));
    await system.webhook(slow.url);
    const first = system.dispatcher();
    await system.publish(...system.events(50));
    await waitFor('some in flight', () => slow.requests.length >= 8);
    await first.stop();
    const { length } = slow.requests;
    expect(answered).toBe(length);
    const rows = await system.deliveries();
    expect(rows.filter(({ status }) => status === 'success')).toHaveLength(length);
    expect(rows.filter(({ state }) => state === 'leased')).toEqual([]);
    system.dispatcher();
    await waitFor('the rest', async () => (await system.deliveries()).every(({ status }) => status === 'success'));
    expect(slow.requests).toHaveLength(50);
  });

  it('a dispatcher that drains in a rush of events takes in those that are on their way to it', async () => {
    const mine = await receiver();
    await system.webhook(mine.url);
    // Far enough from NATS that there is always something on the way.
    const far = await FarAway.of(system.nats.url, 50);
    const patient = { WEBHOOK_TIMEOUT: '15s' };
    const ending = system.dispatcher({ NATS_URL: far.url, ...patient });
    const rush = system.publish(...system.events(1_000));
    await waitFor('deliveries under way', () => mine.requests.length > 0);
    await ending.stop();
    far.close();
    await rush;
    system.dispatcher(patient);
    await waitFor('all of them', () => mine.requests.length >= 1_000, 20_000);
    expect(new Set(mine.requests.map(({ headers }) => headers['webhook-id'])).size).toBe(1_000);
    expect(mine.requests).toHaveLength(1_000);
    // Each was handed out once: one that was dropped on its way would have come a second time.
    expect((await system.consumer()).delivered.consumer_seq).toBe(1_000);
  });

  const store = () =>
    new PostgresDispatchStore(system.database, new SecretBox(system.environment['SECRETS_KEY'] ?? ''), {
      maxAttempts: 4,
      probeIntervalMs: 1_000,
    });

  it('T-114 what was leased to it by an answer that got lost is sent within 10 s', async () => {
    const mine = await receiver();
    await system.webhook(mine.url);
    system.dispatcher();
    const instance = await waitFor('its lease', async () => {
      const [row] = await system.database
        .acrossSpaces('a test looks at everything')
        .query<{ id: string }>({ name: 'test.instance', text: 'select id from webhooks.dispatcher' });
      return row?.id;
    });
    const { leased } = await store().accept(instance, system.events(20), {
      total: 100,
      perEndpoint: 100,
      ofEndpoint: new Map(),
    });
    expect(leased).toHaveLength(20);
    await waitFor('all of them', () => mine.requests.length === 20, 10_000);
  });

  it('takes over what a dispatcher that stopped without a word had in hand', async () => {
    const mine = await receiver();
    const webhook = await system.webhook(mine.url);
    const dead = store();
    const instance = await dead.register(300);
    const events = system.events(20);
    const { leased } = await dead.accept(instance, events, { total: 100, perEndpoint: 100, ofEndpoint: new Map() });
    expect(leased).toHaveLength(20);
    system.dispatcher({ WEBHOOK_LEASE: '600ms' });
    await waitFor('all of them', async () => (await system.deliveries()).every(({ status }) => status === 'success'));
    expect(new Set(mine.requests.map(({ headers }) => headers['webhook-id']))).toEqual(
      new Set(events.map(({ id }) => id)),
    );
    // What the dead one still says is kept, and changes nothing.
    const late = {
      number: 1,
      startedAt: new Date(),
      reason: 'first',
      totalMs: 1,
      status: 500,
      faultClass: 'status',
    } as const;
    const nothing = {
      address: null,
      headers: null,
      body: null,
      error: 'late',
      dnsMs: null,
      connectMs: null,
      tlsMs: null,
      firstByteMs: null,
    };
    expect(
      await dead.record(instance, [
        {
          deliveryId: leased[0]?.id ?? '',
          committedAt: Date.now(),
          attempt: { ...late, ...nothing },
          effect: { kind: 'failed' },
        },
      ]),
    ).toEqual([]);
    expect((await system.deliveries())[0]).toMatchObject({ status: 'success', code: 200 });
    expect(webhook.status).toBe('active');
  });
});

describe('what an owner chooses', () => {
  let system: DispatcherFixture;
  const receivers: HttpReceiver[] = [];
  const receiver = async (...given: Parameters<typeof HttpReceiver.start>) => {
    const started = await HttpReceiver.start(...given);
    receivers.push(started);
    return started;
  };
  beforeEach(async () => {
    system = await DispatcherFixture.open({ WEBHOOK_RETRY_SCHEDULE: '50ms,50ms,50ms' });
  });
  afterEach(async () => {
    await system.close();
    for (const each of receivers.splice(0)) await each.close();
  });

  it('paused holds what comes, and resumed it is delivered; that it was late breaks no promise of ours', async () => {
    const mine = await receiver();
    const webhook = await system.webhook(mine.url);
    const { metrics } = system.dispatcher();
    await system.webhooks.setPaused('spc_1', webhook.id, true);
    system.hint(webhook.id);
    const events = system.events(3);
    await system.publish(...events);
    const other = await receiver();
    await system.webhook(other.url);
    await system.publish(system.event());
    await waitFor('an event behind them', () => other.requests.length === 1);
    expect(mine.requests).toEqual([]);
    await system.webhooks.setPaused('spc_1', webhook.id, false);
    system.hint(webhook.id);
    await waitFor('all four', () => mine.requests.length === 4);
    await waitFor('their records', async () => (await system.deliveries()).every(({ status }) => status === 'success'));
    const text = await metrics.registry.metrics();
    expect(text).toContain('webhook_first_attempts_put_off_total{service="dispatcher"} 4');
    expect(text).toContain('webhook_commit_to_first_attempt_seconds_count{service="dispatcher"} 1');
  });

  it('whose Space is suspended gets nothing more, of what a dispatcher holds for it neither; then the rest, once each', async () => {
    const mine = await receiver();
    const webhook = await system.webhook(mine.url, { rateLimit: 1 });
    system.dispatcher();
    await system.publish(...system.events(3));
    await waitFor('the first', () => mine.requests.length > 0);
    const put = async (status: 'active' | 'suspended') => {
      for (const id of await putSpace(system.database, 'spc_1', status)) system.hint(`wh_${id}`);
    };
    await put('suspended');
    const waiting = async () => (await system.deliveries()).filter(({ state }) => state !== null);
    await waitFor('nobody to hold any of it', async () => (await waiting()).every(({ state }) => state === 'ready'));
    const sent = mine.requests.length;
    expect((await waiting()).map(({ status, attempts }) => `${status} ${attempts}`)).toEqual(
      Array.from({ length: 3 - sent }, () => 'pending 0'),
    );
    const other = await receiver();
    await system.webhook(other.url, {}, 'spc_2');
    await system.publish(system.event({}, 'spc_2'));
    await waitFor('another Space', () => other.requests.length === 1);
    expect(mine.requests).toHaveLength(sent);
    await put('active');
    await waitFor('all three', async () => (await system.deliveries()).every(({ status }) => status === 'success'));
    expect(new Set(mine.requests.map(({ headers }) => headers['webhook-id'])).size).toBe(3);
    expect(mine.requests).toHaveLength(3);
    expect(webhook.status).toBe('active');
  });

  it('a rate is held within 5 % over two dispatchers', async () => {
    const mine = await receiver();
    await system.webhook(mine.url, { rateLimit: 40 });
    system.dispatcher();
    system.dispatcher();
    await system.publish(...system.events(200));
    await waitFor('all of them', () => mine.requests.length === 200, 20_000);
    const times = mine.requests.map(({ at }) => at).sort((a, b) => a - b);
    const seconds = ((times.at(-1) ?? 0) - (times[0] ?? 0)) / 1_000;
    const rate = 199 / seconds;
    expect(rate).toBeLessThanOrEqual(40 * 1.05);
    expect(rate).toBeGreaterThanOrEqual(40 * 0.95);
  });

  it('a receiver with a rate that was silent for a while does not get in a burst what was meant for that time', async () => {
    const held: ServerResponse[] = [];
    let silent = true;
    const mine = await receiver((_request, response) => void (silent ? held.push(response) : response.end()));
    await system.webhook(mine.url, { rateLimit: 40 });
    system.dispatcher({ WEBHOOK_TIMEOUT: '1m' });
    system.dispatcher({ WEBHOOK_TIMEOUT: '1m' });
    await system.publish(...system.events(150));
    await waitFor('all that may be under way', () => held.length >= ConcurrencyLimit.start);
    const missed = Date.now() + 2_000;
    await waitFor('moments to pass', () => Date.now() > missed, 10_000);
    silent = false;
    const from = Date.now();
    for (const response of held) response.end();
    await waitFor('all of them', () => mine.requests.length === 150, 20_000);
    const within = mine.requests.filter(({ at }) => at >= from && at < from + 1_000).length;
    // What is late by less than a quarter of a second is made up for, by a twentieth of the rate.
    expect(within).toBeLessThanOrEqual(40 * 1.05 + 10);
    const last = mine.requests.at(-1)?.at ?? 0;
    expect((150 - held.length) / ((last - from) / 1_000)).toBeLessThanOrEqual(40 * 1.1);
  });

  it('what a disabled endpoint missed comes when it answers again: in order, at its rate, however often it was probed', async () => {
    let broken = true;
    const mine = await receiver((_request, response) => response.writeHead(broken ? 500 : 200).end());
    const webhook = await system.webhook(mine.url, { retryScheduleMs: [3_600_000], rateLimit: 20 });
    system.dispatcher();
    system.dispatcher();
    const [first, ...missed] = system.events(8);
    await system.publish(first as CommittedEvent);
    await waitFor('its retry', async () => (await system.deliveries())[0]?.state === 'scheduled');
    const set = (change: string) =>
      system.database
        .acrossSpaces('a test moves time')
        .query({ name: `test.${change}`, text: `update webhooks.endpoint_state set ${change}` });
    await set(`failing_since = now() - interval '6 days'`);
    const day = 24 * 3_600_000;
    const health = new EndpointHealth(system.database, {
      thresholds: { withoutSuccessMs: 5 * day, failurePercent: 95, minAttempts: 100 },
      probeIntervalMs: 300_000,
      maxAttempts: 4,
    });
    await health.judge();
    system.hint(webhook.id);
    await system.publish(...missed);
    await waitFor('the others', async () => (await system.deliveries()).length === 8);
    const probe = async (count: number) => {
      await set('probe_at = now()');
      system.hint(webhook.id);
      await waitFor('a probe', () => mine.requests.length >= count);
    };
    for (const count of [2, 3, 4, 5]) {
      await probe(count);
      await waitFor('its end', async () => (await system.deliveries())[0]?.state === 'ready');
    }
    broken = false;
    await probe(6);
    await waitFor('all of them', async () => (await system.deliveries()).every(({ status }) => status === 'success'));
    const ids = mine.requests.map(({ headers }) => headers['webhook-id']);
    const order = [first, ...missed].map((event) => event?.id);
    expect(ids.slice(-order.length)).toEqual(order);
    expect(new Set(ids.slice(0, -order.length))).toEqual(new Set([first?.id]));
    const times = mine.requests.slice(-missed.length).map(({ at }) => at);
    expect((missed.length - 1) / (((times.at(-1) ?? 0) - (times[0] ?? 0)) / 1_000)).toBeLessThanOrEqual(20 * 1.1);
    expect(await system.webhooks.get('spc_1', webhook.id)).toMatchObject({ status: 'active', disabledReason: null });
  });

  it('the deliveries of one record never overtake one another, retries included, over two dispatchers', async () => {
    const failed = new Set<string>();
    const seen: { record: number; sequence: number }[] = [];
    const flaky = await receiver((request, response) => {
      const { data } = JSON.parse(request.body.toString()) as { data: { id: number; sequence: number } };
      const id = String(request.headers['webhook-id']);
      if (data.sequence % 3 === 0 && !failed.has(id)) {
        failed.add(id);
        response.writeHead(500).end();
        return;
      }
      seen.push({ record: data.id, sequence: data.sequence });
      setTimeout(() => response.end(), data.sequence % 4);
    });
    await system.webhook(flaky.url, { ordering: 'record', events: ['file.updated'] });
    system.dispatcher();
    system.dispatcher();
    const events = Array.from({ length: 60 }, (_, index) =>
      system.event({ event: 'file.updated', recordId: 1 + (index % 6), data: { sequence: index } }),
    );
    await system.publish(...events);
    await waitFor('all of them', () => seen.length === 60, 20_000);
    for (let record = 1; record <= 6; record++) {
      const order = seen.filter((each) => each.record === record).map(({ sequence }) => sequence);
      expect(order).toEqual([...order].sort((a, b) => a - b));
    }
  });

  it('both secrets sign while a rotation lasts', async () => {
    const mine = await receiver();
    const webhook = await system.webhook(mine.url);
    system.dispatcher();
    await system.publish(system.event());
    await waitFor('one by the old secret', () => mine.requests.length === 1);
    const fresh = newSigningSecret();
    await system.webhooks.rotate('spc_1', webhook.id, { signingSecret: fresh, overlapMs: 60_000 });
    system.hint(webhook.id);
    await system.publish(system.event());
    await waitFor('one by both', () => mine.requests.length === 2);
    const accepts = (secret: string, request = mine.requests[1]) => {
      try {
        new Webhook(secret).verify(request?.body ?? '', request?.headers as Record<string, string>);
        return true;
      } catch {
        return false;
      }
    };
    expect([accepts(webhook.secret), accepts(fresh)]).toEqual([true, true]);
    expect([accepts(webhook.secret, mine.requests[0]), accepts(fresh, mine.requests[0])]).toEqual([true, false]);
    const hex = createHmac('sha256', fresh)
      .update(mine.requests[1]?.body ?? '')
      .digest('hex');
    expect(mine.requests[1]?.headers['x-webhook-signature']).toBe(hex);
  });

  /** As a receiver does it: some item of the header is a signature by this key. */
  function isSignedBy(publicKey: string | null | undefined, request: ReceivedRequest | undefined): boolean {
    if (!publicKey || !request) throw new Error('nothing to verify');
    const x = Buffer.from(publicKey.slice('whpk_'.length), 'base64').toString('base64url');
    const key = createPublicKey({ key: { kty: 'OKP', crv: 'Ed25519', x }, format: 'jwk' });
    const { 'webhook-id': id, 'webhook-timestamp': timestamp, 'webhook-signature': header } = request.headers;
    const signed = Buffer.concat([Buffer.from(`${String(id)}.${String(timestamp)}.`), request.body]);
    return String(header)
      .split(' ')
      .map((item) => item.split(','))
      .some(([scheme, text = '']) => scheme === 'v1a' && verify(null, signed, key, Buffer.from(text, 'base64')));
  }

  it('T-109 T-111 with v1a a key pair signs, both while a rotation lasts; the header of the seed stays', async () => {
    const mine = await receiver();
    const webhook = await system.webhook(mine.url, { signatureScheme: 'v1a' });
    system.dispatcher();
    await system.publish(system.event({ data: { name: 'Zoë 🏡' } }));
    await waitFor('one by the first key', () => mine.requests.length === 1);
    const fresh = newSigningSecret();
    const rotated = await system.webhooks.rotate('spc_1', webhook.id, { signingSecret: fresh, overlapMs: 60_000 });
    system.hint(webhook.id);
    await system.publish(system.event());
    await waitFor('one by both', () => mine.requests.length === 2);
    const [before, during] = mine.requests;
    expect(before?.headers['webhook-signature']).toMatch(/^v1a,[A-Za-z0-9+/]{86}==$/);
    expect(during?.headers['webhook-signature']).toMatch(/^v1a,\S{88} v1a,\S{88}$/);
    const accepted = (request: ReceivedRequest | undefined) =>
      [webhook.publicKey, rotated?.publicKey].map((key) => isSignedBy(key, request));
    expect([accepted(before), accepted(during)]).toEqual([
      [true, false],
      [true, true],
    ]);
    for (const [request, secret] of [
      [before, webhook.secret],
      [during, fresh],
    ] as const) {
      const hex = createHmac('sha256', secret)
        .update(request?.body ?? '')
        .digest('hex');
      expect(request?.headers['x-webhook-signature']).toBe(hex);
      // Both libraries know the symmetric scheme only: to them nothing here is signed.
      for (const Library of [Webhook, SvixWebhook])
        expect(() =>
          new Library(secret).verify(request?.body ?? '', request?.headers as Record<string, string>),
        ).toThrow('No matching signature found');
    }
  });

  it('T-111 after a change of scheme both sign, so that a receiver may follow when it likes', async () => {
    const mine = await receiver();
    const webhook = await system.webhook(mine.url);
    system.dispatcher();
    await system.change(webhook.id, { signatureScheme: 'v1a' });
    await system.publish(system.event());
    await waitFor('one by both', () => mine.requests.length === 1);
    const [request] = mine.requests;
    expect(request?.headers['webhook-signature']).toMatch(/^v1a,\S+ v1,\S+$/);
    expect(isSignedBy((await system.webhooks.get('spc_1', webhook.id))?.publicKey, request)).toBe(true);
    for (const Library of [Webhook, SvixWebhook])
      expect(
        new Library(webhook.secret).verify(request?.body ?? '', request?.headers as Record<string, string>),
      ).toMatchObject({ event: 'file.created' });
  });

  it('a receiver that has consented is told who sends', async () => {
    const [asked, unasked] = [await receiver(), await receiver()];
    const consented = await system.webhook(asked.url, { handshake: true });
    await system.change(consented.id, { name: 'asked' }, 'spc_1', { allowedRate: null });
    await system.webhook(unasked.url);
    system.dispatcher({ WEBHOOK_ORIGIN: 'hooks.keyturn.example' });
    await system.publish(system.event());
    await waitFor('both', () => asked.requests.length === 1 && unasked.requests.length === 1);
    expect(asked.requests[0]?.headers.origin).toBe('hooks.keyturn.example');
    expect(unasked.requests[0]?.headers.origin).toBeUndefined();
  });

  it('headers of its own go along, ids only in thin mode', async () => {
    const mine = await receiver();
    await system.webhook(mine.url, { headers: { 'X-Route': 'crm' }, thin: true });
    system.dispatcher();
    const event = system.event({ data: { name: 'long' } });
    await system.publish(event);
    await waitFor('the delivery', () => mine.requests.length === 1);
    expect(mine.requests[0]?.headers['x-route']).toBe('crm');
    expect(JSON.parse(mine.requests[0]?.body.toString() ?? '')).toEqual({
      event: 'file.created',
      data: { id: event.recordId },
      timestamp: event.time,
    });
  });

  it('an endpoint whose secret cannot be opened holds up nobody else', async () => {
    const mine = await receiver();
    const lost = await receiver();
    const webhook = await system.webhook(lost.url);
    await system.webhook(mine.url);
    await system.database.acrossSpaces('a test spoils a secret').query(
      {
        name: 'test.spoil',
        text: `update webhooks.endpoint set secret_enc = decode('01ffffffff', 'hex') || substring(secret_enc from 6) where id = $1`,
      },
      [webhook.id.slice('wh_'.length)],
    );
    system.dispatcher();
    await system.publish(...system.events(5));
    await waitFor('the others', () => mine.requests.length === 5);
    expect(lost.requests).toEqual([]);
  });
});

describe('neighbours (T-116)', () => {
  let system: DispatcherFixture;
  const opened: { close(): Promise<void> }[] = [];
  const keep = <T extends { close(): Promise<void> }>(item: T): T => {
    opened.push(item);
    return item;
  };
  beforeEach(async () => {
    // A hanging receiver is waited for longer than any test lasts: whoever had to wait for it would never be done.
    system = await DispatcherFixture.open({ WEBHOOK_RETRY_SCHEDULE: '20ms,20ms,20ms,20ms', WEBHOOK_TIMEOUT: '10m' });
  });
  afterEach(async () => {
    for (const each of opened.splice(0)) await each.close();
    await system.close();
  });

  it('of twenty endpoints one hangs and one fails, and the others do not wait for them', async () => {
    const hangs = keep(await RawReceiver.start(() => undefined));
    const fails = keep(await HttpReceiver.start((_request, response) => response.writeHead(503).end()));
    const well = await Promise.all(Array.from({ length: 18 }, async () => keep(await HttpReceiver.start())));
    for (const { url } of [hangs, fails, ...well]) await system.webhook(url);
    system.dispatcher();
    await system.publish(...system.events(100));
    await waitFor('the eighteen', () => well.every(({ requests }) => requests.length === 100), 20_000);
    expect(hangs.connections).toBeGreaterThan(0);
    expect(hangs.connections).toBeLessThanOrEqual(ConcurrencyLimit.start);
    const statuses = await waitFor('the results of the eighteen', async () => {
      const rows = await system.deliveries();
      return rows.filter(({ status }) => status === 'success').length === 1_800 && rows;
    });
    expect(statuses).toHaveLength(2_000);
  });

  it('endpoints that hang take no more than half of the slots, also the first time', async () => {
    const hangs = keep(await RawReceiver.start(() => undefined));
    const good = keep(await HttpReceiver.start());
    for (let webhook = 0; webhook < 10; webhook++) await system.webhook(hangs.url);
    await system.webhook(good.url, {}, 'spc_2');
    system.dispatcher({ WEBHOOK_MAX_IN_FLIGHT: '20' });
    await system.publish(...system.events(8));
    await waitFor('slots to be scarce', () => hangs.connections === 10);
    await system.publish(...system.events(30, {}, 'spc_2'));
    await waitFor('the other Space', () => good.requests.length === 30);
    expect(hangs.connections).toBe(10);
  });

  it('a Space with thousands waiting does not hold up the single event of another', async () => {
    const stuck = keep(await RawReceiver.start(() => undefined));
    const busy = keep(await HttpReceiver.start((_request, response) => setTimeout(() => response.end(), 20)));
    let meanwhile = Infinity;
    const quick = keep(
      await HttpReceiver.start((_request, response) => {
        meanwhile = busy.requests.length;
        response.end();
      }),
    );
    for (const { url } of [stuck, busy]) await system.webhook(url);
    await system.webhook(quick.url, {}, 'spc_2');
    system.dispatcher();
    await system.publish(...system.events(3_000));
    await waitFor('the backlog', () => busy.requests.length > 50 && stuck.connections > 0);
    await system.publish(system.event({}, 'spc_2'));
    await waitFor('the single event', () => quick.requests.length === 1, 20_000);
    // It went by while most of the backlog was waiting still.
    expect(meanwhile).toBeLessThan(2_000);
  });
});
