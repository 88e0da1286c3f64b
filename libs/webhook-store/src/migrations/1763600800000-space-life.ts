import type { Migration } from '@keyturn/platform/database';
import type { QueryRunner } from 'typeorm';

/**
 * Whether anything is sent for a Space. It stands in each of its endpoints, which whoever sends reads anyway: a Space that is
 * suspended costs nothing where deliveries are claimed.
 */
export class SpaceLife1763600800000 implements Migration {
  readonly name = 'SpaceLife1763600800000';
  readonly safeForRunningVersion = true;

  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      alter table webhooks.space
        add column status text not null default 'active' check (status in ('active', 'suspended', 'deleted')),
        add column suspended_at timestamptz(3),
        add column deleted_at timestamptz(3);
      comment on column webhooks.space.status is
        'A Space without a row is active. Who makes an endpoint holds the row, so none is made beside a change of it.';
      alter table webhooks.endpoint add column suspended boolean not null default false;
      -- What is purged of a Space that has ended is found by its endpoints.
      create index endpoint_deleted on webhooks.endpoint (space_id) where deleted_at is not null;
    `);
  }

  down(): Promise<void> {
    throw new Error('migrations go forward only');
  }
}
