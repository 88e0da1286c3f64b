import { isErased } from './erased-events';
import { statement } from '@keyturn/platform/database';

/** The statements of {@link PostgresDispatchStore}. `$1` is the instance wherever one acts. */

export const register = statement(
  'webhooks.dispatcher.register',
  `insert into webhooks.dispatcher (alive_until) values (now() + $1::int * interval '1 ms') returning id`,
);

export const renew = statement(
  'webhooks.dispatcher.renew',
  `update webhooks.dispatcher set alive_until = now() + $2::int * interval '1 ms' where id = $1 returning id`,
);

export const forget = statement('webhooks.dispatcher.forget', `delete from webhooks.dispatcher where id = $1`);

export const bury = statement(
  'webhooks.dispatcher.bury',
  `delete from webhooks.dispatcher where alive_until < now() returning id`,
);

/** Frees what is leased to an instance that is no more, also what it took while it was being buried. */
export const freeOrphans = statement(
  'webhooks.queue.free_orphans',
  `with recursive owners as (
     (select owner from webhooks.queue where state = 'leased' order by owner limit 1)
     union all
     select (select q.owner from webhooks.queue q where q.state = 'leased' and q.owner > owners.owner
             order by q.owner limit 1)
     from owners where owners.owner is not null
   ), dead as materialized (
     select owner from owners
     where owner is not null and not exists (select from webhooks.dispatcher d where d.id = owners.owner)
   ), orphans as materialized (
     select q.delivery_id from dead cross join lateral (
       select delivery_id from webhooks.queue where state = 'leased' and owner = dead.owner for update skip locked
     ) q
   )
   update webhooks.queue q set state = 'ready', owner = null
   from orphans where q.delivery_id = orphans.delivery_id
   returning q.delivery_id`,
);

export const freeOwn = statement(
  'webhooks.queue.free_own',
  `update webhooks.queue set state = 'ready', owner = null where state = 'leased' and owner = $1 returning delivery_id`,
);

/** What was erased while its dispatcher had it, and came back by that one's death. */
export const endErased = statement(
  'webhooks.queue.end_erased',
  `with gone as (
     delete from webhooks.queue where erased and state <> 'leased' returning delivery_id, day, status_before
   )
   update webhooks.delivery d
   set status = coalesce(gone.status_before, 'cancelled'), troubled = d.troubled or gone.status_before is distinct from 'success',
       next_retry_at = null
   from gone where d.id = gone.delivery_id and d.day = gone.day`,
);

/** Endpoints of which this instance has something in its hands that was erased. */
export const erasedInHands = statement(
  'webhooks.queue.erased_in_hands',
  `select distinct endpoint_id from webhooks.queue where erased and state = 'leased' and owner = $1`,
);

export const leasedTo = statement(
  'webhooks.queue.leased_to',
  `select delivery_id from webhooks.queue where state = 'leased' and owner = $1`,
);

/** Of an endpoint that is off meanwhile, what comes back ends: its pending retries stop (T-089). So does what was erased. */
export const release = statement(
  'webhooks.queue.release',
  `with given as materialized (
     select q.delivery_id, e.is_active and e.deleted_at is null and not q.erased as wanted
     from webhooks.queue q join webhooks.endpoint e on e.id = q.endpoint_id
     where q.delivery_id = any($2::bigint[]) and q.state = 'leased' and q.owner = $1
     order by q.delivery_id for update of q
   ), gone as (
     delete from webhooks.queue q using given g where q.delivery_id = g.delivery_id and not g.wanted
     returning q.delivery_id, q.day, q.status_before
   ), ended as (
     update webhooks.delivery d
     set status = coalesce(gone.status_before, 'cancelled'), troubled = d.troubled or gone.status_before is distinct from 'success',
         next_retry_at = null
     from gone where d.id = gone.delivery_id and d.day = gone.day
   )
   update webhooks.queue q set state = 'ready', owner = null
   from given g where q.delivery_id = g.delivery_id and g.wanted`,
);

