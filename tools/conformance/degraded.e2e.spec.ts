import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import type { Client } from 'pg';
import {
  HttpSink,
  onDatabase,
  services,
  startSystem,
  waitFor,
  type InstanceName,
  type TestSystem,
} from '@keyturn/testing';
import { Door, type Answer } from './door';
import { TestSpace } from './space';

/**
 * What a dependency that is down does to the whole system, with two of every service. Each test bears the name of a row in
 * the table of the README ("Degraded, not dead"); each ends with everything well again, without anybody's help.
 */

/** Two seconds are promised; a busy machine adds something on the way to this process. */
const answeredMs = 2_000 + 500;
const takeoverMs = 10_000;
const recoveryMs = 30_000;

// Servers start, die and come back on whatever machine this is.
jest.setTimeout(120_000);

describe('degraded, not dead', () => {
  let system: TestSystem;
  let space: TestSpace;
  let sink: HttpSink;
  let doors: Door[];
  let folder: string;
  let natsConfig: string;
  let webhookId: string;

  /** The disk of NATS: so much and no more. */
  const natsDisk = (size: string) => writeFileSync(natsConfig, `jetstream { max_file_store: ${size} }\n`);

  beforeAll(async () => {
    folder = mkdtempSync(path.join(tmpdir(), 'keyturn-degraded-'));
    natsConfig = path.join(folder, 'nats.conf');
    natsDisk('1GB');
    [system, sink] = await Promise.all([
      startSystem({
        ...{ gateways: 2, dataServices: 2, webhookServices: 2, dispatchers: 2 },
        ownPostgres: true,
        natsConfigFile: natsConfig,
        env: {
          WEBHOOK_RETRY_SCHEDULE: '300ms,300ms,1s,1s,2s,2s',
          WEBHOOK_RETRY_JITTER: 'false',
          WEBHOOK_LEASE: '3s',
          WEBHOOK_TIMEOUT: '15s',
        },
      }),
      HttpSink.start(),
    ]);
    space = await TestSpace.make(system);
    doors = (['api-gateway', 'api-gateway#2'] as const).map(
      (instance) => new Door(system.gatewayUrl(instance), { 'x-api-key': space.key }),
    );
    webhookId = (await space.subscribe(sink.url('/hook'), ['note.created'])).id;
  }, 90_000);

  afterAll(async () => {
    await system.stop();
    await sink.stop();
    rmSync(folder, { recursive: true });
  });

  beforeEach(() => sink.answer({}));

  let lastId = 0;
  const note = (size = 0) => ({
    type: 'note.created',
    data: { id: ++lastId, subject: `note ${lastId}`, ...(size ? { note: 'x'.repeat(size) } : {}) },
  });
  const publish = async (count = 1, size = 0): Promise<number[]> => {
    const events = Array.from({ length: count }, () => note(size));
    await system.publish(space.id, events);
    return events.map(({ data }) => data.id);
  };
  const timesDelivered = (id: number) =>
    sink.requests.filter(({ body }) => (JSON.parse(body.toString()) as { data: { id: number } }).data.id === id).length;

  /** Every one of these can be read, and has reached its receiver once. */
  const expectThere = async (ids: readonly number[], timeoutMs = recoveryMs) => {
    for (const door of doors)
      await waitFor(
        `the notes ${ids.join(', ')} to be read and delivered`,
        async () =>
          (await door.get(`/api/v1/notes/${ids.at(-1)}`)).status === 200 && ids.every((id) => timesDelivered(id) > 0),
        timeoutMs,
      );
    expect(ids.filter((id) => timesDelivered(id) !== 1)).toEqual([]);
  };

  const timed = async (work: () => Promise<Answer>) => {
    const started = performance.now();
    const answer = await work();
    return { answer, ms: performance.now() - started };
  };

  /** Told within two seconds, in the shape of the surface, to come back: reads, webhooks and feed alike, on both gateways. */
  const expectUnavailable = async (paths = ['/notes', '/notes/1', '/webhooks', '/events']) => {
    const asked = doors.flatMap((door) => paths.map((each) => timed(() => door.get(`/api/v1${each}`))));
    for (const { answer, ms } of await Promise.all(asked)) {
      expect([answer.status, answer.json.error?.code, answer.text]).toEqual([503, 'INTERNAL_ERROR', answer.text]);
      expect(answer.headers['retry-after']).toBe('1');
      expect(answer.headers['content-type']).toBe('application/json; charset=utf-8');
      expect(ms).toBeLessThan(answeredMs);
    }
    for (const door of doors) expect((await door.get('/api/v1/health')).status).toBe(200);
  };

  const readiness = async (instance: InstanceName) => (await fetch(`${system.managementUrl(instance)}/readyz`)).status;
  const liveness = async (instance: InstanceName) => (await fetch(`${system.managementUrl(instance)}/livez`)).status;
  /** What it says of itself, whoever it cannot ask. */
  const figure = async (instance: InstanceName, metric: string) => {
    const answer = await fetch(`${system.managementUrl(instance)}/metrics`);
    expect([instance, answer.status]).toEqual([instance, 200]);
    return new RegExp(`^${metric}\\{.*\\} (\\S+)$`, 'm').exec(await answer.text())?.[1];
  };
  const expectUnreadyAndAlive = async () => {
    for (const instance of services) {
      await waitFor(`${instance} to be unready`, async () => (await readiness(instance)) === 503);
      expect(await liveness(instance)).toBe(200);
      expect(Number(await figure(instance, 'process_resident_memory_bytes'))).toBeGreaterThan(0);
    }
  };

  const expectAllReady = async () => {
    for (const service of services)
      for (const instance of [service, `${service}#2`] as const)
        await waitFor(`${instance} to be ready`, async () => (await readiness(instance)) === 200, recoveryMs);
  };

  const nobodyReads = async (client: Client) => {
    const { rows } = await client.query(
      `select from pg_stat_activity where state = 'active'
         and application_name in ('data-service walk', 'data-service scan', 'webhook-service lists')`,
    );
    return rows.length === 0;
  };

  it('PostgreSQL away: reads say 503 at once, events wait and nothing is acked', async () => {
    sink.answer({ status: 500 });
    const [waiting] = await publish();
    await sink.received(sink.requests.length + 1);
    await system.postgres.kill();
    sink.answer({});
    sink.clear();
    const ids = await publish(20);
    await expectUnavailable();
    await expectUnreadyAndAlive();
    // Not the figure of before, by which nothing would be waiting.
    expect(await figure('dispatcher', 'webhook_oldest_due_seconds')).toBe('Nan');
    expect(sink.requests.filter(({ headers }) => headers['x-webhook-attempt'] === '1')).toEqual([]);
    await system.postgres.restart();
    await expectThere([...ids, waiting as number]);
  });

  const second = services.map((service) => `${service}#2` as const);

  /** What has nobody to wait for does not wait: out of service, in good order, well before it would be killed. */
  async function expectGoodEnds(instances: readonly InstanceName[]): Promise<void> {
    const ends = await Promise.all(instances.map((instance) => system.terminate(instance)));
    expect(ends.map(({ exitCode }) => exitCode)).toEqual(instances.map(() => 0));
    for (const { ms } of ends) expect(ms).toBeLessThan(20_000);
  }

  it('PostgreSQL away: whoever is told to stop meanwhile ends at once, and what it could not write is sent again', async () => {
    let answer: () => void = () => undefined;
    const held = new Promise<void>((resolve) => (answer = resolve));
    sink.answer(async () => {
      await held;
      return {};
    });
    sink.clear();
    const ids = await publish(4);
    await sink.received(ids.length);
    await system.postgres.kill();
    answer();
    const both = ['dispatcher', 'dispatcher#2'] as const;
    await expectGoodEnds([...both, ...second.filter((instance) => instance !== 'dispatcher#2')]);
    const unwritten = both
      .flatMap((instance) => system.logs(instance))
      .filter(({ message }) => String(message).startsWith('results not written'));
    expect(unwritten.reduce((sum, { count }) => sum + Number(count), 0)).toBe(ids.length);
    await system.postgres.restart();
    await Promise.all(['dispatcher' as const, ...second].map((instance) => system.startInstance(instance)));
    doors[1] = new Door(system.gatewayUrl('api-gateway#2'), { 'x-api-key': space.key });
    // Its receivers have had each once, and get each once more, under the same id.
    await waitFor('each to come again', () => ids.every((id) => timesDelivered(id) === 2), recoveryMs);
    const messages = new Set(sink.requests.map(({ headers }) => headers['webhook-id']));
    expect(messages.size).toBe(ids.length);
    const waiting = async () =>
      onDatabase(system.databaseUrl, (client) =>
        client.query(`select from webhooks.delivery where status <> 'success'`),
      );
    await waitFor('the results', async () => (await waiting()).rowCount === 0);
  });

  it('PostgreSQL silent: whoever is told to stop meanwhile ends in good order', async () => {
    const ids = await publish(4);
    await expectThere(ids);
    system.postgres.freeze();
    try {
      await expectUnavailable();
      await expectGoodEnds(second);
    } finally {
      system.postgres.thaw();
    }
    await Promise.all(second.map((instance) => system.startInstance(instance)));
    doors[1] = new Door(system.gatewayUrl('api-gateway#2'), { 'x-api-key': space.key });
    await expectThere(await publish(4));
  });

  it('PostgreSQL fails over: what was in hand is 503, and everything goes on over new connections', async () => {
    const answers: Answer[] = [];
    let over = false;
    const asking = doors.map(async (door) => {
      while (!over)
        for (const path of ['/notes', '/webhooks', '/events']) answers.push(await door.get(`/api/v1${path}`));
    });
    const ids: number[] = [];
    for (let round = 1; round <= 5; round++) {
      ids.push(...(await publish(5)));
      // As a server does that is told to shut down: every connection ends with 57P01.
      await onDatabase(system.databaseUrl, (client) =>
        client.query(
          `select pg_terminate_backend(pid) from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()`,
        ),
      );
      const before = answers.length;
      await waitFor('reads to go on', () => answers.slice(before).some(({ status }) => status === 200));
    }
    over = true;
    await Promise.all(asking);
    for (const { status, headers, text } of answers) {
      if (status !== 200) expect([status, headers['retry-after'], text]).toEqual([503, '1', text]);
    }
    await waitFor('all to be delivered', () => ids.every((id) => timesDelivered(id) > 0), recoveryMs);
  });

  it('PostgreSQL slow: reads say 503 within the deadline, and Postgres stops what nobody waits for', async () => {
    const ids = await publish();
    await expectThere(ids);
    await onDatabase(system.databaseUrl, async (client) => {
      await client.query('begin');
      await client.query('lock table data.note_state in access exclusive mode');
      await expectUnavailable(['/notes', `/notes/${ids[0]}`]);
      // From outside: a transaction sees the activity as it was when it first looked.
      await waitFor('the statements to be stopped', () => onDatabase(system.databaseUrl, nobodyReads));
      // Other collections do not stand behind them.
      expect((await space.door.get('/api/v1/files')).status).toBe(200);
      await client.query('rollback');
    });
    await onDatabase(system.databaseUrl, async (client) => {
      await client.query('begin');
      await client.query('lock table webhooks.endpoint, webhooks.delivery in access exclusive mode');
      const one = `/webhooks/${webhookId}`;
      await expectUnavailable(['/webhooks', one, `${one}/deliveries`, `${one}/replays`]);
      await waitFor('the statements to be stopped', () => onDatabase(system.databaseUrl, nobodyReads));
      await client.query('rollback');
    });
    await expectThere(await publish());
  });

  it('limiter store away: no request is let in uncounted', async () => {
    await onDatabase(system.databaseUrl, async (client) => {
      await client.query('begin');
      await client.query('lock table access.key_state in access exclusive mode');
      await expectUnavailable();
      await client.query('rollback');
    });
    for (const door of doors)
      await waitFor('requests to be let in', async () => (await door.get('/api/v1/notes')).status === 200);
    await expectThere(await publish());
  });

  it('NATS away: reads say 503 at once, a publisher is told, and what is due is still delivered', async () => {
    sink.answer({ status: 500 });
    const [waiting] = await publish();
    await sink.received(sink.requests.length + 1);
    sink.clear();
    await system.nats.kill();
    await expectUnavailable(['/notes', '/notes/1', '/webhooks', '/events', '/events?wait=20']);
    await expectUnreadyAndAlive();
    sink.answer({});
    await waitFor('the retry', () => timesDelivered(waiting as number) > 0);
    await expectGoodEnds(second);
    await system.nats.restart();
    await Promise.all(second.map((instance) => system.startInstance(instance)));
    doors[1] = new Door(system.gatewayUrl('api-gateway#2'), { 'x-api-key': space.key });
    const ids = await waitFor('the publisher to be back', () => publish(20), recoveryMs);
    await expectThere(ids);
  });

  it('one gateway away: the other goes on', async () => {
    await system.kill('api-gateway#2');
    expect((await doors[0]?.get('/api/v1/notes'))?.status).toBe(200);
    await system.startInstance('api-gateway#2');
    doors[1] = new Door(system.gatewayUrl('api-gateway#2'), { 'x-api-key': space.key });
    await expectThere(await publish());
  });

  it('one data-service away: reads go on, and events are applied by the other', async () => {
    for (const instance of ['data-service', 'data-service#2'] as const) {
      const killed = system.kill(instance);
      const ids = await publish(10);
      await killed;
      await waitFor('reads', async () => (await space.door.get('/api/v1/notes')).status === 200, 3_000);
      await expectThere(ids, takeoverMs);
      await system.startInstance(instance);
    }
  });

  it('every data-service away: reads say 503 at once, webhooks and their history work, events wait', async () => {
    await Promise.all([system.kill('data-service'), system.kill('data-service#2')]);
    const ids = await publish(10);
    await waitFor('NATS to know', async () => (await timed(() => space.door.get('/api/v1/notes'))).ms < 1_000);
    await expectUnavailable(['/notes', '/notes/1', '/events']);
    expect((await space.door.get('/api/v1/webhooks')).status).toBe(200);
    await Promise.all([system.startInstance('data-service'), system.startInstance('data-service#2')]);
    await expectThere(ids);
  });

  it('one webhook-service away: the other goes on', async () => {
    await system.kill('webhook-service');
    await waitFor('webhooks', async () => (await space.door.get('/api/v1/webhooks')).status === 200, 3_000);
    await expectThere(await publish());
    await system.startInstance('webhook-service');
  });

  it('NATS disk full: a publisher is told, what was taken is delivered, and room is enough to go on', async () => {
    await system.nats.kill();
    natsDisk('1MB');
    await system.nats.restart();
    await expectAllReady();
    const taken = await waitFor('the publisher to be back', () => publish(1), recoveryMs);
    const big = 60_000;
    const refusal = await publishUntilRefused(taken, big);
    expect(refusal).toMatchObject({ api_error: { description: 'insufficient resources' } });
    for (const door of doors) expect((await door.get('/api/v1/notes')).status).toBe(200);
    await system.nats.kill();
    natsDisk('1GB');
    await system.nats.restart();
    await expectAllReady();
    taken.push(...(await waitFor('the publisher to be back', () => publish(1), recoveryMs)));
    await expectThere(taken);
  });

  /** The ids of what was taken go to `taken`; what was refused is not there, and its publisher knows. */
  async function publishUntilRefused(taken: number[], size: number): Promise<unknown> {
    for (let tries = 0; tries < 100; tries++) {
      try {
        taken.push(...(await publish(1, size)));
      } catch (error) {
        return error;
      }
    }
    throw new Error('the disk does not get full');
  }

  it('PostgreSQL disk full: reads go on, events wait, changes say 503', async () => {
    // What Postgres says itself when a table cannot grow; a disk that is really full needs rights that a test has not.
    await onDatabase(system.databaseUrl, async (client) => {
      await client.query(
        `create function public.disk_full() returns trigger language plpgsql as
         $$ begin raise exception 'could not extend file: No space left on device' using errcode = '53100'; end $$`,
      );
      for (const table of ['data.note', 'webhooks.endpoint'])
        await client.query(
          `create trigger disk_full before insert on ${table} for each statement execute function public.disk_full()`,
        );
    });
    const interruptions = () =>
      (['data-service', 'data-service#2'] as const)
        .flatMap((instance) => system.logs(instance))
        .filter(({ message }) => message === 'applying is interrupted').length;
    const before = interruptions();
    const ids = await publish(10);
    for (const door of doors) expect((await door.get('/api/v1/notes')).status).toBe(200);
    const { answer, ms } = await timed(() =>
      space.door.post('/api/v1/webhooks', { name: 'late', url: sink.url('/late'), events: ['note.created'] }),
    );
    expect([answer.status, answer.headers['retry-after'], answer.text]).toEqual([503, '1', answer.text]);
    expect(ms).toBeLessThan(answeredMs);
    await waitFor('the applier to have tried twice', () => interruptions() >= before + 2);
    expect((await space.door.get(`/api/v1/notes/${ids[0]}`)).status).toBe(404);
    expect(ids.filter((id) => timesDelivered(id) > 0)).toEqual([]);
    await onDatabase(system.databaseUrl, (client) => client.query('drop function public.disk_full() cascade'));
    await expectThere(ids);
  });

  /** Every process dies, and one of each service starts again while `server` is away; both are back at the end. */
  async function startWithout(server: { kill(): Promise<void>; restart(): Promise<void> }): Promise<void> {
    await Promise.all([...services, ...second].map((instance) => system.kill(instance)));
    await server.kill();
    await Promise.all(services.map((service) => system.startUnready(service)));
    doors = [new Door(system.gatewayUrl('api-gateway'), { 'x-api-key': space.key })];
    const isListening = async () => (await doors[0]?.get('/api/v1/health'))?.status === 200;
    await waitFor('the gateway to listen', isListening, recoveryMs);
    await expectUnavailable();
    await expectUnreadyAndAlive();
    await server.restart();
    for (const service of services)
      await waitFor(`${service} to be ready`, async () => (await readiness(service)) === 200, recoveryMs);
    await Promise.all(second.map((instance) => system.startInstance(instance)));
    doors.push(new Door(system.gatewayUrl('api-gateway#2'), { 'x-api-key': space.key }));
  }

  it('PostgreSQL away at the start: the gateway listens and says 503, and all turn ready by themselves', async () => {
    const ids = await publish(10);
    await expectThere(ids);
    await startWithout(system.postgres);
    await expectThere(await publish(10));
  });

  it('NATS away at the start: the gateway listens and says 503, and all turn ready by themselves', async () => {
    await startWithout(system.nats);
    await expectThere(await waitFor('the publisher to be back', () => publish(10), recoveryMs));
  });
});
