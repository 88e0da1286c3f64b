import type { TestSystem } from '@keyturn/testing';
import { withBenchSystem } from './bench-system';
import { startSink, type Sink } from './deliveries';
import { failingPath, hangingPath } from './delivery-sink';
import { median, printFigure, say } from './figures';

/**
 * `npm run bench -- neighbours`: what well-behaved endpoints notice of one that hangs and one that fails, beside the same
 * endpoints when all of them are well; and what a single event notices of another Space's backlog.
 */
export interface NeighboursOptions {
  /** How long events are published for one figure; three figures make a median. */
  readonly seconds: number;
  /** Deliveries that wait in the other Space. */
  readonly backlog: number;
}

const endpoints = 20;
const eventsPerSecond = 20;
const rounds = 3;
const publishBatch = 500;
const probeEveryMs = 200;
const patienceMs = 300_000;

export async function benchNeighbours(options: NeighboursOptions): Promise<void> {
  const [sink, other] = await Promise.all([startSink(), startSink()]);
  try {
    await withBenchSystem({}, async (system) => {
      const well = await subscribe(
        system,
        Array.from({ length: endpoints }, () => `${sink.origin}/well`),
      );
      await publishSteadily(system, well.id, 5);
      const undisturbed = await percentiles(system, sink, well.id, endpoints, options.seconds);
      const ill = await subscribe(system, [
        `${sink.origin}${hangingPath}`,
        `${sink.origin}${failingPath}`,
        ...Array.from({ length: endpoints - 2 }, () => `${sink.origin}/well`),
      ]);
      const disturbed = await percentiles(system, sink, ill.id, endpoints - 2, options.seconds);
      printFigure('18 of 20 endpoints, one hangs and one fails: p50', 'ms', disturbed.p50, undisturbed.p50);
      printFigure('18 of 20 endpoints, one hangs and one fails: p95', 'ms', disturbed.p95, undisturbed.p95);
      await measureBacklog(system, sink, other, options.backlog);
    });
  } finally {
    sink.stop();
    other.stop();
  }
}

interface Subscribed {
  readonly id: string;
  readonly key: string;
  readonly webhooks: readonly string[];
}

async function subscribe(system: TestSystem, urls: readonly string[]): Promise<Subscribed> {
  const { id, slug } = await system.createSpace();
  const { key } = await system.createKey(slug);
  const webhooks: string[] = [];
  for (const url of urls) {
    const { data } = await post<{ data: { id: string } }>(system, key, '/api/v1/webhooks', {
      name: 'neighbour',
      url,
      events: ['note.*'],
    });
    webhooks.push(data.id);
  }
  return { id, key, webhooks };
}

async function post<T>(system: TestSystem, key: string, path: string, body: object = {}): Promise<T> {
  const answer = await fetch(`${system.baseUrl}${path}`, {
    method: 'POST',
    headers: { 'x-api-key': key, 'content-type': 'application/json' },
    body: JSON.stringify(body),
  });
  if (!answer.ok) throw new Error(`${path}: ${answer.status} ${await answer.text()}`);
  return (await answer.json()) as T;
}

let lastRecord = 0;
/** Their time is now, which is what a receipt is measured from. */
const notes = (count: number) =>
  Array.from({ length: count }, () => ({
    type: 'note.created',
    time: new Date().toISOString(),
    data: { id: ++lastRecord, subject: 'neighbour' },
  }));

/** How many were published, each on its own, at a steady rate. */
async function publishSteadily(system: TestSystem, spaceId: string, seconds: number): Promise<number> {
  const total = Math.round(seconds * eventsPerSecond);
  const started = performance.now();
  const pending: Promise<void>[] = [];
  while (pending.length < total) {
    if (performance.now() - started >= (pending.length / eventsPerSecond) * 1_000)
      pending.push(system.publish(spaceId, notes(1)));
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
  await Promise.all(pending);
  return total;
}

/** From the event's time to its receipt by the endpoints that are well, the median of the rounds. */
async function percentiles(system: TestSystem, sink: Sink, spaceId: string, count: number, seconds: number) {
  const seen: { p50: number; p95: number }[] = [];
  for (let round = 0; round < rounds; round++) {
    await sink.reset(true);
    const published = await publishSteadily(system, spaceId, seconds);
    const { delays } = await sink.reportFrom(published * count);
    const sorted = [...delays].sort((a, b) => a - b);
    const at = (share: number) => sorted[Math.floor(sorted.length * share)] ?? 0;
    seen.push({ p50: at(0.5), p95: at(0.95) });
    say(`p50 ${at(0.5)} ms, p95 ${at(0.95)} ms`);
  }
  return { p50: median(seen.map(({ p50 }) => p50)), p95: median(seen.map(({ p95 }) => p95)) };
}

/** The backlog waits for a paused endpoint, and is due at once when that goes on; meanwhile single events of another Space. */
async function measureBacklog(system: TestSystem, sink: Sink, other: Sink, backlog: number): Promise<void> {
  const busy = await subscribe(system, [`${sink.origin}/well`]);
  const single = await subscribe(system, [`${other.origin}/well`]);
  const webhook = `/api/v1/webhooks/${busy.webhooks[0]}`;
  await post(system, busy.key, `${webhook}/pause`);
  for (let left = backlog; left > 0; left -= publishBatch)
    await system.publish(busy.id, notes(Math.min(publishBatch, left)));
  await system.applied(patienceMs);
  await waiting(system, busy.key, webhook, backlog);
  say(`${backlog} deliveries wait`);
  await Promise.all([sink.reset(), other.reset(true)]);
  await post(system, busy.key, `${webhook}/resume`);
  let probes = 0;
  const drained = sink.reportFrom(backlog).then(() => true);
  while (
    !(await Promise.race([drained, new Promise<false>((resolve) => setTimeout(() => resolve(false), probeEveryMs))]))
  ) {
    await system.publish(single.id, notes(1));
    probes++;
  }
  const { delays } = await other.reportFrom(probes);
  const { first, last } = await sink.report();
  say(`the backlog was delivered in ${((last - first) / 1_000).toFixed(1)} s; ${probes} single events meanwhile`);
  const sorted = [...delays].sort((a, b) => a - b);
  printFigure(`single event beside ${backlog} due deliveries of another Space, median`, 'ms', median(sorted));
  printFigure(`single event beside ${backlog} due deliveries of another Space, longest`, 'ms', sorted.at(-1) ?? 0);
}

async function waiting(system: TestSystem, key: string, webhook: string, count: number): Promise<void> {
  const deadline = Date.now() + patienceMs;
  for (let total = 0; total < count;) {
    if (Date.now() > deadline) throw new Error(`${total} of ${count} deliveries wait after ${patienceMs} ms`);
    await new Promise((resolve) => setTimeout(resolve, 500));
    const answer = await fetch(`${system.baseUrl}${webhook}/deliveries?pageSize=1`, { headers: { 'x-api-key': key } });
    total = ((await answer.json()) as { pagination: { total: number } }).pagination.total;
  }
}