/**
 * Takes a batch of events in. The matching version of each subscription is the one whose range holds the event's sequence.
 * Rows are written in one order whatever the order of the batch, so that two instances with the same events wait for one
 * another instead of locking each other out. Payloads come as one run of bytes. Whether an event is owed is decided by what it
 * said; of a record that has been erased meanwhile it is owed in name only.
 *
 * $1 instance · $2 ids · $3 spaces · $4 sequences · $5 events · $6 resources · $7 records · $8 times · $9 commit times ·
 * $10 changed fields, by comma · $11 traceparents · $12 payload lengths · $13 payload offsets · $14 payloads ·
 * $15 room in all · $16 room of an endpoint · $17 room of named endpoints · $18 attempts of the schedule
 */
export const accept = statement(
  'webhooks.accept',
  `with incoming as materialized (
     select i.*, (i.committed_at at time zone 'UTC')::date as day,
            ${isErased('i', 'substring($14::bytea from i.place + 1 for i.bytes)')} as erased
     from unnest($2::text[], $3::bigint[], $4::bigint[], $5::text[], $6::text[], $7::bigint[], $8::timestamptz[],
                 $9::timestamptz[], $10::text[], $11::text[], $12::int[], $13::int[])
          as i(id, space_id, sequence, event, resource, record_id, time, committed_at, changed, traceparent, bytes, place)
   ), tracked as (
     update webhooks.accepted a
     set ranges = a.ranges + batch.ranges,
         gap_since = case when (select count(*) from unnest(a.ranges + batch.ranges)) > 1
                          then coalesce(a.gap_since, case when $1::bigint is not null then now() end) end
     from (select space_id, range_agg(int8range(sequence, sequence + 1)) as ranges,
                  (select before.gap_since is not null from webhooks.accepted before where before.space_id = incoming.space_id)
                    as had_gap
           from incoming group by space_id order by space_id) batch
     where a.space_id = batch.space_id
     returning batch.had_gap and a.gap_since is null as closed
   ), matched as materialized (
     select i.*, owed.endpoints, owed.thins,
            case when i.erased then webhooks.thin_payload(i.event, i.record_id, i.time)
                 else substring($14::bytea from i.place + 1 for i.bytes) end as payload
     from incoming i
     cross join lateral (
       select array_agg(v.endpoint_id order by v.endpoint_id) as endpoints,
              array_agg(v.thin order by v.endpoint_id) as thins
       from webhooks.endpoint_version v
       join webhooks.endpoint e on e.id = v.endpoint_id and e.deleted_at is null
       where v.space_id = i.space_id and v.until_sequence > i.sequence and v.from_sequence <= i.sequence and v.deliver
         and (i.event = any(v.events) or i.resource || '.*' = any(v.events))
         and (v.filter is null or webhooks.passes(v.filter, i.event, i.resource, string_to_array(i.changed, ','),
                                                  substring($14::bytea from i.place + 1 for i.bytes)))
     ) owed
     where owed.endpoints is not null
   ), stored as (
     insert into webhooks.message
       (day, id, space_id, sequence, event, resource, record_id, time, committed_at, changed, traceparent, payload, erased_at)
     select day, id, space_id, sequence, event, resource, record_id, time, committed_at,
            case when erased then '{}' else coalesce(string_to_array(nullif(changed, ''), ','), '{}') end, traceparent, payload,
            case when erased then now() end
     from matched order by space_id, sequence
     on conflict do nothing
   ), made as (
     insert into webhooks.delivery (id, day, endpoint_id, space_id, message_id, sequence, event, resource, record_id, thin,
                                    created_at, status, troubled, max_attempts)
     -- The numbers are given out behind the order, so that they follow it whatever way the rows were joined.
     select nextval('webhooks.delivery_id'), o.* from (
       select m.day, e.id as endpoint_id, m.space_id, m.id, m.sequence, m.event, m.resource, m.record_id,
              owed.thin, now(), case when e.is_active and not m.erased then 'pending' else 'cancelled' end,
              not e.is_active or m.erased,
              coalesce(cardinality(e.retry_schedule) + 1, $18::int)
       from matched m
       cross join lateral unnest(m.endpoints, m.thins) as owed(endpoint_id, thin)
       join webhooks.endpoint e on e.id = owed.endpoint_id
       order by m.space_id, m.sequence, e.id
     ) o
     on conflict (endpoint_id, message_id, day) do nothing
     returning id, day, endpoint_id, space_id, message_id, sequence, resource, record_id, thin, status
   ), lanes as materialized (
     select e.id, e.revision, e.ordering = 'record' as in_order,
            e.status = 'active' and e.send_rate is null and e.ordering = 'none'
              and (s.hold_until is null or s.hold_until <= now())
              and not exists (select from webhooks.queue w where w.state = 'ready' and w.endpoint_id = e.id) as open,
            coalesce(($17::jsonb ->> e.id::text)::int, $16::int) as room
     from (select distinct endpoint_id from made where status = 'pending') m
     join webhooks.endpoint e on e.id = m.endpoint_id
     left join webhooks.endpoint_state s on s.endpoint_id = m.endpoint_id
   ), turns as (
     select made.*, lanes.revision, lanes.open, lanes.room, lanes.in_order and made.sequence is not null as ordered,
            row_number() over (partition by made.endpoint_id order by made.id) as turn
     from made join lanes on lanes.id = made.endpoint_id
     where made.status = 'pending'
   ), chosen as (
     select *, open and turn <= room
               and row_number() over (order by not (open and turn <= room), turn, id) <= $15::int as leased
     from turns
   ), placed as (
     insert into webhooks.queue (delivery_id, day, endpoint_id, space_id, message_id, sequence, resource, record_id, thin,
                                 state, owner, due_at, reason, ordered)
     select id, day, endpoint_id, space_id, message_id, sequence, resource, record_id, thin,
            case when leased then 'leased' when ordered then 'held' else 'ready' end,
            case when leased then $1::bigint end, now(), 'first', ordered
     from chosen order by id
   ), counted as (
     insert into webhooks.endpoint_day (endpoint_id, day, deliveries)
     select endpoint_id, day, count(*) from made group by endpoint_id, day order by endpoint_id, day
     on conflict (endpoint_id, day) do update set deliveries = endpoint_day.deliveries + excluded.deliveries
   )
   select chosen.id, chosen.message_id, chosen.endpoint_id, chosen.revision, chosen.thin, chosen.leased, chosen.ordered,
          chosen.resource, chosen.record_id, batch.closed
   from (select coalesce(bool_or(closed), false) as closed from tracked) batch
   left join chosen on true
   order by chosen.id`,
);

