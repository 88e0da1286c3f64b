import { webhookPayload, type OperationalData, type OperationalEvent } from '@keyturn/contracts';
import { spaceId, statement, type Transaction } from '@keyturn/platform/database';
import { newUlid } from '@keyturn/platform/ids';

/**
 * Owed to whoever wants such events in the Space at this moment, but not to the endpoint itself. They are no change of a record, so
 * they have no place in the Space's sequence, and no thin form: there is no record to ask for.
 * $1 Space · $2 message id · $3 event · $4 endpoint · $5 time · $6 payload · $7 attempts of the common schedule
 */
const emit = statement(
  'webhooks.operational.emit',
  `with wanted as materialized (
     select e.id, e.space_id, coalesce(cardinality(e.retry_schedule) + 1, $7::int) as max_attempts
     from webhooks.endpoint e
     where e.space_id = $1 and e.deleted_at is null and e.parent_id is null and e.is_active and e.id <> $4 and $3 = any(e.events)
   ), stored as (
     insert into webhooks.message (day, id, space_id, event, resource, record_id, time, committed_at, changed, payload)
     select (now() at time zone 'UTC')::date, $2, $1::bigint, $3, 'webhook', $4, $5::timestamptz, now(), '{}', $6
     where exists (select from wanted)
   ), made as (
     insert into webhooks.delivery (id, day, endpoint_id, space_id, message_id, event, resource, record_id, thin, created_at, status,
                                    unusual_event, max_attempts)
     select nextval('webhooks.delivery_id'), (now() at time zone 'UTC')::date, id, space_id, $2, $3, 'webhook', $4, false, now(),
            'pending', $3, max_attempts
     from wanted order by id
     returning id, day, endpoint_id, space_id, message_id, resource, record_id
   ), placed as (
     insert into webhooks.queue (delivery_id, day, endpoint_id, space_id, message_id, resource, record_id, thin, state, due_at, reason)
     select id, day, endpoint_id, space_id, message_id, resource, record_id, false, 'ready', now(), 'first' from made
   )
   insert into webhooks.endpoint_day (endpoint_id, day, deliveries) select endpoint_id, day, 1 from made
   on conflict (endpoint_id, day) do update set deliveries = endpoint_day.deliveries + 1
   returning endpoint_id`,
);

/** Writes the event beside the change that it reports; the endpoints that are owed it come back. */
export async function emitOperationalEvent<E extends OperationalEvent>(
  tx: Transaction,
  event: E,
  spaceNumber: string,
  data: OperationalData[E],
  maxAttempts: number,
): Promise<string[]> {
  const time = new Date().toISOString();
  const payload = Buffer.from(webhookPayload(event, JSON.stringify(data), time), 'utf8');
  const rows = await tx
    .inSpace(spaceId(spaceNumber))
    .query<{ endpoint_id: string }>(emit, [
      `evt_${newUlid()}`,
      event,
      data.webhookId.slice('wh_'.length),
      time,
      payload,
      maxAttempts,
    ]);
  return rows.map((row) => row.endpoint_id);
}
