import { dayAt, ensureDaysAhead } from './days';
import type { RetentionReport } from '@keyturn/contracts';
import { statement, withStrongLocks, type Database } from '@keyturn/platform/database';

const dropDays = statement('webhooks.retention.days', `select webhooks.drop_days_before($1::date) as dropped`);

/** What waits of days that are gone, held for an endpoint that nobody took up again. */
const dropWaiting = statement(
  'webhooks.retention.queue',
  `delete from webhooks.queue where day < $1::date returning delivery_id`,
);

const dropCounts = statement('webhooks.retention.counts', `delete from webhooks.endpoint_day where day < $1::date`);

const dropHours = statement(
  'webhooks.retention.hours',
  `delete from webhooks.endpoint_hour where hour < $1::timestamptz - interval '2 days'`,
);

const dropIdempotency = statement(
  'webhooks.retention.idempotency',
  `delete from webhooks.idempotency where created_at < $1::timestamptz - interval '1 day' returning key`,
);

/** What was erased so long ago that no log and no stream has an event of it any more. */
const dropErasures = statement(
  'webhooks.retention.erasures',
  `delete from webhooks.erasure where erased_at < $1::timestamptz - interval '91 days' returning record_id`,
);

/** Subscriptions whose last delivery is gone too. */
const dropEndpoints = statement(
  'webhooks.retention.endpoints',
  `delete from webhooks.endpoint e
   where e.deleted_at < $1::date
     and not exists (select from webhooks.endpoint_day d where d.endpoint_id = e.id)
   returning id`,
);

/** Drops what is older than `keepMs`, counted from `now`, and makes the partitions of the days to come (T-118). */
export async function dropOldDeliveries(database: Database, now: Date, keepMs: number): Promise<RetentionReport> {
  const db = database.acrossSpaces('retention is the same for all Spaces');
  const firstKept = dayAt(now.getTime() - keepMs);
  await ensureDaysAhead(database, now);
  const waiting = await db.query(dropWaiting, [firstKept]);
  const dropped = await dropPartitions(database, firstKept);
  await db.query(dropCounts, [firstKept]);
  await db.query(dropHours, [now.toISOString()]);
  const keys = await db.query(dropIdempotency, [now.toISOString()]);
  const erasures = await db.query(dropErasures, [now.toISOString()]);
  const endpoints = await db.query(dropEndpoints, [firstKept]);
  return {
    deliveryPartitions: dropped,
    waitingDeliveries: waiting.length,
    idempotencyKeys: keys.length,
    erasures: erasures.length,
    deletedWebhooks: endpoints.length,
  };
}

/** A partition goes under a lock that dispatchers at work may keep it from for a while; what waits for it meanwhile are they. */
function dropPartitions(database: Database, firstKept: string): Promise<number> {
  return withStrongLocks(database, 'partitions hold all Spaces', async (tx) => {
    const [row] = await tx.acrossSpaces('partitions hold all Spaces').query<{ dropped: number }>(dropDays, [firstKept]);
    return row?.dropped ?? 0;
  });
}
