import type { Migration } from '@keyturn/platform/database';
import type { QueryRunner } from 'typeorm';

/** Deliveries by the time they were made, however many there are. It never changes, so updates stay on their pages (HOT). */
export class DeliveriesByTime1763600500000 implements Migration {
  readonly name = 'DeliveriesByTime1763600500000';
  readonly safeForRunningVersion = true;

  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`create index delivery_by_time on webhooks.delivery (endpoint_id, created_at, id)`);
  }

  down(): Promise<void> {
    throw new Error('migrations go forward only');
  }
}
