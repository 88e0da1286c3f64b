import { outOfQueue } from './ended-deliveries';
import { acceptEvents } from './dispatch/acceptance';
import { isErasable } from './erased-events';
import { RecordOrder } from './record-order';
import type { CommittedEvent } from '@keyturn/contracts';
import { statement, type Database } from '@keyturn/platform/database';

/** $2 resource · $3 record · $4 up to which of the Space's events */
const note = statement(
  'webhooks.erase.note',
  `insert into webhooks.erasure (space_id, resource, record_id, up_to) values ($1, $2, $3, $4)
   on conflict (space_id, resource, record_id)
     do update set up_to = greatest(erasure.up_to, excluded.up_to), erased_at = now()`,
);

/** Waits for whoever is writing messages; those who come behind it see what was written before it. */
const waitForWriters = statement(
  'webhooks.erase.wait_for_writers',
  'lock table only webhooks.message in share row exclusive mode',
);

const cancelWaiting = statement(
  'webhooks.erase.waiting',
  `with waiting as materialized (
     select q.delivery_id
     from webhooks.queue q
     join webhooks.message m on m.day = q.day and m.id = q.message_id and ${isErasable('m')}
     where q.space_id = $1 and q.resource = $2 and q.record_id = $3 and q.sequence <= $4::bigint and q.state <> 'leased'
     order by q.delivery_id for update of q
   ), gone as (
     delete from webhooks.queue q using waiting w where q.delivery_id = w.delivery_id and q.state <> 'leased'
     returning q.delivery_id, q.day, q.status_before, q.endpoint_id, q.ordered
   ), ended as (
     update webhooks.delivery d
     set ${outOfQueue}
     from gone where d.id = gone.delivery_id and d.day = gone.day
   )
   select endpoint_id, ordered from gone`,
);

/** What a dispatcher has in its hands ends with the attempt that is on the wire, or without one. */
const markLeased = statement(
  'webhooks.erase.leased',
  `update webhooks.queue q set erased = true
   from webhooks.message m
   where q.space_id = $1 and q.resource = $2 and q.record_id = $3 and q.sequence <= $4::bigint and q.state = 'leased'
     and m.day = q.day and m.id = q.message_id and ${isErasable('m')}
   returning q.endpoint_id`,
);

/** Payloads become their thin form. What receivers answered may repeat them, so that goes too. */
const erase = statement(
  'webhooks.erase.messages',
  `with erased as (
     update webhooks.message m
     set payload = webhooks.thin_payload(m.event, m.record_id, m.time), changed = '{}', erased_at = now()
     where m.space_id = $1 and m.resource = $2 and m.record_id = $3 and m.sequence <= $4::bigint and m.erased_at is null
       and ${isErasable('m')}
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
  /** Of the Space's sequence: events behind it are another life of the record. */
  readonly upTo: number;
}

export interface ErasedDeliveries {
  readonly messages: number;
  readonly cancelled: number;
  readonly attempts: number;
  /** Endpoints of which a dispatcher has deliveries in its hands that must not go any more. */
  readonly inHands: readonly string[];
}

/**
 * Forgets what deliveries say of a record: its payloads, what was answered to them, and what waits of it. Whatever of it is
 * still on its way here, in the stream, in a dispatcher or on a page of a replay, comes in without its data from now on.
 */
export async function eraseRecord(database: Database, record: ErasedRecord): Promise<ErasedDeliveries> {
  const { spaceId, resource, recordId, upTo } = record;
  const key = [resource, recordId, upTo];
  // Apart from what follows: a lock on a table must not be held while rows of the queue are waited for.
  await database.transaction('whoever writes messages knows of the erasure, or has written', async (tx) => {
    await tx.inSpace(spaceId).query(note, key);
    await tx.acrossSpaces('messages of all Spaces stand in one table').query(waitForWriters);
  });
  const done = await database.transaction('what waits of a record ends, and its payloads go', async (tx) => {
    const db = tx.inSpace(spaceId);
    const cancelled = await db.query<{ endpoint_id: string; ordered: boolean }>(cancelWaiting, key);
    const leased = await db.query<{ endpoint_id: string }>(markLeased, key);
    const [erased] = await db.query<{ messages: number; attempts: number }>(erase, key);
    return { cancelled, leased, messages: erased?.messages ?? 0, attempts: erased?.attempts ?? 0 };
  });
  const order = new RecordOrder(database.acrossSpaces('what was held behind it may go'));
  const behind = done.cancelled.filter(({ ordered }) => ordered);
  await order.release(behind.map(({ endpoint_id: endpointId }) => ({ endpointId, resource, recordId })));
  return {
    messages: done.messages,
    attempts: done.attempts,
    cancelled: done.cancelled.length,
    inHands: [...new Set(done.leased.map(({ endpoint_id }) => endpoint_id))],
  };
}

/**
 * Takes in events of an erased record that the dispatchers may not have had yet, since they are about to go from the stream:
 * whoever was owed them gets a cancelled delivery, and the Space's sequence has no gap that ordered deliveries would wait for.
 */
export async function acceptErased(
  database: Database,
  events: readonly CommittedEvent[],
  maxAttempts: number,
): Promise<void> {
  if (events.length === 0) return;
  const noRoom = { total: 0, perEndpoint: 0, ofEndpoint: new Map<string, number>() };
  const { filledGap } = await acceptEvents(database, null, events, noRoom, maxAttempts);
  if (filledGap) await new RecordOrder(database.acrossSpaces('what was held behind it may go')).releaseAll();
}
