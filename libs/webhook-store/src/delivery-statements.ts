import { statement } from '@keyturn/platform/database';

/** What a list or a detail shows of deliveries, by their keys; the payload as it was sent. */
const shown = `d.id, d.endpoint_id, d.message_id, d.event, d.status, d.attempts, d.max_attempts, d.response_status, d.response_body,
  d.error, d.duration_ms, d.created_at, d.last_attempt_at, d.next_retry_at, d.delivered_at,
  case when d.thin then json_build_object('event', m.event, 'data', json_build_object('id', m.record_id), 'timestamp',
         to_char(m.time at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"'))::text
       else convert_from(m.payload, 'UTF8') end as payload`;

export const readDeliveries = statement(
  'webhooks.deliveries.read',
  `select ${shown}
   from unnest($2::bigint[], $3::date[]) with ordinality as key(id, day, place)
   cross join lateral (
     select * from webhooks.delivery d where d.space_id = $1 and d.id = key.id and d.day = key.day
   ) d
   cross join lateral (
     select event, record_id, time, payload from webhooks.message m where m.day = d.day and m.id = d.message_id
   ) m
   order by key.place`,
);

export const findDelivery = statement(
  'webhooks.delivery.find',
  `select id, day::text as day from webhooks.delivery where space_id = $1 and endpoint_id = $2 and id = $3`,
);

export const readAttempts = statement(
  'webhooks.attempts.read',
  `select number, reason, started_at, duration_ms, dns_ms, connect_ms, tls_ms, first_byte_ms, address, response_status, response_headers,
          response_body, fault, error, next_at, late
   from webhooks.attempt where space_id = $1 and delivery_id = $2 and day = $3 order by id`,
);

/**
 * Puts a delivery into the queue again, from the beginning of its schedule; one that waits there already goes now. What is
 * on its way at this moment stays as it is. $2 delivery · $3 day · $4 attempts of the common schedule
 */
export const resend = statement(
  'webhooks.delivery.resend',
  `with chosen as (
     select d.id, d.day, d.endpoint_id, d.space_id, d.message_id, d.sequence, d.resource, d.record_id, d.thin, d.attempts, d.status,
            coalesce(cardinality(e.retry_schedule) + 1, $4::int) as round
     from webhooks.delivery d
     join webhooks.endpoint e on e.id = d.endpoint_id
     join webhooks.message m on m.day = d.day and m.id = d.message_id and m.erased_at is null
     where d.space_id = $1 and d.id = $2 and d.day = $3
   ), queued as (
     insert into webhooks.queue (delivery_id, day, endpoint_id, space_id, message_id, sequence, resource, record_id, thin, state,
                                 due_at, attempts, attempts_before, reason, status_before)
     select id, day, endpoint_id, space_id, message_id, sequence, resource, record_id, thin, 'ready', now(), attempts, attempts, 'resend',
            case when status in ('success', 'failed', 'cancelled') then status end
     from chosen
     on conflict (delivery_id) do update
       set state = case when queue.state = 'held' then 'held' else 'ready' end, due_at = now(), rank = 0, reason = 'resend',
           attempts_before = queue.attempts
       where queue.state <> 'leased'
     returning delivery_id
   )
   update webhooks.delivery d
   set status = 'pending', next_retry_at = null, max_attempts = chosen.attempts + chosen.round
   from chosen join queued on queued.delivery_id = chosen.id
   where d.id = chosen.id and d.day = chosen.day
   returning d.endpoint_id`,
);

export const findErased = statement(
  'webhooks.delivery.erased',
  `select m.id from webhooks.delivery d join webhooks.message m on m.day = d.day and m.id = d.message_id
   where d.space_id = $1 and d.id = $2 and d.day = $3 and m.erased_at is not null`,
);
