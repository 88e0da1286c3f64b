import type { Migration } from '@keyturn/platform/database';
import type { QueryRunner } from 'typeorm';

/** What has been erased stays erased, whatever is on its way at that moment. */
export class Erasure1763600600000 implements Migration {
  readonly name = 'Erasure1763600600000';
  readonly safeForRunningVersion = true;

  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      -- Of an erased record, no event up to this one of its Space's sequence may come in with its data again.
      create table webhooks.erasure (
        space_id bigint not null,
        resource text not null,
        record_id bigint not null,
        up_to bigint not null,
        erased_at timestamptz(3) not null default now(),
        primary key (space_id, resource, record_id)
      );
      create index erasure_age on webhooks.erasure (erased_at);

      -- A delivery that was on its way while its record was erased: it ends with that attempt, and leaves no answer behind.
      alter table webhooks.queue add column erased boolean not null default false;
      create index queue_erased on webhooks.queue (delivery_id) where erased;

      create function webhooks.thin_payload(event text, record_id bigint, moment timestamptz) returns bytea
        language sql stable return convert_to(
          '{"event":' || to_json(event)::text || ',"data":{"id":' || record_id || '},"timestamp":"'
            || to_char(moment at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"') || '"}', 'UTF8');
    `);
  }

  down(): Promise<void> {
    throw new Error('migrations go forward only');
  }
}
