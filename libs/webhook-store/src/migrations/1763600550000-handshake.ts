import type { Migration } from '@keyturn/platform/database';
import type { QueryRunner } from 'typeorm';

/** An endpoint may have to agree before anything is sent to it, and says then how much it takes. */
export class Handshake1763600550000 implements Migration {
  readonly name = 'Handshake1763600550000';
  readonly safeForRunningVersion = true;

  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      alter table webhooks.endpoint
        add column handshake boolean not null default false,
        add column verified_at timestamptz(3),
        -- Requests a minute, as the receiver has said.
        add column allowed_rate integer;
      alter table webhooks.endpoint
        -- Deliveries a second: the owner's limit or the receiver's, whichever is lower.
        add column send_rate double precision generated always as (least(rate_limit, allowed_rate / 60.0)) stored;
    `);
  }

  down(): Promise<void> {
    throw new Error('migrations go forward only');
  }
}
