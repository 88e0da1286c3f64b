import type { Migration } from '@keyturn/platform/database';
import type { QueryRunner } from 'typeorm';

/** How a Space ends: a deletion that has begun is finished, whoever has to do it, and after a while what is left is forgotten. */
export class SpaceLife1763600800000 implements Migration {
  readonly name = 'SpaceLife1763600800000';
  readonly safeForRunningVersion = true;

  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      alter table access.space
        add column deletion_began_at timestamptz(3),
        add column deleted_at timestamptz(3),
        -- Of a Space that is purged only the row is left, for as long as the audit log names it.
        add column purged_at timestamptz(3);
      -- Those that ended before anybody wrote down when: their time begins now.
      update access.space set deleted_at = now() where status = 'deleted';
    `);
  }

  down(): Promise<void> {
    return Promise.reject(new Error('migrations only go forward'));
  }
}
