import { waitFor, type TestSystem } from '@keyturn/testing';
import { withBenchSystem } from './bench-system';
import { fileData, startSink, subscribe, type Sink } from './deliveries';
import { printFigure, say } from './figures';
import { load } from './reads';
import { fillSpace } from './read-space';
import { between, Meter, parts, type Usage } from './usage';

/**
 * `npm run bench -- costs`: what one request, one event and one delivery cost each part of the system, in CPU time, bytes and
 * connections; docs/capacity.md calculates with them.
 */
export interface CostsOptions {
  /** Files of the Space that is read. */
  readonly files: number;
  /** Events of each round. */
  readonly events: number;
  /** How long each kind of request is sent. */
  readonly seconds: number;
}

const connections = 16;
const manySubscriptions = 10;
const publishBatch = 500;
const drainTimeoutMs = 120_000;
const idleMs = 5_000;

export async function benchCosts(options: CostsOptions): Promise<void> {
  const sink = await startSink();
  try {
    await withBenchSystem({ env: { LOG_LEVEL: 'info' } }, async (system) => {
      const meter = await Meter.of(system);
      await measureReads(system, meter, options);
      await measureEvents(system, meter, sink, options);
      await measureStanding(meter);
      await meter.close();
    });
  } finally {
    sink.stop();
  }
}

async function measureReads(system: TestSystem, meter: Meter, { files, seconds }: CostsOptions): Promise<void> {
  await meter.vacuum();
  const empty = await meter.read();
  const space = await fillSpace(system, files);
  await meter.vacuum();
  printFigure(`a file with its contacts, schema data`, 'bytes', between(empty, await meter.read()).bytes.data / files);
  const kinds = {
    'list of 25': ['/api/v1/files'],
    detail: space.fileIds.map((id) => `/api/v1/files/${id}`),
    lookup: space.phones.map((phone) => `/api/v1/contacts/lookup?phone=${phone}`),
  };
  for (const [name, paths] of Object.entries(kinds)) {
    const plan = { origin: system.baseUrl, paths, headers: { 'x-api-key': space.key }, connections };
    await load({ ...plan, seconds: 2 });
    const before = await meter.read();
    const { requests, requestsPerSecond } = await load({ ...plan, seconds });
    printCpu(name, 'request', between(before, await meter.read()), requests);
    printFigure(`${name}: rate while it was measured`, 'requests/s', requestsPerSecond);
  }
}

async function measureEvents(system: TestSystem, meter: Meter, sink: Sink, { events }: CostsOptions): Promise<void> {
  // Code is compiled and connections stand, as in a system that has been running.
  await round(system, meter, sink, { events: Math.ceil(events / 4), subscriptions: 1, first: 1 });
  const first = { none: 1_000_000, one: 2_000_000, many: 3_000_000 };
  const none = await round(system, meter, sink, { events, subscriptions: 0, first: first.none });
  printCpu('event without subscriptions', 'event', none, events);
  printBytes('event without subscriptions', none, events);
  const one = await round(system, meter, sink, { events, subscriptions: 1, first: first.one });
  printCpu('event with one delivery', 'event', one, events);
  printBytes('event with one delivery', one, events);
  printFigure('event with one delivery: CPU of vacuum', 'ms/event', one.vacuumMs / events);
  const few = Math.ceil(events / manySubscriptions) * 2;
  const many = await round(system, meter, sink, { events: few, subscriptions: manySubscriptions, first: first.many });
  // An event of its own costs what it costs without subscriptions; the rest is the deliveries'.
  const share = few / events;
  const further = between(scaled(none, share), many);
  printCpu('delivery, ten of an event', 'delivery', further, few * manySubscriptions);
  printBytes('delivery, ten of an event', further, few * manySubscriptions);
}

/** Sizes as vacuum leaves them; what vacuum takes for it stands apart, since in production it comes when it comes. */
interface RoundUsage extends Usage {
  readonly vacuumMs: number;
}

interface Round {
  readonly events: number;
  readonly subscriptions: number;
  readonly first: number;
}

/** So many events, and all that follows from them. */
async function round(
  system: TestSystem,
  meter: Meter,
  sink: Sink,
  { events, subscriptions, first }: Round,
): Promise<RoundUsage> {
  const spaceId = await subscribe(system, sink.origin, subscriptions);
  await sink.reset();
  await meter.vacuum();
  const attempts = await meter.attempts();
  const before = await meter.read();
  const started = performance.now();
  for (let from = 0; from < events; from += publishBatch) {
    const count = Math.min(publishBatch, events - from);
    await system.publish(
      spaceId,
      Array.from({ length: count }, (_, index) => ({ type: 'file.created', data: fileData(first + from + index) })),
    );
  }
  await system.applied(drainTimeoutMs);
  const deliveries = events * subscriptions;
  await sink.reportFrom(deliveries);
  await waitFor(
    'every result to be written',
    async () => (await meter.attempts()) >= attempts + deliveries,
    drainTimeoutMs,
  );
  say(`${events} events, ${subscriptions} subscriptions: ${((performance.now() - started) / 1_000).toFixed(1)} s`);
  const done = await meter.read();
  await meter.vacuum();
  const after = await meter.read();
  const used = { cpuMs: done.cpuMs, bytes: { ...after.bytes, wal: done.bytes.wal } };
  return { ...between(before, used), vacuumMs: after.cpuMs.postgres - done.cpuMs.postgres };
}

/** What it takes to be there, and what stands open. */
async function measureStanding(meter: Meter): Promise<void> {
  const before = await meter.read();
  await new Promise((resolve) => setTimeout(resolve, idleMs));
  const idle = between(before, await meter.read());
  const memory = meter.memory();
  for (const part of parts) {
    printFigure(`idle: CPU of ${part}`, 'ms/s', idle.cpuMs[part] / (idleMs / 1_000));
    printFigure(`memory of ${part}`, 'MB', memory[part]);
  }
  for (const [service, count] of Object.entries(await meter.connections()))
    printFigure(`connections of ${service} to Postgres`, 'connections', count);
}

function printCpu(name: string, unit: string, { cpuMs }: Usage, count: number): void {
  const whole = parts.reduce((sum, part) => sum + cpuMs[part], 0);
  // What only waits meanwhile has next to nothing to do with it.
  for (const part of parts)
    if (cpuMs[part] > whole * 0.02) printFigure(`${name}: CPU of ${part}`, `ms/${unit}`, cpuMs[part] / count);
  printFigure(`${name}: CPU of all`, `ms/${unit}`, whole / count);
}

function printBytes(name: string, { bytes }: Usage, count: number): void {
  for (const [place, size] of Object.entries(bytes))
    if (size / count >= 1) printFigure(`${name}: ${place}`, 'bytes', size / count);
}

function scaled({ cpuMs, bytes }: Usage, share: number): Usage {
  const times = <K extends string>(values: Readonly<Record<K, number>>) =>
    Object.fromEntries(Object.entries<number>(values).map(([key, value]) => [key, value * share])) as Record<K, number>;
  return { cpuMs: times(cpuMs), bytes: times(bytes) };
}
