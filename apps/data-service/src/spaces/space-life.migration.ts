import type { Migration } from '@keyturn/platform/database';
import type { QueryRunner } from 'typeorm';

/** When a Space ended, so that what is left of it can be forgotten after a while. */
export class SpaceLife1763640000004 implements Migration {
  readonly safeForRunningVersion = true;

  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      alter table data.space add column deleted_at timestamptz(3);
      comment on column data.space.deleted_at is 'The row of a Space that has ended goes last, when nothing else is left of it.';
      -- Those that ended before anybody wrote down when: their time begins now.
      update data.space set deleted_at = now() where status = 'deleted';
    `);
  }

  down(): Promise<void> {
    return Promise.reject(new Error('migrations only go forward'));
  }
}
