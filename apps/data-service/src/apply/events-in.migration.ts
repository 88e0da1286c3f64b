import type { Migration } from '@keyturn/platform/database';
import type { QueryRunner } from 'typeorm';

/** What the write side keeps: Spaces, tombstones, events applied before, the log, and how far each stream has been read. */
export class EventsIn1763640000002 implements Migration {
  readonly safeForRunningVersion = true;

  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      create table data.space (
        space_id bigint primary key,
        status text not null check (status in ('active', 'suspended', 'deleted')),
        sequence bigint not null default 0
      ) with (fillfactor = 50);
      comment on table data.space is
        'The Spaces whose events are taken. A writer locks its Space''s row first and takes event sequences there, so sequence = commit order.';

      create table data.tombstone (
        space_id bigint not null,
        resource text not null,
        record_id bigint not null,
        version bigint,
        event_time timestamptz(3) not null,
        primary key (space_id, resource, record_id)
      );
      comment on table data.tombstone is 'Deleted records: an older event must not bring them back.';

      create table data.position (
        name text primary key,
        sequence bigint not null default 0,
        moment timestamptz(3),
        stream_created timestamptz(3)
      ) with (fillfactor = 50);
      comment on table data.position is
        'DOMAIN, BACKFILL: the last stream sequence that is applied, and when the stream stored it. log: the last id of the log. relay: the last id of the log that is in EVENTS.';
      insert into data.position (name) values ('DOMAIN'), ('BACKFILL'), ('log'), ('relay');

      create table data.seen_event (
        key uuid not null,
        seen_on date not null
      ) partition by range (seen_on);
      create index seen_event_key on data.seen_event (key);
      comment on table data.seen_event is 'Digests of (source, id): an event that was applied is not applied again.';

      create table data.event_log (
        id bigint not null,
        committed_at timestamptz(3) not null,
        space_id bigint not null,
        sequence bigint not null,
        event_id text not null,
        event text not null,
        resource text not null,
        record_id bigint not null,
        time timestamptz(3) not null,
        changed text[] not null,
        traceparent text,
        payload text not null,
        primary key (id, committed_at)
      ) partition by range (committed_at);
      create index event_log_sequence on data.event_log (space_id, sequence);
      comment on table data.event_log is
        'Every message in commit order; ids are dense and rise with committed_at. payload: the exact bytes of the webhook body.';
    `);
    await runner.query(ensurePartitions);
    await runner.query(dropPartitions);
    await runner.query(`select data.ensure_partitions((now() at time zone 'utc')::date)`);
  }

  down(): Promise<void> {
    return Promise.reject(new Error('migrations only go forward'));
  }
}

/**
 * Days ahead are made in time, so that an insert always finds its partition. A partition is made aside and attached: that
 * takes a weaker lock than making it in place. The log has a partition a day, seen events one in ten days, because each of
 * theirs is asked for each event.
 */
const ensurePartitions = `
  create function data.ensure_partitions(today date) returns void language plpgsql set timezone = 'UTC' as $$
  declare
    first date;
    part text;
  begin
    perform pg_advisory_xact_lock(hashtext('data.ensure_partitions'));
    for first in select generate_series(today - 1, today + 7, interval '1 day')::date loop
      part := 'event_log_' || to_char(first, 'YYYYMMDD');
      if to_regclass('data.' || part) is null then
        execute format('create table data.%I (like data.event_log including defaults including storage)', part);
        execute format(
          'alter table data.event_log attach partition data.%I for values from (%L) to (%L)',
          part, first::text || ' 00:00+00', (first + 1)::text || ' 00:00+00');
      end if;
    end loop;
    for first in
      select distinct date '2000-01-01' + (day::date - date '2000-01-01') / 10 * 10
      from generate_series(today - 1, today + 7, interval '1 day') day
    loop
      part := 'seen_event_' || to_char(first, 'YYYYMMDD');
      if to_regclass('data.' || part) is null then
        execute format('create table data.%I (like data.seen_event including defaults)', part);
        execute format(
          'alter table data.seen_event attach partition data.%I for values from (%L) to (%L)', part, first, first + 10);
      end if;
    end loop;
  end $$;
`;

/** Drops the partitions that hold nothing from `keep_from` on, and says how many. */
const dropPartitions = `
  create function data.drop_partitions(parent regclass, keep_from date) returns int language plpgsql set timezone = 'UTC' as $$
  declare
    part record;
    dropped int := 0;
  begin
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
