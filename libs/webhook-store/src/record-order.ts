import { statement, type Queries } from '@keyturn/platform/database';

/** What an ordered endpoint gets in order: the deliveries of one record. */
export interface OrderKey {
  readonly endpointId: string;
  readonly resource: string;
  readonly recordId: number | string;
}

export const orderKey = (row: { endpoint_id: string; resource: string; record_id: string }): OrderKey => ({
  endpointId: row.endpoint_id,
  resource: row.resource,
  recordId: row.record_id,
});

/**
 * The first of each key's deliveries becomes due, if it is held and everything before it has been taken in. Whoever writes last
 * (an acceptance or a result) sees what the other wrote, so one of the two lets it go; the sweep is for whoever died between.
 */
const letHeadsGo = `heads as materialized (
     select head.delivery_id
     from keys
     cross join lateral (
       select delivery_id, state, sequence, space_id from webhooks.queue
       where ordered and endpoint_id = keys.endpoint_id and resource = keys.resource and record_id = keys.record_id
       order by sequence limit 1
     ) head
     where head.state = 'held' and head.sequence < coalesce(
       (select upper(reached) from webhooks.accepted a, unnest(a.ranges) as reached where a.space_id = head.space_id limit 1),
       head.sequence + 1)
   ), locked as materialized (
     -- In one order, so that two who let the same ones go wait for one another instead of locking each other out.
     select q.delivery_id from heads join webhooks.queue q on q.delivery_id = heads.delivery_id and q.state = 'held'
     order by q.delivery_id for update of q
   )
   update webhooks.queue q set state = 'ready', due_at = now()
   from locked where q.delivery_id = locked.delivery_id
   returning q.endpoint_id`;

const releaseKeys = statement(
  'webhooks.order.release_keys',
  `with keys as (
     select distinct * from unnest($1::bigint[], $2::text[], $3::bigint[]) as k(endpoint_id, resource, record_id)
   ), ${letHeadsGo}`,
);

/** One index entry per key, however much is held behind it. */
const releaseAll = statement(
  'webhooks.order.release_all',
  `with recursive keys as (
     (select space_id, endpoint_id, resource, record_id, 1 as place from webhooks.queue where state = 'held'
      order by space_id, endpoint_id, resource, record_id limit 1)
     union all
     select next.*, keys.place + 1 from keys cross join lateral (
       select q.space_id, q.endpoint_id, q.resource, q.record_id from webhooks.queue q
       where q.state = 'held'
         and (q.space_id, q.endpoint_id, q.resource, q.record_id)
           > (keys.space_id, keys.endpoint_id, keys.resource, keys.record_id)
       order by q.space_id, q.endpoint_id, q.resource, q.record_id limit 1
     ) next
     where keys.place < 50000
   ), ${letHeadsGo}`,
);

/** A gap that nobody fills is no reason to wait for ever: its events were lost before they came to us. */
const giveUpGaps = statement(
  'webhooks.order.give_up_gaps',
  `update webhooks.accepted
   set ranges = int8multirange(int8range(0, upper(range_merge(ranges)))), gap_since = null
   where gap_since < now() - $1::int * interval '1 ms'
   returning space_id`,
);

/** How long a batch of events may be missing before others go on without it: longer than the stream waits for an ack. */
export const gapPatienceMs = 90_000;

/** Lets deliveries of ordered endpoints go when their turn has come; the endpoints that got something due. */
export class RecordOrder {
  constructor(private readonly db: Queries) {}

  async release(keys: readonly OrderKey[]): Promise<string[]> {
    if (keys.length === 0) return [];
    return endpointsOf(
      await this.db.query(releaseKeys, [
        keys.map(({ endpointId }) => endpointId),
        keys.map(({ resource }) => resource),
        keys.map(({ recordId }) => recordId),
      ]),
    );
  }

  async releaseAll(): Promise<string[]> {
    return endpointsOf(await this.db.query(releaseAll));
  }

  async sweep(patienceMs = gapPatienceMs): Promise<string[]> {
    await this.db.query(giveUpGaps, [patienceMs]);
    return this.releaseAll();
  }
}

const endpointsOf = (rows: readonly { endpoint_id?: string }[]): string[] => [
  ...new Set(rows.map((row) => row.endpoint_id as string)),
];
