import type { Migration } from '@keyturn/platform/database';
import type { QueryRunner } from 'typeorm';

/** Order within a record: how far the events of a Space have been taken in, and a way to what is held behind another. */
export class RecordOrder1763600100000 implements Migration {
  readonly name = 'RecordOrder1763600100000';
  readonly safeForRunningVersion = true;

  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      -- Spaces with an ordered endpoint: which sequences have been taken in. Dispatchers share the stream, so a later batch may
      -- come first; what lies behind a gap waits until the gap is filled.
      create table webhooks.accepted (
        space_id bigint primary key,
        ranges int8multirange not null,
        gap_since timestamptz(3)
      ) with (fillfactor = 50);
      create index accepted_gap on webhooks.accepted (gap_since) where gap_since is not null;
      create index queue_held on webhooks.queue (space_id, endpoint_id, resource, record_id) where state = 'held';
    `);
  }

  down(): Promise<void> {
    throw new Error('migrations go forward only');
  }
}
