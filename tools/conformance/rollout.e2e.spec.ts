import { HttpSink, services, startSystem, waitFor, type InstanceName, type TestSystem } from '@keyturn/testing';
import { Balancer } from './balancer';
import { Door } from './door';
import { Readers } from './readers';
import { TestSpace } from './space';

/**
 * A new release under load: two of everything, every process replaced. Intervals are those of `k8s/base`, scaled: there a
 * probe comes every few seconds and a service goes on serving for longer than readiness needs to fail.
 */
const probing = { everyMs: 250, failures: 2 };
const drainDelay = '2s';
const promisedMs = 30_000;

const publishEveryMs = 100;
const eventsAtOnce = 3;
const receiverTakesMs = 40;
const testEveryMs = 400;

/** What has been published, and when the stream had taken it. */
class Publishing {
  readonly takenAt = new Map<number, number>();
  private stopped = false;
  private readonly running: Promise<void>;

  constructor(
    private readonly system: TestSystem,
    private readonly spaceId: string,
  ) {
    this.running = this.run();
  }

  async stop(): Promise<void> {
    this.stopped = true;
    await this.running;
  }

  private async run(): Promise<void> {
    for (let id = 1; !this.stopped; id += eventsAtOnce) {
      const ids = Array.from({ length: eventsAtOnce }, (_, index) => id + index);
      await this.system.publish(
        this.spaceId,
        ids.map((each) => ({ type: 'note.created', data: { id: each, subject: `note ${each}` } })),
      );
      for (const each of ids) this.takenAt.set(each, Date.now());
      await new Promise((resolve) => setTimeout(resolve, publishEveryMs));
    }
  }
}

/** Owners who press "test" all the time: the only request that ends in a dispatcher. */
class Testing {
  tests = 0;
  readonly failures: string[] = [];
  private stopped = false;
  private readonly running: Promise<void>;

  constructor(
    private readonly url: string,
    private readonly key: string,
  ) {
    this.running = this.run();
  }

  async stop(): Promise<void> {
    this.stopped = true;
    await this.running;
  }

  private async run(): Promise<void> {
    while (!this.stopped) {
      const answer = await fetch(this.url, { method: 'POST', headers: { 'x-api-key': this.key } });
      const text = await answer.text();
      this.tests++;
      if (!answer.ok) this.failures.push(`${answer.status} ${text}`);
      await new Promise((resolve) => setTimeout(resolve, testEveryMs));
    }
  }
}

