import { setTimeout as delay } from 'node:timers/promises';
import { ApiError } from '@keyturn/contracts';
import type { NatsLink } from '@keyturn/platform/nats';
import { RpcClient } from '@keyturn/platform/rpc';
import { subjectOf } from '../cloud-event';
import { type Outgoing, publishAll } from '../publish';
import { demoEvents, type DemoOptions } from './demo-events';
import { Ids } from './records';

export interface DemoProgress {
  readonly published: number;
  /** How many of them data-service has applied. */
  readonly applied: number;
}

export interface LoadOptions extends DemoOptions {
  readonly link: NatsLink;
  readonly onProgress?: (progress: DemoProgress) => void;
  /** How long nothing may move before the load is given up. */
  readonly patienceMs?: number;
}

export interface DemoReport {
  readonly events: number;
  /** Events that the stream had already: a repeated load. */
  readonly duplicates: number;
  readonly seconds: number;
}

const pollMs = 50;
const encoder = new TextEncoder();

function* outgoing(options: DemoOptions): Generator<Outgoing> {
  for (const event of demoEvents(options))
    yield {
      subject: subjectOf(event),
      messageId: `${event.source}|${event.id}`,
      body: encoder.encode(JSON.stringify(event)),
    };
}

/**
 * Fills a Space with the demo brokerage through the event path, and returns when the read side shows all of it: when
 * data-service has applied the stream up to the last message of the load.
 */
export async function loadDemo(options: LoadOptions): Promise<DemoReport> {
  const { link, spaceId, files, seed, onProgress, patienceMs = 30_000 } = options;
  const started = performance.now();
  await link.whenConnected();
  const rpc = new RpcClient(link);
  const stream = options.live ? 'DOMAIN' : 'BACKFILL';
  let published = 0;
  const { accepted, duplicates, lastSequence } = await publishAll(link.connection(), outgoing(options), (report) => {
    published = report.accepted;
    if (published % 5_000 === 0) onProgress?.({ published, applied: 0 });
  });

  let best = -1;
  let lastMove = performance.now();
  for (;;) {
    const position = await positionOf(rpc, stream);
    if (position !== undefined && position > best) {
      best = position;
      lastMove = performance.now();
      onProgress?.({ published: accepted, applied: Math.max(0, accepted - Math.max(0, lastSequence - position)) });
    }
    if (best >= lastSequence) break;
    if (performance.now() - lastMove > patienceMs)
      throw new ApiError(
        'UNAVAILABLE',
        `data-service has not gone on with stream ${stream} for ${patienceMs / 1000} s`,
      );
    await delay(pollMs);
  }
  await expectFile(rpc, spaceId, new Ids(seed).file(0));
  await expectFile(rpc, spaceId, new Ids(seed).file(files - 1));
  return { events: accepted, duplicates, seconds: (performance.now() - started) / 1_000 };
}

/** Undefined while data-service is away: it may be starting. */
async function positionOf(rpc: RpcClient, stream: 'DOMAIN' | 'BACKFILL'): Promise<number | undefined> {
  try {
    return (await rpc.request('data.streams.position', {})).head[stream];
  } catch (error) {
    if (error instanceof ApiError && error.code === 'UNAVAILABLE') return undefined;
    throw error;
  }
}

async function expectFile(rpc: RpcClient, spaceId: string, id: number): Promise<void> {
  try {
    await rpc.request('data.detail', { spaceId, collection: 'files', id, fields: ['id'] });
  } catch (error) {
    if (!(error instanceof ApiError) || error.code !== 'NOT_FOUND') throw error;
    throw new ApiError(
      'CONFLICT',
      `data-service took the demo's events but does not show file ${id}; see "events rejected"`,
    );
  }
}
