import type { Migration } from '@keyturn/platform/database';
import type { QueryRunner } from 'typeorm';

/**
 * Days to be dropped are told by their name, read so that any other name of the catalog says nothing: Postgres is free to ask
 * about the name before it asks whose partition it is, and read an index's as a date.
 */
export class DaysByTheirName1763600700000 implements Migration {
  readonly name = 'DaysByTheirName1763600700000';
  readonly safeForRunningVersion = true;

  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      create or replace function webhooks.drop_days_before(first_kept date) returns integer
        language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
      declare
        partition text;
        dropped integer := 0;
      begin
        set local lock_timeout = '2s';
        for partition in
          select c.relname from pg_inherits i join pg_class c on c.oid = i.inhrelid
          where i.inhparent in ('webhooks.message'::regclass, 'webhooks.delivery'::regclass, 'webhooks.attempt'::regclass)
            and substring(c.relname from '^(?:message|delivery|attempt)_([0-9]{8})$') < to_char(first_kept, 'YYYYMMDD')
          order by right(c.relname, 8), c.relname
        loop
          execute format('drop table webhooks.%I', partition);
          dropped := dropped + 1;
        end loop;
        return dropped;
      end $$;
    `);
  }

  down(): Promise<void> {
    throw new Error('migrations go forward only');
  }
}
