import type { Migration } from '@keyturn/platform/database';
import type { QueryRunner } from 'typeorm';

/** How far the stream of events has been taken in, as of a moment: what tells a restored database from one that went on. */
export class Intake1763600650000 implements Migration {
  readonly name = 'Intake1763600650000';
  readonly safeForRunningVersion = true;

  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      -- One row. Everything up to this sequence of EVENTS is in the tables: it is noted after its ack, so it is never ahead.
      create table webhooks.intake (
        one boolean primary key default true check (one),
        stream_created timestamptz(3),
        sequence bigint not null default 0,
        noted_at timestamptz not null default clock_timestamp()
      ) with (fillfactor = 50);
      insert into webhooks.intake default values;
    `);
  }

  down(): Promise<void> {
    throw new Error('migrations go forward only');
  }
}
