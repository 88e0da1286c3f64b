import { cancelWaiting } from './webhook-statements';
import { ApiError, type SpaceStatus } from '@keyturn/contracts';
import { statement, type Database, type Transaction } from '@keyturn/platform/database';

/** Whoever makes an endpoint or counts against a quota of the Space holds its row; the status comes back. */
const lock = statement(
  'webhooks.space.lock',
  `insert into webhooks.space (space_id) values ($1) on conflict (space_id) do update set space_id = excluded.space_id
   returning status`,
);

const suspend = statement(
  'webhooks.space.suspend',
  `with space as (
     update webhooks.space set status = 'suspended', suspended_at = now() where space_id = $1 and status = 'active'
   )
   update webhooks.endpoint set suspended = true, revision = revision + 1
   where space_id = $1 and not suspended and deleted_at is null`,
);

/** The time in which nothing was sent counts for nobody's silence. */
const resume = statement(
  'webhooks.space.resume',
  `with waited as (
     select now() - suspended_at as for_so_long from webhooks.space where space_id = $1
   ), space as (
     update webhooks.space set status = 'active', suspended_at = null where space_id = $1
   ), failing as materialized (
     -- In the order in which results are written.
     select s.endpoint_id from webhooks.endpoint e
     join webhooks.endpoint_state s on s.endpoint_id = e.id and s.failing_since is not null
     where e.space_id = $1 and e.suspended and e.deleted_at is null
     order by s.endpoint_id for update of s
   ), calm as (
     update webhooks.endpoint_state s set failing_since = least(now(), s.failing_since + waited.for_so_long)
     from waited, failing where s.endpoint_id = failing.endpoint_id
   )
   update webhooks.endpoint set suspended = false, revision = revision + 1
   where space_id = $1 and suspended and deleted_at is null`,
);

/** Endpoints are dead and secrets gone at once, also those in kept replies; jobs bring nothing more. */
const end = statement(
  'webhooks.space.end',
  `with space as (
     update webhooks.space set status = 'deleted', deleted_at = now() where space_id = $1 and status <> 'deleted'
   ), replies as (
     delete from webhooks.idempotency where space_id = $1
   ), replays as (
     update webhooks.replay set status = 'cancelled', finished_at = now(), lease_until = null
     where space_id = $1 and status = 'running'
   )
   update webhooks.endpoint
   set deleted_at = now(), updated_at = now(), is_active = false, secret_enc = null, previous_secret_enc = null, headers_enc = null,
       signature_key_enc = null, previous_signature_key_enc = null, revision = revision + 1
   where space_id = $1 and deleted_at is null`,
);

const all = statement(
  'webhooks.space.endpoints',
  `select id from webhooks.endpoint where space_id = $1 and deleted_at is null
   union all select id from webhooks.endpoint where space_id = $1 and deleted_at is not null`,
);

const changes = { active: resume, suspended: suspend, deleted: end } as const;

/** Whoever deletes a Space waits for the end of its deliveries so long. */
const patienceMs = 2_000;
/** Deliveries that one statement ends. */
const batch = 2_000;

/** Holds the Space's row; refuses a Space that has ended. */
export async function lockSpace(tx: Transaction, spaceId: string): Promise<SpaceStatus> {
  const [row] = await tx.inSpace(spaceId).query<{ status: SpaceStatus }>(lock);
  const status = (row as { status: SpaceStatus }).status;
  if (status === 'deleted') throw new ApiError('CONFLICT', 'The Space has been deleted');
  return status;
}

/**
 * Whether anything is sent for the Space from now on. What is owed to one that is suspended waits as it is, and goes on when it
 * is resumed; what is owed to one that has ended is cancelled. The Space's endpoints come back: dispatchers should hear of it.
 */
export async function putSpace(database: Database, spaceId: string, status: SpaceStatus): Promise<string[]> {
  const endpoints = await database.transaction('a Space and its endpoints change together', async (tx) => {
    const db = tx.inSpace(spaceId);
    const [row] = await db.query<{ status: SpaceStatus }>(lock);
    if (row?.status === 'deleted' && status !== 'deleted')
      throw new ApiError('CONFLICT', 'The Space has been deleted: it does not come back');
    // Also where it is so already: an earlier version may have made an endpoint since that knows nothing of it.
    await db.query(changes[status]);
    return (await db.query<{ id: string }>(all)).map(({ id }) => id);
  });
  const until = performance.now() + patienceMs;
  if (status === 'deleted') for (const id of endpoints) await endWaiting(database, spaceId, id, until);
  return endpoints;
}

/** Ends what waits of an endpoint that is off. What is left at `until` (by `performance.now()`) goes with the next sweep of a dispatcher. */
export async function endWaiting(database: Database, spaceId: string, endpoint: string, until: number): Promise<void> {
  const db = database.inSpace(spaceId);
  for (let gone = batch; gone >= batch && performance.now() < until;) {
    const [row] = await db.query<{ gone: number }>(cancelWaiting, [endpoint, batch]);
    gone = row?.gone ?? 0;
  }
}