/** What has fallen due joins what is ready. */
export const promote = statement(
  'webhooks.queue.promote',
  `with due as materialized (
     select delivery_id from webhooks.queue where state = 'scheduled' and due_at <= now()
     order by due_at limit 5000 for update skip locked
   )
   update webhooks.queue q set state = 'ready' from due where q.delivery_id = due.delivery_id`,
);

/**
 * Leases due deliveries. The recursion touches one index entry per endpoint that has something ready, so a backlog costs no
 * more than a single delivery; turns go round the Spaces, and round the endpoints of each. Of an endpoint with a rate, only
 * what it may send within the next second is taken, under a lock on its pace, so that all instances together keep it.
 *
 * $1 instance · $2 room in all · $3 room of an endpoint · $4 room of named endpoints · $5 begin behind this endpoint ·
 * $6 a disabled endpoint's next probe, ms from now
 */
export const claim = statement(
  'webhooks.claim',
  `with recursive lanes as (
     (select endpoint_id, 1 as place from webhooks.queue
      where state = 'ready' and endpoint_id > $5::bigint order by endpoint_id limit 1)
     union all
     select (select q.endpoint_id from webhooks.queue q where q.state = 'ready' and q.endpoint_id > lanes.endpoint_id
             order by q.endpoint_id limit 1), lanes.place + 1
     from lanes where lanes.endpoint_id is not null and lanes.place <= 1000
   ), open as materialized (
     select e.id, e.revision, e.send_rate as rate_limit, e.status = 'disabled' as probed,
            case when e.status = 'disabled' then 1
                 else coalesce(($4::jsonb ->> e.id::text)::int, $3::int) end as room
     from lanes
     join webhooks.endpoint e on e.id = lanes.endpoint_id
     left join webhooks.endpoint_state s on s.endpoint_id = e.id
     where (e.status = 'active' and (s.hold_until is null or s.hold_until <= now()))
        or (e.status = 'disabled' and e.is_active and s.probe_at <= now())
   ), pace as materialized (
     select s.endpoint_id, greatest(s.next_send_at, now()) as begins, o.rate_limit
     from open o join webhooks.endpoint_state s on s.endpoint_id = o.id
     where o.rate_limit is not null
     for update of s skip locked
   ), limits as materialized (
     select o.id, o.revision, o.probed, p.begins, o.rate_limit,
            least(o.room,
                  greatest(1, ceil(2.0 * $2::int / greatest(1, (select count(*) from open where room > 0))))::int,
                  case when o.rate_limit is null then $2::int
                       when p.begins is null then 0
                       else ceil(extract(epoch from now() + interval '1 s' - p.begins) * o.rate_limit)::int end) as room
     from open o left join pace p on p.endpoint_id = o.id
   ), candidates as (
     select q.*, l.revision, l.probed, l.begins, l.rate_limit,
            row_number() over (partition by q.endpoint_id order by q.rank, q.due_at, q.delivery_id) as turn
     from limits l cross join lateral (
       select delivery_id, endpoint_id, space_id, rank, due_at from webhooks.queue
       where state = 'ready' and endpoint_id = l.id and not erased
       order by rank, due_at limit greatest(l.room, 0) for update skip locked
     ) q
   ), picked as materialized (
     select * from (
       select *, row_number() over (partition by space_id order by turn, due_at, delivery_id) as space_turn
       from candidates
     ) turns
     order by space_turn, turn, due_at, delivery_id limit $2::int
   ), paced as (
     update webhooks.endpoint_state s
     set next_send_at = p.begins + p.taken * interval '1 s' / p.rate_limit
     from (select endpoint_id, begins, rate_limit, count(*) as taken from picked where rate_limit is not null
           group by endpoint_id, begins, rate_limit) p
     where s.endpoint_id = p.endpoint_id
   ), probing as (
     update webhooks.endpoint_state s set probe_at = now() + $6::int * interval '1 ms'
     from picked p where p.probed and s.endpoint_id = p.endpoint_id
   ), taken as (
     update webhooks.queue q
     set state = 'leased', owner = $1::bigint, reason = case when p.probed then 'probe' else q.reason end
     from picked p where q.delivery_id = p.delivery_id
     returning q.delivery_id, q.day, q.endpoint_id, q.space_id, q.message_id, q.sequence, q.thin, q.attempts,
               q.attempts_before, q.reason, q.due_at, q.ordered, p.revision, p.turn, p.space_turn,
               case when p.rate_limit is null then 0
                    else greatest(0, extract(epoch from p.begins - now()) * 1000 + (p.turn - 1) * 1000.0 / p.rate_limit)
               end::float8 as not_before
   )
   select t.delivery_id, t.endpoint_id, t.space_id, t.message_id, t.sequence, t.thin, t.attempts, t.attempts_before,
          t.reason, t.revision, t.not_before, extract(epoch from now() - t.due_at)::float8 * 1000 as due_since,
          m.event, m.record_id, m.time, m.committed_at, m.traceparent, m.payload
   from taken t
   cross join lateral (
     select event, record_id, time, committed_at, traceparent, payload from webhooks.message m
     where m.day = t.day and m.id = t.message_id
   ) m
   order by t.space_turn, t.turn, t.due_at`,
);

