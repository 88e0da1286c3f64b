import { outOfQueue } from './ended-deliveries';
import { isErased } from './erased-events';
import { statement } from '@keyturn/platform/database';

/** The statements of {@link ReplayStore}. `$1` is the Space wherever one acts for it. */

const columns = `id, space_id, endpoint_id, target_id, url, since, until, events, selection, rate_limit, dry_run, status, position, read,
  matched, error, created_at, finished_at`;

/** $2 webhook · $3 URL · $4 rate · $5 whether its receiver has consented · $6 requests a minute it takes: a target of the job's own, which signs with the webhook's secret. */
export const insertTarget = statement(
  'webhooks.replay.target',
  `with made as (
     insert into webhooks.endpoint (space_id, parent_id, name, url, events, secret_enc, signature_scheme,
                                    previous_scheme_until, signature_key_enc, ordering, retry_schedule, thin, rate_limit, verified_at,
                                    allowed_rate, suspended)
     select space_id, id, 'Replay of wh_' || id, $3, events, secret_enc, signature_scheme,
            previous_scheme_until, signature_key_enc, ordering, retry_schedule, thin, $4::int,
            case when $5::boolean then now() end, $6::int, suspended
     from webhooks.endpoint where space_id = $1 and id = $2
     returning id
   ), stated as (
     insert into webhooks.endpoint_state (endpoint_id) select id from made
   )
   select id from made`,
);

export const insert = statement(
  'webhooks.replay.insert',
  `insert into webhooks.replay (space_id, endpoint_id, target_id, url, since, until, events, selection, rate_limit, dry_run)
   values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
   returning ${columns}`,
);

export const get = statement(
  'webhooks.replay.get',
  `select ${columns} from webhooks.replay where space_id = $1 and endpoint_id = $2 and id = $3`,
);

export const readAll = statement(
  'webhooks.replay.read_all',
  `select ${columns} from webhooks.replay where space_id = $1 and id = any($2::bigint[])`,
);

export const countDeliveries = statement(
  'webhooks.replay.deliveries',
  `select replay_id, status, count(*)::int as deliveries from webhooks.delivery
   where space_id = $1 and replay_id = any($2::bigint[]) group by replay_id, status`,
);

/** Jobs whose next step is due, for one worker at a time. */
export const take = statement(
  'webhooks.replay.take',
  `with due as (
     select id from webhooks.replay
     where status = 'running' and next_step_at <= now() and (lease_until is null or lease_until < now())
     order by next_step_at limit $1 for update skip locked
   )
   update webhooks.replay r set lease_until = now() + $2::int * interval '1 ms'
   from due where r.id = due.id
   returning ${columns.replace(/(\w+)/g, 'r.$1')},
     (select e.events from webhooks.endpoint e where e.id = r.endpoint_id and e.deleted_at is null) as wanted_events,
     (select e.filter is not null from webhooks.endpoint e where e.id = r.endpoint_id) as filtered,
     (select count(*)::int from (select from webhooks.queue q where q.replay_id = r.id limit $3) waiting) as waiting`,
);

/** Not where another worker has gone on meanwhile: a page that was read too slowly is not handled twice. */
export const lock = statement(
  'webhooks.replay.lock',
  `select id from webhooks.replay where space_id = $1 and id = $2 and status = 'running' and position = $3 for update`,
);

/**
 * Chooses among a page of the log, and puts what it has chosen into the queue: a delivery that exists begins its schedule
 * anew, a missing one is made. Behind everything else of the endpoint, and spread over time where the job has a rate.
 *
 * $2 job · $3 ids · $4 sequences · $5 events · $6 resources · $7 records · $8 times · $9 commit times · $10 changed fields ·
 * $11 traceparents · $12 lengths · $13 offsets · $14 payloads · $15 attempts of the schedule · $16 at most so many
 */
