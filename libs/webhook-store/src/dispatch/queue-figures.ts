import { stateOf } from './endpoints';
import { endpointsWithReady } from './endpoints-with-ready';
import type { EndpointState, QueueFigures } from './dispatch-store.types';
import { statement, type Queries } from '@keyturn/platform/database';

/**
 * So many of one endpoint are counted. More dispatchers would not make one receiver faster, so its backlog alone is no reason
 * for many; and the look at the queue, which every instance takes at every scrape, stays short whatever is waiting.
 */
export const mostCountedOfEndpoint = 5_000;
/** What has fallen due is promoted within moments, so there is rarely any of it. */
const mostCountedScheduled = 5_000;

/** Takes deliveries now, so far as its owner and its receiver are concerned. A rate is used up to within moments of being free again. */
const willing = `
  e.status = 'active' and not e.suspended
  and (s.endpoint_id is null
       or (coalesce(s.hold_until <= now(), true) and s.failing_since is null
           and (e.send_rate is null or coalesce(s.next_send_at <= now() - interval '2 s', true))))`;

/**
 * What waits for dispatchers, not for its receiver or its owner: an endpoint that has asked for quiet, that has had what its
 * rate allows or that fails is left out, and of those that some instance has deliveries of, the age is not counted, since they
 * go at their own pace. Of each rank of an endpoint the age is that of what goes next. One index entry is touched for each
 * endpoint, as by a claim.
 *
 * $1 so many of one endpoint · $2 so many of what is not promoted yet
 */
const dueNow = statement(
  'webhooks.queue.figures',
  `with recursive lanes as (
     ${endpointsWithReady}
   ), served as materialized (
     select distinct endpoint_id from webhooks.queue where state = 'leased'
   ), open as (
     select e.id, exists (select from served where served.endpoint_id = e.id) as served
     from lanes
     join webhooks.endpoint e on e.id = lanes.endpoint_id
     left join webhooks.endpoint_state s on s.endpoint_id = e.id
     where ${willing}
   ), ready as (
     select counted.due, case when open.served then null else oldest.at end as oldest
     from open
     cross join lateral (
       select count(*) as due
       from (select from webhooks.queue where state = 'ready' and endpoint_id = open.id limit $1::int) of_one
     ) counted
     cross join lateral (
       select min(at) as at from (values (0), (1), (2)) as ranks(rank) cross join lateral (
         select due_at as at from webhooks.queue
         where state = 'ready' and endpoint_id = open.id and rank = ranks.rank order by sequence nulls first limit 1
       ) first
     ) oldest
   ), promotable as (
     select count(*) as due, min(due_at) as oldest
     from (select q.due_at from webhooks.queue q
           join webhooks.endpoint e on e.id = q.endpoint_id
           left join webhooks.endpoint_state s on s.endpoint_id = e.id
           where q.state = 'scheduled' and q.due_at <= now() and ${willing} order by q.due_at limit $2::int) fallen
   ), both_kinds as (
     select due, oldest from ready union all select due, oldest from promotable
   )
   select coalesce(sum(due), 0) as due,
          extract(epoch from greatest(now() - min(oldest), interval '0'))::float8 as oldest
   from both_kinds`,
);

const endpointStates = statement(
  'webhooks.endpoints.states',
  `select ${stateOf} as status, count(*) as count from webhooks.endpoint where deleted_at is null group by 1`,
);

export async function queueFigures(db: Queries): Promise<QueueFigures> {
  const [queue] = await db.query<{ due: string; oldest: number | null }>(dueNow, [
    mostCountedOfEndpoint,
    mostCountedScheduled,
  ]);
  const states = await db.query<{ status: EndpointState; count: string }>(endpointStates);
  return {
    due: Number(queue?.due ?? 0),
    oldestDueSeconds: queue?.oldest ?? 0,
    endpoints: Object.fromEntries(states.map(({ status, count }) => [status, Number(count)])),
  };
}
