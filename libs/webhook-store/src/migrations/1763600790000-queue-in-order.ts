import type { Migration } from '@keyturn/platform/database';
import type { QueryRunner } from 'typeorm';

/**
 * What is due of an endpoint goes in the order of what has happened, not in that in which dispatchers took it in: several of them
 * share the stream. A running version sorts what is due of an endpoint until it is replaced.
 */
export class QueueInOrder1763600790000 implements Migration {
  readonly name = 'QueueInOrder1763600790000';
  readonly safeForRunningVersion = true;

  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      create index queue_in_order on webhooks.queue (endpoint_id, rank, sequence nulls first) where state = 'ready';
      drop index webhooks.queue_ready;
    `);
  }

  down(): Promise<void> {
    throw new Error('migrations go forward only');
  }
}
