import { fork } from 'node:child_process';
import { createHmac } from 'node:crypto';
import { once } from 'node:events';
import { Pool, request } from 'undici';
import { waitFor, type TestSystem } from '@keyturn/testing';
import { residentMegabytes, withBenchSystem } from './bench-system';
import type { SinkReport } from './delivery-sink';
import { median, printFigure, say } from './figures';

/**
 * `npm run bench -- deliveries`: how fast a backlog drains beside a bare loop of signed `undici` POSTs to the same sink in the
 * same run, how long a single event takes, and whether memory grows.
 */
export interface DeliveriesOptions {
  /** Events of the backlog. */
  readonly events: number;
  /** How long events are published at a steady rate. */
  readonly seconds: number;
}

const referenceRounds = 3;
const referenceConnections = 32;
const publishBatch = 500;
const steadyRate = 200;
const manySubscriptions = 10;
const drainTimeoutMs = 600_000;

export async function benchDeliveries(options: DeliveriesOptions): Promise<void> {
  const sink = await startSink();
  try {
    await withBenchSystem({ env: { LOG_LEVEL: 'info' } }, async (system) => {
      const reference = await bareLoop(sink.origin, options.events);
      say(`a bare loop: ${Math.round(reference)} POSTs/s`);
      const one = await subscribe(system, sink.origin, 1);
      printFigure(
        `backlog of ${options.events}, one subscription`,
        'deliveries/s',
        await drainBacklog(system, sink, one, options.events, 1),
        reference,
      );
      await measureLatency(system, sink, options.seconds);
      const before = residentMegabytes(system, 'dispatcher');
      const many = await subscribe(system, sink.origin, manySubscriptions);
      printFigure(
        `backlog of ${options.events}, ${manySubscriptions} subscriptions`,
        'deliveries/s',
        await drainBacklog(system, sink, many, options.events, manySubscriptions),
        reference,
      );
      printFigure('dispatcher: resident before many deliveries', 'MB', before);
      printFigure(
        `dispatcher: resident after ${options.events * manySubscriptions} deliveries`,
        'MB',
        residentMegabytes(system, 'dispatcher'),
      );
    });
  } finally {
    sink.stop();
  }
}

export interface Sink {
  readonly origin: string;
  report(): Promise<SinkReport>;
  /** Answers when so many have come: asking all the time would take from what is measured. */
  reportFrom(count: number): Promise<SinkReport>;
  reset(timed?: boolean): Promise<void>;
  stop(): void;
}

export async function startSink(): Promise<Sink> {
  const child = fork(process.argv[1] as string, ['sink'], { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] });
  const [origin] = (await once(child, 'message')) as [string];
  return {
    origin,
    report: async () => (await (await fetch(`${origin}/report`)).json()) as SinkReport,
    reportFrom: async (count) => {
      const { body } = await request(`${origin}/report?from=${count}`, { headersTimeout: drainTimeoutMs });
      return (await body.json()) as SinkReport;
    },
    reset: async (timed = false) => {
      await (await fetch(`${origin}/reset${timed ? '?timed' : ''}`)).text();
    },
    stop: () => child.disconnect(),
  };
}

/** Signed POSTs of a file's size, as fast as one process of nothing else sends them. */
async function bareLoop(origin: string, count: number): Promise<number> {
  const pool = new Pool(origin, { connections: referenceConnections });
  const body = Buffer.from(
    JSON.stringify({ event: 'file.updated', data: fileData(1), timestamp: new Date().toISOString() }),
  );
  const rates: number[] = [];
  for (let round = 0; round < referenceRounds; round++) {
    let left = count;
    const started = performance.now();
    await Promise.all(
      Array.from({ length: referenceConnections * 2 }, async () => {
        while (left-- > 0) {
          const signature = createHmac('sha256', 'whsec_reference').update(body).digest('hex');
          const headers = { 'content-type': 'application/json', 'x-webhook-signature': signature };
          const answer = await pool.request({ method: 'POST', path: '/hook', headers, body });
          await answer.body.dump();
        }
      }),
    );
    rates.push((count / (performance.now() - started)) * 1_000);
  }
  await pool.close();
  return median(rates);
}