export const nextDue = statement(
  'webhooks.queue.next_due',
  `with recursive lanes as (
     (select endpoint_id from webhooks.queue where state = 'ready' order by endpoint_id limit 1)
     union all
     select (select q.endpoint_id from webhooks.queue q where q.state = 'ready' and q.endpoint_id > lanes.endpoint_id
             order by q.endpoint_id limit 1)
     from lanes where lanes.endpoint_id is not null
   ), open as (
     select greatest(s.hold_until, case when e.send_rate is not null then s.next_send_at - interval '1 s' end,
                     case when e.status = 'disabled' then s.probe_at end, now()) as at
     from lanes
     join webhooks.endpoint e on e.id = lanes.endpoint_id
     left join webhooks.endpoint_state s on s.endpoint_id = e.id
     where (e.status = 'active' or (e.status = 'disabled' and e.is_active and s.probe_at is not null))
       and not e.id = any($1::bigint[])
   )
   select extract(epoch from least(
            (select min(at) from open),
            (select due_at from webhooks.queue where state = 'scheduled' order by due_at limit 1)
          ) - now())::float8 * 1000 as ms`,
);

export const queueFigures = statement(
  'webhooks.queue.figures',
  `select count(*) as due, extract(epoch from greatest(now() - min(q.due_at), interval '0'))::float8 as oldest
   from webhooks.queue q join webhooks.endpoint e on e.id = q.endpoint_id and e.status = 'active'
   where q.state = 'ready' or (q.state = 'scheduled' and q.due_at <= now())`,
);