export const step = statement(
  'webhooks.replay.step',
  `with incoming as materialized (
     select i.*, (i.committed_at at time zone 'UTC')::date as day
     from unnest($3::text[], $4::bigint[], $5::text[], $6::text[], $7::bigint[], $8::timestamptz[], $9::timestamptz[], $10::text[],
                 $11::text[], $12::int[], $13::int[])
          as i(id, sequence, event, resource, record_id, time, committed_at, changed, traceparent, bytes, place)
   ), job as materialized (
     select j.id, j.space_id, j.endpoint_id, j.target_id, j.selection, j.rate_limit, j.dry_run, s.events, s.filter, t.thin,
            t.ordering = 'record' as ordered, coalesce(cardinality(t.retry_schedule) + 1, $15::int) as round
     from webhooks.replay j
     join webhooks.endpoint s on s.id = j.endpoint_id and s.deleted_at is null
     join webhooks.endpoint t on t.id = j.target_id and t.deleted_at is null
     where j.space_id = $1 and j.id = $2
   ), wanted as materialized (
     select i.*, j.id as replay_id, j.space_id, j.target_id, j.rate_limit, j.dry_run, j.thin, j.ordered, j.round,
            d.id as found_id, d.status as found_status, coalesce(d.attempts, 0) as found_attempts,
            j.target_id = j.endpoint_id and d.id is not null as again,
            row_number() over (order by i.sequence) as turn
     from job j
     cross join incoming i
     left join lateral (
       select id, status, attempts from webhooks.delivery d
       where d.endpoint_id = j.endpoint_id and d.message_id = i.id and d.day = i.day
     ) d on true
     where (i.event = any(j.events) or i.resource || '.*' = any(j.events))
       and not ${isErased('i', 'substring($14::bytea from i.place + 1 for i.bytes)', 'j.space_id')}
       and (j.filter is null or webhooks.passes(j.filter, i.event, i.resource, string_to_array(i.changed, ','),
                                                substring($14::bytea from i.place + 1 for i.bytes)))
       and case j.selection when 'failed' then d.status = 'failed'
                            when 'missed' then d.id is null or d.status = 'cancelled'
                            else d.id is null or d.status not in ('pending', 'retrying') end
     order by i.sequence limit $16
   ), given as materialized (
     select *, case when again then found_id else nextval('webhooks.delivery_id') end as delivery_id
     from wanted where not dry_run
   ), stored as (
     insert into webhooks.message
       (day, id, space_id, sequence, event, resource, record_id, time, committed_at, changed, traceparent, payload)
     select day, id, space_id, sequence, event, resource, record_id, time, committed_at,
            coalesce(string_to_array(nullif(changed, ''), ','), '{}'), traceparent, substring($14::bytea from place + 1 for bytes)
     from given order by sequence
     on conflict do nothing
   ), made as (
     insert into webhooks.delivery (id, day, endpoint_id, space_id, message_id, sequence, event, resource, record_id, thin, replay_id,
                                    created_at, status, unusual_event, max_attempts)
     select delivery_id, day, target_id, space_id, id, sequence, event, resource, record_id, thin, replay_id, now(), 'pending', event, round
     from given where not again order by sequence
     on conflict (endpoint_id, message_id, day) do nothing
     returning id, endpoint_id, day
   ), counted as (
     insert into webhooks.endpoint_day (endpoint_id, day, deliveries)
     select endpoint_id, day, count(*) from made group by endpoint_id, day order by endpoint_id, day
     on conflict (endpoint_id, day) do update set deliveries = endpoint_day.deliveries + excluded.deliveries
   ), placed as (
     insert into webhooks.queue (delivery_id, day, endpoint_id, space_id, message_id, sequence, resource, record_id, thin, state, rank,
                                 due_at, attempts, attempts_before, reason, ordered, replay_id, status_before)
     select delivery_id, day, target_id, space_id, id, sequence, resource, record_id, thin,
            case when ordered then 'held' when rate_limit is null or turn = 1 then 'ready' else 'scheduled' end, 2,
            now() + case when rate_limit is null then interval '0' else (turn - 1) * interval '1 s' / rate_limit end,
            case when again then found_attempts else 0 end, case when again then found_attempts else 0 end, 'replay', ordered,
            replay_id, case when again then found_status end
     from given
     where again or delivery_id in (select id from made)
     order by delivery_id
     on conflict (delivery_id) do nothing
   ), renewed as (
     update webhooks.delivery d
     set status = 'pending', next_retry_at = null, max_attempts = g.found_attempts + g.round, replay_id = g.replay_id
     from given g where g.again and d.id = g.found_id and d.day = g.day
   )
   select count(*)::int as matched, max(sequence) as last, coalesce(bool_or(ordered and not dry_run), false) as ordered from wanted`,
);

