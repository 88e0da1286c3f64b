import { statement, type Database } from '@keyturn/platform/database';

/** $2 resource · $3 record. What is on its way at this moment may still arrive. */
const cancelWaiting = statement(
  'webhooks.erase.waiting',
  `with waiting as materialized (
     select delivery_id from webhooks.queue
     where space_id = $1 and resource = $2 and record_id = $3 and state <> 'leased'
     order by delivery_id for update
   ), gone as (
     delete from webhooks.queue q using waiting w where q.delivery_id = w.delivery_id and q.state <> 'leased'
     returning q.delivery_id, q.day, q.status_before
   )
   update webhooks.delivery d
   set status = coalesce(gone.status_before, 'cancelled'), troubled = d.troubled or gone.status_before is distinct from 'success',
       next_retry_at = null
   from gone where d.id = gone.delivery_id and d.day = gone.day
   returning d.id`,
);

/** Payloads become their thin form. What receivers answered may repeat them, so that goes too. */
const erase = statement(
  'webhooks.erase.messages',
  `with erased as (
     update webhooks.message m
     set payload = convert_to('{"event":' || to_json(m.event)::text || ',"data":{"id":' || m.record_id || '},"timestamp":"'
                     || to_char(m.time at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"') || '"}', 'UTF8'),
         changed = '{}', erased_at = now()
     where m.space_id = $1 and m.resource = $2 and m.record_id = $3 and m.erased_at is null
     returning m.day, m.id
   ), emptied as (
     update webhooks.delivery d set response_body = null
     from erased, webhooks.endpoint e
     where e.space_id = $1 and d.endpoint_id = e.id and d.message_id = erased.id and d.day = erased.day
     returning d.id, d.day
   ), silenced as (
     update webhooks.attempt a set response_body = null, response_headers = null
     from emptied where a.delivery_id = emptied.id and a.day = emptied.day
     returning a.id
   )
   select (select count(*)::int from erased) as messages, (select count(*)::int from silenced) as attempts`,
);

export interface ErasedRecord {
  readonly spaceId: string;
  /** As in event names. */
  readonly resource: string;
  readonly recordId: number;
}

/** Forgets what deliveries say of a record: its payloads, what was answered to them, and what waits of it. */
export async function eraseRecord(
  database: Database,
  { spaceId, resource, recordId }: ErasedRecord,
): Promise<{ messages: number; cancelled: number; attempts: number }> {
  return database.transaction('what waits of a record ends, and its payloads go', async (tx) => {
    const db = tx.inSpace(spaceId);
    const cancelled = await db.query(cancelWaiting, [resource, recordId]);
    const [erased] = await db.query<{ messages: number; attempts: number }>(erase, [resource, recordId]);
    return { messages: erased?.messages ?? 0, cancelled: cancelled.length, attempts: erased?.attempts ?? 0 };
  });
}