export const endpointStates = statement(
  'webhooks.endpoints.states',
  `select status, count(*) as count from webhooks.endpoint where deleted_at is null group by status`,
);

/** $1 Space · $2 instance · $3 endpoint · $4 message id · $5 time · $6 payload · $7 event · $8 resource */
export const openTest = statement(
  'webhooks.test.open',
  `with target as (
     select id, space_id, revision from webhooks.endpoint
     where space_id = $1 and id = $3 and deleted_at is null and parent_id is null
   ), stored as (
     insert into webhooks.message (day, id, space_id, event, resource, record_id, time, committed_at, changed, payload)
     select (now() at time zone 'UTC')::date, $4, space_id, $7, $8, id, $5::timestamptz, now(), '{}', $6 from target
   ), made as (
     insert into webhooks.delivery (id, day, endpoint_id, space_id, message_id, event, resource, record_id, thin, created_at,
                                    status, max_attempts)
     select nextval('webhooks.delivery_id'), (now() at time zone 'UTC')::date, id, space_id, $4, $7, $8, id, false, now(),
            'pending', 1
     from target
     returning *
   ), placed as (
     insert into webhooks.queue (delivery_id, day, endpoint_id, space_id, message_id, resource, record_id, thin, state, owner,
                                 due_at, reason)
     select id, day, endpoint_id, space_id, message_id, resource, record_id, thin, 'leased', $2, now(), 'test' from made
   ), counted as (
     insert into webhooks.endpoint_day (endpoint_id, day, deliveries) select endpoint_id, day, 1 from made
     on conflict (endpoint_id, day) do update set deliveries = endpoint_day.deliveries + 1
   )
   select made.id, made.endpoint_id, target.revision from made join target on target.id = made.endpoint_id`,
);

export const readEndpoints = statement(
  'webhooks.endpoints.read',
  `select id, space_id, revision, status, url, verified_at is not null as verified, secret_enc, retry_schedule, ordering, rate_limit, headers_enc,
          case when previous_secret_until > now() then previous_secret_enc end as previous_secret_enc,
          case when previous_secret_until > now() then previous_secret_until end as previous_secret_until,
          signature_scheme, case when previous_scheme_until > now() then previous_scheme_until end as previous_scheme_until,
          case when signature_scheme = 'v1a' or previous_scheme_until > now() then signature_key_enc end as signature_key_enc,
          case when previous_secret_until > now() then previous_signature_key_enc end as previous_signature_key_enc
   from webhooks.endpoint where id = any($1::bigint[])`,
);