describe('a rollout', () => {
  let system: TestSystem;
  let sink: HttpSink;
  let balancer: Balancer;
  let space: TestSpace;

  beforeAll(async () => {
    [system, sink, balancer] = await Promise.all([
      startSystem({
        gateways: 2,
        dataServices: 2,
        webhookServices: 2,
        dispatchers: 2,
        // A receiver that is slow because this machine is busy is none that failed.
        env: { DRAIN_DELAY: drainDelay, WEBHOOK_TIMEOUT: '15s', WEBHOOK_TEST_QUOTA: '1000' },
      }),
      HttpSink.start({ script: { delayMs: receiverTakesMs } }),
      Balancer.start(probing),
    ]);
    space = await TestSpace.make(system);
    join('api-gateway');
    join('api-gateway#2');
    await ready('api-gateway');
    await ready('api-gateway#2');
  }, 90_000);

  afterAll(async () => {
    await balancer.stop();
    await system.stop();
    await sink.stop();
  });

  const join = (gateway: InstanceName) =>
    balancer.add(gateway, system.gatewayUrl(gateway), system.managementUrl(gateway));
  const ready = (gateway: InstanceName) => waitFor(`${gateway} to be ready`, () => balancer.isReady(gateway));

  async function comesUp(instance: InstanceName): Promise<void> {
    await system.startInstance(instance);
    if (!instance.startsWith('api-gateway')) return;
    join(instance);
    await ready(instance);
  }

  /** SIGTERM, and what the process has to say for itself. */
  async function goes(instance: InstanceName): Promise<{ instance: string; ms: number }> {
    const { exitCode, ms } = await system.terminate(instance);
    expect({ instance, exitCode }).toEqual({ instance, exitCode: 0 });
    expect(ms).toBeLessThan(promisedMs);
    expect(system.logs(instance).filter(({ level }) => level === 'error')).toEqual([]);
    return { instance, ms: Math.round(ms) };
  }

  it('loses no request, no event and repeats no delivery: every process, new first and old first', async () => {
    const webhooks = await Promise.all(
      ['/a', '/b'].map(async (path) => {
        const { id } = await space.subscribe(sink.url(path), ['note.created']);
        return { path, id };
      }),
    );
    await space.publish([{ type: 'contact.created', data: { id: 1, phone: '(206) 555-1234' } }]);
    const publishing = new Publishing(system, space.id);
    const api = '/api/v1';
    const readers = new Readers({
      url: balancer.url,
      key: space.key,
      connections: 6,
      pauseMs: 40,
      paths: [
        `${api}/notes?sort=createdAt&order=desc&pageSize=5`,
        `${api}/contacts/1`,
        `${api}/contacts/lookup?phone=2065551234`,
        `${api}/notes?search=note&pageSize=5`,
        `${api}/webhooks`,
        `${api}/events?pageSize=5`,
      ],
    });
    const polls = new Readers({
      url: balancer.url,
      key: space.key,
      connections: 1,
      pauseMs: 0,
      // Nothing of this kind is published, so each of them waits to its end.
      paths: [`${api}/events?types=file.created&wait=3`],
    });
    const testing = new Testing(`${balancer.url}${api}/webhooks/${webhooks[0]?.id}/test`, space.key);

    const began = performance.now();
    const ended: { instance: string; ms: number }[] = [];
    try {
      for (const service of services) {
        await comesUp(`${service}#3`);
        ended.push(await goes(service));
        ended.push(await goes(`${service}#2`));
        await comesUp(`${service}#4`);
      }
    } finally {
      await Promise.all([publishing.stop(), readers.stop(), polls.stop(), testing.stop()]);
    }
    const rolledMs = performance.now() - began;

    const { takenAt } = publishing;
    const events = takenAt.size;
    const deliveries = () => sink.requests.filter(({ headers }) => headers['x-webhook-event'] === 'note.created');
    await waitFor('every delivery', () => deliveries().length >= events * webhooks.length, 20_000);

    let slowestDeliveryMs = 0;
    const times = new Map<string, number>();
    for (const { path, body, at } of deliveries()) {
      const { id } = (JSON.parse(body.toString()) as { data: { id: number } }).data;
      times.set(`${path} ${id}`, (times.get(`${path} ${id}`) ?? 0) + 1);
      slowestDeliveryMs = Math.max(slowestDeliveryMs, at - (takenAt.get(id) ?? at));
    }
    const expected = [...takenAt.keys()].flatMap((id) =>
      webhooks.map(({ path }): [string, number] => [`${path} ${id}`, 1]),
    );
    const byKey = (entries: Iterable<[string, number]>) => [...entries].sort(([a], [b]) => (a < b ? -1 : 1));
    const figures = {
      ...{
        seconds: Math.round(rolledMs / 1_000),
        processes: ended.length,
        slowestExitMs: Math.max(...ended.map(({ ms }) => ms)),
      },
      ...{ requests: readers.requests, slowestRequestMs: Math.round(readers.slowestMs), connections: balancer.taken },
      ...{
        longPolls: polls.requests,
        testEvents: testing.tests,
        events,
        deliveries: deliveries().length,
        slowestDeliveryMs,
      },
    };
    process.stdout.write(`rollout: ${JSON.stringify(figures)}\n`);

    expect([...readers.failures, ...polls.failures, ...testing.failures]).toEqual([]);
    expect(byKey(times)).toEqual(byKey(expected));
    expect(sink.requests.length - deliveries().length).toBe(testing.tests);
    // What the receivers saw is also what the platform has on record.
    const total = async (query: string) =>
      (await new Door(balancer.url, { 'x-api-key': space.key }).page(query)).pagination.total;
    for (const { path, id } of webhooks) {
      const tests = path === '/a' ? testing.tests : 0;
      await waitFor(
        'the results to be written',
        async () => (await total(`${api}/webhooks/${id}/deliveries?status=success&pageSize=1`)) === events + tests,
      );
    }
    expect(await total(`${api}/notes?pageSize=1`)).toBe(events);
    // Some of everything was really under way.
    expect(readers.requests).toBeGreaterThan(500);
    expect(testing.tests).toBeGreaterThan(20);
    expect(events).toBeGreaterThan(200);
  }, 150_000);
});
