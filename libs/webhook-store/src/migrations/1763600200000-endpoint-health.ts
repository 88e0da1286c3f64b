import type { Migration } from '@keyturn/platform/database';
import type { QueryRunner } from 'typeorm';

/** A way to the few endpoints whose health has to be looked at. */
export class EndpointHealth1763600200000 implements Migration {
  readonly name = 'EndpointHealth1763600200000';
  readonly safeForRunningVersion = true;

  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      create index endpoint_state_suspect on webhooks.endpoint_state (endpoint_id)
        where failing_since is not null or warned > 0;
    `);
  }

  down(): Promise<void> {
    throw new Error('migrations go forward only');
  }
}
