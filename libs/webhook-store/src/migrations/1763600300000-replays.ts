import type { Migration } from '@keyturn/platform/database';
import type { QueryRunner } from 'typeorm';

/** Jobs that send again. */
export class Replays1763600300000 implements Migration {
  readonly name = 'Replays1763600300000';
  readonly safeForRunningVersion = true;

  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      create table webhooks.replay (
        id bigint generated always as identity primary key,
        space_id bigint not null,
        endpoint_id bigint not null,
        -- Where deliveries go: the endpoint itself, or one made for the job with another URL.
        target_id bigint not null,
        url text,
        since timestamptz(3) not null,
        until timestamptz(3) not null,
        events text[],
        selection text not null check (selection in ('failed', 'missed', 'all')),
        rate_limit integer,
        dry_run boolean not null,
        status text not null default 'running' check (status in ('running', 'done', 'cancelled', 'failed')),
        -- Of the Space's log: everything up to it has been looked at.
        position bigint not null default 0,
        read boolean not null default false,
        matched bigint not null default 0,
        error text,
        -- Who works at it, until when; and when the next step is due.
        lease_until timestamptz(3),
        next_step_at timestamptz(3) not null default now(),
        created_at timestamptz(3) not null default now(),
        finished_at timestamptz(3)
      );
      create index replay_of_endpoint on webhooks.replay (space_id, endpoint_id, id);
      create index replay_running on webhooks.replay (next_step_at) where status = 'running';
      create unique index replay_one_at_a_time on webhooks.replay (endpoint_id) where status = 'running';
      create index delivery_of_replay on webhooks.delivery (replay_id) where replay_id is not null;
    `);
  }

  down(): Promise<void> {
    throw new Error('migrations go forward only');
  }
}
