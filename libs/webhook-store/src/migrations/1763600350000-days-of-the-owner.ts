import type { Migration } from '@keyturn/platform/database';
import type { QueryRunner } from 'typeorm';

/**
 * Days are made and dropped with the rights of the schema's owner, so that a service whose role may do no more than read and
 * write rows still has a place for every event. The functions take a day and nothing else, and look for names nowhere else.
 */
export class DaysOfTheOwner1763600350000 implements Migration {
  readonly name = 'DaysOfTheOwner1763600350000';
  readonly safeForRunningVersion = true;

  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      alter function webhooks.add_day(date) security definer set search_path = pg_catalog, pg_temp;
      alter function webhooks.drop_days_before(date) security definer set search_path = pg_catalog, pg_temp;
    `);
  }

  down(): Promise<void> {
    throw new Error('migrations go forward only');
  }
}