/** A Space of its own with so many webhooks, all of them to the sink. */
export async function subscribe(system: TestSystem, origin: string, count: number): Promise<string> {
  const space = await system.createSpace();
  const { key } = await system.createKey(space.slug);
  for (let number = 1; number <= count; number++) {
    const answer = await fetch(`${system.baseUrl}/api/v1/webhooks`, {
      method: 'POST',
      headers: { 'x-api-key': key, 'content-type': 'application/json' },
      body: JSON.stringify({ name: `sink ${number}`, url: `${origin}/hook/${number}`, events: ['file.*'] }),
    });
    if (answer.status !== 201) throw new Error(`the webhook was refused: ${answer.status} ${await answer.text()}`);
  }
  return space.id;
}

/** The dispatcher is away while the events come; then it starts, and drains what has gathered. */
async function drainBacklog(system: TestSystem, sink: Sink, spaceId: string, events: number, subscriptions: number) {
  await system.terminate('dispatcher');
  await sink.reset();
  for (let from = 1; from <= events; from += publishBatch) {
    const count = Math.min(publishBatch, events - from + 1);
    await system.publish(
      spaceId,
      Array.from({ length: count }, (_, index) => ({ type: 'file.created', data: fileData(from + index) })),
    );
  }
  await system.applied(drainTimeoutMs);
  say(`${events} events wait for ${subscriptions} subscription${subscriptions === 1 ? '' : 's'}`);
  await system.startInstance('dispatcher');
  const wanted = events * subscriptions;
  const report = await sink.reportFrom(wanted);
  return (report.count / (report.last - report.first)) * 1_000;
}

async function measureLatency(system: TestSystem, sink: Sink, seconds: number): Promise<void> {
  const spaceId = await subscribe(system, sink.origin, 1);
  // Connections and compiled code first, as in a system that has been running.
  await publishSteadily(system, spaceId, 1_000_000, 2);
  await waitFor('the first ones', async () => (await sink.report()).last < Date.now() - 300);
  await sink.reset(true);
  const published = await publishSteadily(system, spaceId, 2_000_000, seconds);
  const { delays } = await sink.reportFrom(published);
  const sorted = [...delays].sort((a, b) => a - b);
  const at = (share: number) => sorted[Math.floor(sorted.length * share)] ?? 0;
  for (const [name, share] of [
    ['p50', 0.5],
    ['p95', 0.95],
    ['p99', 0.99],
  ] as const)
    printFigure(`publish to receipt at ${steadyRate}/s, ${name}`, 'ms', at(share));
}

/** How many were published: one every few milliseconds, each on its own, dated with the moment it is handed over. */
async function publishSteadily(system: TestSystem, spaceId: string, firstId: number, seconds: number): Promise<number> {
  const total = steadyRate * seconds;
  const started = performance.now();
  const pending: Promise<void>[] = [];
  for (let sent = 0; sent < total;) {
    const due = Math.min(total, Math.floor(((performance.now() - started) / 1_000) * steadyRate));
    for (; sent < due; sent++)
      pending.push(
        system.publish(spaceId, [
          { type: 'file.created', data: fileData(firstId + sent), time: new Date().toISOString() },
        ]),
      );
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
  await Promise.all(pending);
  return total;
}

/** A file as a transaction system sends it: about 1.5 kB of payload. */
export const fileData = (id: number) => ({
  id,
  name: `333 Main St #${id}`,
  fileType: 'listing',
  listingStatus: 'active',
  propertyAddress: `333 Main St #${id}, San Francisco, CA 94105`,
  streetNumber: '333',
  streetName: 'Main St',
  city: 'San Francisco',
  state: 'CA',
  zipCode: '94105',
  mlsNumber: `MLS-${id}`,
  listPrice: 1_250_000,
  closingDate: '2026-05-01',
  remarks: 'Sunny corner unit near the park. '.repeat(12),
});