/**
 * Writes attempts and what follows from them. Only a delivery that is still leased to the instance takes the effect; the
 * attempt itself is kept in any case, since it was made. What would be retried for an endpoint that is off meanwhile, or of a
 * record that was erased meanwhile, is cancelled; and of an erased record no answer is kept, since it may repeat the payload.
 *
 * $1 instance · $2 deliveries · $3 effects · $4 delays, ms · $5 holds, ms · $6 numbers · $7 start times · $8 reasons ·
 * $9 addresses · $10 statuses · $11 headers · $12 bodies · $13 faults · $14 errors · $15 dns · $16 connect · $17 tls ·
 * $18 first byte · $19 total, ms · $20 excerpts of the bodies · $21 to $22 the days of their partitions: all others are left
 * out before the statement begins, so that it costs the same however many are kept
 */
export const record = statement(
  'webhooks.record',
  `with result as materialized (
     select *
     from unnest($2::bigint[], $3::text[], $4::float8[], $5::float8[], $6::int[], $7::timestamptz[], $8::text[], $9::text[],
                 $10::int[], $11::text[], $12::text[], $13::text[], $14::text[], $15::float8[], $16::float8[], $17::float8[],
                 $18::float8[], $19::float8[], $20::text[])
          with ordinality as r(delivery_id, effect, delay_ms, hold_ms, number, started_at, reason, address, status, headers,
                               body, fault, error, dns_ms, connect_ms, tls_ms, first_byte_ms, total_ms, excerpt, place)
   ), mine as materialized (
     select r.*, q.day, q.endpoint_id, q.space_id, q.resource, q.record_id, q.ordered, q.erased,
            r.effect = 'delivered' and e.status = 'disabled' and e.is_active as recovered,
            case when q.day is null or r.effect = 'repeat' then null
                 when r.effect = 'delivered' then 'success'
                 when r.effect = 'failed' then 'failed'
                 when e.is_active and e.deleted_at is null and not q.erased then 'retrying' else 'cancelled' end as next_status
     from (select * from result order by delivery_id, place) r
     left join lateral (
       -- "+ 0": by its id; the index of leases would walk all that the instance holds.
       select day, endpoint_id, space_id, resource, record_id, ordered, erased from webhooks.queue
       where delivery_id = r.delivery_id and state = 'leased' and owner + 0 = $1 for update
     ) q on true
     left join webhooks.endpoint e on e.id = q.endpoint_id
   ), decided as materialized (
     select *, case when next_status = 'retrying' then now() + delay_ms * interval '1 ms' end as next_at from mine
   ), finished as (
     delete from webhooks.queue q using decided d where q.delivery_id = d.delivery_id and d.next_status <> 'retrying'
   ), again as (
     update webhooks.queue q
     set state = 'scheduled', owner = null, due_at = d.next_at, attempts = d.number, rank = greatest(q.rank, 1),
         reason = case when q.reason in ('resend', 'replay') then q.reason else 'retry' end
     from decided d where q.delivery_id = d.delivery_id and d.next_status = 'retrying'
   ), changed as (
     update webhooks.delivery t
     set status = d.next_status, troubled = d.next_status <> 'success', attempts = d.number,
         last_attempt_at = d.started_at, next_retry_at = d.next_at,
         delivered_at = case when d.next_status = 'success' then d.started_at + d.total_ms * interval '1 ms' else t.delivered_at end,
         response_status = d.status, response_body = case when d.erased then null else d.excerpt end,
         error = d.error, duration_ms = round(d.total_ms)
     from decided d
     where t.id = d.delivery_id and t.day = d.day and t.day between $21::date and $22::date and d.next_status is not null
   ), kept as (
     insert into webhooks.attempt (day, delivery_id, space_id, number, reason, started_at, duration_ms, dns_ms, connect_ms, tls_ms,
                                   first_byte_ms, address, response_status, response_headers, response_body, fault, error,
                                   next_at, late)
     select coalesce(d.day, given_up.day), d.delivery_id, coalesce(d.space_id, given_up.space_id), d.number, d.reason, d.started_at,
            d.total_ms, d.dns_ms, d.connect_ms, d.tls_ms, d.first_byte_ms, d.address, d.status,
            case when d.erased or given_up.erased then null else d.headers end,
            case when d.erased or given_up.erased then null else d.body end, d.fault,
            d.error, d.next_at, d.day is null
     from decided d
     left join lateral (
       -- A null key is looked up nowhere: only what is no longer ours is searched for.
       -- Shared with whoever erases at this moment: one of the two sees what the other has done.
       select t.day, t.space_id, m.erased_at is not null as erased
       from webhooks.delivery t
       join webhooks.message m on m.day = t.day and m.id = t.message_id and m.day between $21::date and $22::date
       where t.id = case when d.day is null then d.delivery_id end and t.day between $21::date and $22::date
         -- Nor is it late if it is here already: the answer to the first writing got lost.
         and not exists (select from webhooks.attempt a where a.delivery_id = t.id and a.day = t.day and a.number = d.number
                           and a.started_at = d.started_at::timestamptz(3))
       for share of m
     ) given_up on true
     where coalesce(d.day, given_up.day) is not null
     order by d.place
   ), seen as (
     select endpoint_id, max(started_at) filter (where effect = 'delivered') as succeeded,
            min(started_at) filter (where effect <> 'delivered') as failed,
            count(*) filter (where effect <> 'delivered') as failures, count(*) as attempts, max(hold_ms) as hold_ms
     from decided where next_status is not null and reason <> 'test' group by endpoint_id
   ), stated as (
     update webhooks.endpoint_state s
     set last_success_at = greatest(s.last_success_at, seen.succeeded),
         failing_since = case when seen.succeeded is not null then null else coalesce(s.failing_since, seen.failed) end,
         consecutive_failures = case when seen.succeeded is not null then 0 else s.consecutive_failures + seen.failures end,
         hold_until = case when seen.hold_ms > 0 then greatest(s.hold_until, now() + seen.hold_ms * interval '1 ms')
                           else s.hold_until end
     from (select * from seen order by endpoint_id) seen
     where s.endpoint_id = seen.endpoint_id
       and (seen.failures > 0 or s.failing_since is not null or s.last_success_at is null
            or s.last_success_at < seen.succeeded - interval '1 s')
   ), hourly as (
     insert into webhooks.endpoint_hour (endpoint_id, hour, attempts, failures)
     select endpoint_id, date_trunc('hour', now()), attempts, failures from seen order by endpoint_id
     on conflict (endpoint_id, hour)
       do update set attempts = endpoint_hour.attempts + excluded.attempts, failures = endpoint_hour.failures + excluded.failures
   )
   select delivery_id, next_status, ordered, endpoint_id, resource, record_id, recovered from decided where day is not null`,
);

