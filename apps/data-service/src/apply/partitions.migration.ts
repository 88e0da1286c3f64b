import type { Migration } from '@keyturn/platform/database';
import type { QueryRunner } from 'typeorm';

/**
 * Partitions are made and dropped with the rights of the schema's owner, so that a service whose role may do no more than read
 * and write rows still has a place for every event, whatever else has not run. These functions are all it gets of those
 * rights: they take nothing but a day, name every object by its schema, and look nowhere else for one.
 */
export class Partitions1763640000003 implements Migration {
  readonly safeForRunningVersion = true;

  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      alter function data.ensure_partitions(date) security definer set search_path = pg_catalog, pg_temp;
    `);
    await runner.query(dropPartitions);
  }

  down(): Promise<void> {
    return Promise.reject(new Error('migrations only go forward'));
  }
}

/** As before, but of no other tables than these two: it may now be called by whoever could not drop them. */
const dropPartitions = `
  create or replace function data.drop_partitions(parent regclass, keep_from date) returns int
    language plpgsql security definer set timezone = 'UTC' set search_path = pg_catalog, pg_temp as $$
  declare
    part record;
    dropped int := 0;
  begin
    if parent not in ('data.event_log'::regclass, 'data.seen_event'::regclass) then
      raise exception '% is not one of the tables whose partitions are forgotten', parent using errcode = '42501';
    end if;
    for part in
      select child.oid::regclass as name
      from pg_inherits
      join pg_class child on child.oid = inhrelid
      where inhparent = parent
        and (regexp_match(pg_get_expr(child.relpartbound, child.oid), $re$TO \\('(\\d{4}-\\d\\d-\\d\\d)$re$))[1]::date <= keep_from
    loop
      execute format('drop table %s', part.name);
      dropped := dropped + 1;
    end loop;
    return dropped;
  end $$;
`;
