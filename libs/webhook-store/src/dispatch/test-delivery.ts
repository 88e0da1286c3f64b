import { ensureDaysAhead, isMissingDay } from '../days';
import { webhookNumber } from '../wire-ids';
import type { AcceptedDelivery, InstanceId, TestMessage } from './dispatch-store.types';
import { testEventName } from '@keyturn/contracts';
import { statement, type Database } from '@keyturn/platform/database';

/** $1 Space · $2 instance · $3 endpoint · $4 message id · $5 time · $6 payload · $7 event · $8 resource */
const open = statement(
  'webhooks.test.open',
  `with target as (
     select id, space_id, revision from webhooks.endpoint
     where space_id = $1 and id = $3 and deleted_at is null and parent_id is null
   ), stored as (
     insert into webhooks.message (day, id, space_id, event, resource, record_id, time, committed_at, changed, payload)
     select (now() at time zone 'UTC')::date, $4, space_id, $7, $8, id, $5::timestamptz, now(), '{}', $6 from target
   ), made as (
     insert into webhooks.delivery (id, day, endpoint_id, space_id, message_id, event, resource, record_id, thin, created_at,
                                    status, unusual_event, max_attempts)
     select nextval('webhooks.delivery_id'), (now() at time zone 'UTC')::date, id, space_id, $4, $7, $8, id, false, now(),
            'pending', $7, 1
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

export async function openTest(
  database: Database,
  instance: InstanceId,
  test: TestMessage,
): Promise<AcceptedDelivery | null> {
  const endpoint = webhookNumber(test.webhookId);
  if (!endpoint) return null;
  const [resource] = testEventName.split('.');
  const write = () =>
    database
      .inSpace(test.spaceId)
      .query<{ id: string; endpoint_id: string; revision: number }>(open, [
        instance,
        endpoint,
        test.messageId,
        test.time,
        Buffer.from(test.payload),
        testEventName,
        resource,
      ]);
  let rows;
  try {
    rows = await write();
  } catch (error) {
    if (!isMissingDay(error)) throw error;
    await ensureDaysAhead(database, new Date());
    rows = await write();
  }
  const [row] = rows;
  if (!row) return null;
  return {
    id: row.id,
    messageId: test.messageId,
    webhookId: row.endpoint_id,
    revision: row.revision,
    thin: false,
  };
}