/** $3 position · $4 matched · $5 read to the end · $6 next step, ms from now */
export const advance = statement(
  'webhooks.replay.advance',
  `update webhooks.replay
   set position = $3, matched = matched + $4, read = $5, lease_until = null,
       next_step_at = now() + $6::float8 * interval '1 ms',
       status = case when $5 and dry_run then 'done' else status end,
       finished_at = case when $5 and dry_run then now() end
   where space_id = $1 and id = $2
   returning ${columns}`,
);

/** Everything it has put into the queue has ended. */
export const finish = statement(
  'webhooks.replay.finish',
  `update webhooks.replay r set status = 'done', finished_at = now(), lease_until = null
   where space_id = $1 and id = $2 and status = 'running' and read
     and not exists (select from webhooks.queue q where q.replay_id = r.id)
   returning target_id, endpoint_id`,
);

export const fail = statement(
  'webhooks.replay.fail',
  `update webhooks.replay set status = 'failed', error = $3, finished_at = now(), lease_until = null
   where space_id = $1 and id = $2 and status = 'running'
   returning target_id, endpoint_id`,
);

/** The job that sends to this URL of its own. */
export const failTo = statement(
  'webhooks.replay.fail_to',
  `update webhooks.replay set status = 'failed', error = $3, finished_at = now(), lease_until = null
   where space_id = $1 and target_id = $2 and status = 'running'
   returning id, target_id, endpoint_id`,
);

export const cancel = statement(
  'webhooks.replay.cancel',
  `update webhooks.replay set status = 'cancelled', finished_at = now(), lease_until = null
   where space_id = $1 and endpoint_id = $2 and ($3::bigint is null or id = $3) and status = 'running'
   returning id, target_id, endpoint_id`,
);

/** What it brought and has not been sent: deliveries that had ended before are again what they were. */
export const cancelWaiting = statement(
  'webhooks.replay.cancel_waiting',
  `with waiting as materialized (
     select delivery_id from webhooks.queue where space_id = $1 and replay_id = $2 and state <> 'leased'
     order by delivery_id for update
   ), gone as (
     delete from webhooks.queue q using waiting w where q.delivery_id = w.delivery_id and q.state <> 'leased'
     returning q.delivery_id, q.day, q.status_before
   )
   update webhooks.delivery d
   set ${outOfQueue}
   from gone where d.id = gone.delivery_id and d.day = gone.day`,
);

export const removeTarget = statement(
  'webhooks.replay.remove_target',
  `update webhooks.endpoint
   set deleted_at = now(), is_active = false, secret_enc = null, previous_secret_enc = null,
       signature_key_enc = null, previous_signature_key_enc = null, revision = revision + 1
   where space_id = $1 and id = $2 and parent_id is not null and deleted_at is null`,
);

/** Cancelled jobs with something left: it was on its way when they were cancelled. */
export const leftOver = statement(
  'webhooks.replay.left_over',
  `select r.id, r.space_id from webhooks.replay r
   where r.status in ('cancelled', 'failed') and r.finished_at > now() - interval '1 day'
     and exists (select from webhooks.queue q where q.replay_id = r.id and q.state <> 'leased')`,
);
