import { isDeepStrictEqual } from 'node:util';
import { DiscardPolicy, nanos, NatsError, RetentionPolicy, StorageType, type StreamConfig } from 'nats';
import type { NatsLink } from './link';

const day = 24 * 60 * 60 * 1_000;

/** The streams and what they keep (DESIGN §4). Full means: the publisher is told, nothing old is dropped for it. */
export const streams = {
  DOMAIN: { subjects: ['domain.>'], keepMs: 7 * day },
  BACKFILL: { subjects: ['backfill.>'], keepMs: 7 * day },
  EVENTS: { subjects: ['events.>'], keepMs: 7 * day },
  REJECTED: { subjects: ['rejected.>'], keepMs: 30 * day },
} as const;

const duplicateWindowMs = 2 * 60 * 1_000;

/**
 * Makes the streams that are missing and brings the others to today's settings. Safe to run at any time, by several at once. One
 * that has its settings is left alone: with any update, server 2.9 writes down a new time of creation, and after its next
 * start the stream would pass for another one whose messages nobody has read.
 */
export async function ensureStreams(link: NatsLink, replicas: number): Promise<void> {
  const manager = await link.manager();
  for (const [name, { subjects, keepMs }] of Object.entries(streams)) {
    const config: Partial<StreamConfig> = {
      subjects: [...subjects],
      retention: RetentionPolicy.Limits,
      storage: StorageType.File,
      discard: DiscardPolicy.New,
      max_age: nanos(keepMs),
      duplicate_window: nanos(duplicateWindowMs),
      num_replicas: replicas,
    };
    try {
      const { config: found } = await manager.streams.info(name);
      if (!isWithin(config, found)) await manager.streams.update(name, config);
    } catch (error) {
      if (!(error instanceof NatsError) || error.api_error?.code !== 404) throw error;
      await manager.streams.add({ ...config, name });
    }
  }
}

const isWithin = (wanted: Partial<StreamConfig>, found: StreamConfig) =>
  Object.entries(wanted).every(([name, value]) => isDeepStrictEqual(found[name as keyof StreamConfig], value));
