import { purgeSpaces, statement, type Database, type Purged, type PurgePlan } from '@keyturn/platform/database';

const step = (name: string, table: string, key: string) =>
  statement(
    `webhooks.purge.${name}`,
    `with gone as (
       delete from webhooks.${table}
       where space_id = $1 and ${key} in (select ${key.replace(/[()]/g, '')} from webhooks.${table} where space_id = $1 limit $2)
       returning 1
     ) select count(*) as gone from gone`,
  );

/** Nothing of the Space waits any more, and nobody has any of it in his hands. */
const idle = `not exists (select from webhooks.queue q where q.endpoint_id = e.id and q.state <> 'leased')
       and not exists (select from webhooks.queue q where q.endpoint_id = e.id and q.state = 'leased')`;

const plan: PurgePlan = {
  due: statement(
    'webhooks.purge.due',
    `select space_id from webhooks.space where status = 'deleted' and deleted_at < $1 order by deleted_at, space_id limit 1000`,
  ),
  lock: statement(
    'webhooks.purge.lock',
    `select space_id from webhooks.space where space_id = $1 and status = 'deleted' for update skip locked`,
  ),
  steps: [
    statement(
      'webhooks.purge.waiting',
      `with gone as (
         delete from webhooks.queue where delivery_id in (
           select q.delivery_id from webhooks.endpoint e
           cross join lateral (
             select delivery_id from webhooks.queue where endpoint_id = e.id and state <> 'leased' limit $2
           ) q
           where e.space_id = $1 and e.deleted_at is not null limit $2
         ) and state <> 'leased'
         returning 1
       ) select count(*) as gone from gone`,
    ),
    // With their attempts, whose answers may repeat payloads.
    statement(
      'webhooks.purge.deliveries',
      `with old as materialized (
         select d.id, d.day from webhooks.endpoint e
         cross join lateral (select id, day from webhooks.delivery where endpoint_id = e.id limit $2) d
         where e.space_id = $1 and e.deleted_at is not null limit $2
       ), attempts as (
         delete from webhooks.attempt a using old where a.delivery_id = old.id and a.day = old.day
       ), gone as (
         delete from webhooks.delivery d using old where d.id = old.id and d.day = old.day returning 1
       ) select count(*) as gone from gone`,
    ),
    statement(
      'webhooks.purge.messages',
      `with old as materialized (
         select id, day from webhooks.message where space_id = $1 limit $2
       ), gone as (
         delete from webhooks.message m using old where m.id = old.id and m.day = old.day returning 1
       ) select count(*) as gone from gone`,
    ),
    step('replays', 'replay', 'id'),
    step('replies', 'idempotency', 'key'),
    step('erasures', 'erasure', '(resource, record_id)'),
    step('taken_in', 'accepted', 'space_id'),
    statement(
      'webhooks.purge.endpoints',
      `with old as materialized (
         select e.id from webhooks.endpoint e where e.space_id = $1 and e.deleted_at is not null and ${idle} limit $2
       ), hours as (
         delete from webhooks.endpoint_hour h using old where h.endpoint_id = old.id
       ), days as (
         delete from webhooks.endpoint_day d using old where d.endpoint_id = old.id
       ), gone as (
         delete from webhooks.endpoint e using old where e.id = old.id returning 1
       ) select count(*) as gone from gone`,
    ),
  ],
  end: statement(
    'webhooks.purge.end',
    `delete from webhooks.space
     where space_id = $1 and not exists (select from webhooks.endpoint e where e.space_id = $1) returning space_id`,
  ),
};

/** Forgets what is left of Spaces that ended before `before`: webhooks, deliveries with payloads and answers, everything. */
export const purgeEndedSpaces = (database: Database, before: Date, until: number): Promise<Purged> =>
  purgeSpaces(database, plan, before, until);