/** The endpoint goes off; the newest sequence that it was owed comes back, since it is owed nothing behind that. */
export const turnOff = statement(
  'webhooks.endpoint.turn_off',
  `update webhooks.endpoint e
   set is_active = false, disabled_reason = $2, disabled_at = now(), revision = revision + 1, updated_at = now()
   where id = $1 and is_active and deleted_at is null
   returning space_id, parent_id, name, url, events, thin, filter::text as filter,
             (select d.sequence from webhooks.delivery d where d.endpoint_id = e.id and d.sequence is not null
              order by d.id desc limit 1) as sequence`,
);

/** Endpoints that are off and still have something waiting: a dispatcher was writing while they were switched off. */
export const stranded = statement(
  'webhooks.queue.stranded',
  `with recursive lanes as (
     (select endpoint_id from webhooks.queue where state <> 'leased' order by endpoint_id limit 1)
     union all
     select (select q.endpoint_id from webhooks.queue q where q.state <> 'leased' and q.endpoint_id > lanes.endpoint_id
             order by q.endpoint_id limit 1)
     from lanes where lanes.endpoint_id is not null
   )
   select e.id, e.space_id from lanes join webhooks.endpoint e on e.id = lanes.endpoint_id
   where e.deleted_at is not null or not e.is_active`,
);
