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
