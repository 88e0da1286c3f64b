import type { AttemptReason, ClaimedDelivery, InstanceId, Room } from './dispatch-store.types';
import { endpointsWithReady } from './endpoints-with-ready';
import { roomValues } from './room';
import { spaceId, statement, type Queries } from '@keyturn/platform/database';

/** What has fallen due joins what is ready. */
const promote = statement(
  'webhooks.queue.promote',
  `with due as materialized (
     select delivery_id from webhooks.queue where state = 'scheduled' and due_at <= now()
     order by due_at limit 5000 for update skip locked
   )
   update webhooks.queue q set state = 'ready' from due where q.delivery_id = due.delivery_id`,
);

/**
 * Leases due deliveries. The recursion touches one index entry per endpoint that has something ready, so a backlog costs no
 * more than a single delivery; turns go round the Spaces, and round the endpoints of each. Of an endpoint with a rate, only
 * what it may send within the next second is taken, under a lock on its pace, so that all instances together keep it. So is the
 * one probe of a disabled endpoint. Of an endpoint, what was committed first goes first, whoever has taken it in.
 *
 * $1 instance · $2 room in all · $3 room of an endpoint · $4 room of named endpoints · $5 begin behind this endpoint ·
 * $6 a disabled endpoint's next probe, ms from now
 */
const claim = statement(
  'webhooks.claim',
  `with recursive lanes as (
     (select endpoint_id, 1::bigint as place from webhooks.queue
      where state = 'ready' and endpoint_id > $5::bigint order by endpoint_id limit 1)
     union all
     select (select q.endpoint_id from webhooks.queue q where q.state = 'ready' and q.endpoint_id > lanes.endpoint_id
             order by q.endpoint_id limit 1),
            -- Those that get nothing now are passed by, or what they hold would hide who comes behind them.
            lanes.place + (select count(*) from webhooks.endpoint e
                           where e.id = lanes.endpoint_id and e.status = 'active' and not e.suspended)
     from lanes where lanes.endpoint_id is not null and lanes.place <= 1000
   ), open as materialized (
     select e.id, e.revision, e.send_rate as rate_limit, e.status = 'disabled' as probed,
            greatest(e.updated_at, s.hold_until) as free_since,
            case when e.status = 'disabled' then 1
                 else coalesce(($4::jsonb ->> e.id::text)::int, $3::int) end as room
     from lanes
     join webhooks.endpoint e on e.id = lanes.endpoint_id
     left join webhooks.endpoint_state s on s.endpoint_id = e.id
     where not e.suspended
       and ((e.status = 'active' and (s.hold_until is null or s.hold_until <= now()))
            or (e.status = 'disabled' and e.is_active and s.probe_at <= now()))
   ), pace as materialized (
     select s.endpoint_id, greatest(s.next_send_at, now()) as begins, o.rate_limit
     from open o join webhooks.endpoint_state s on s.endpoint_id = o.id
     where case when o.probed then s.probe_at <= now() else o.rate_limit is not null end
     for update of s skip locked
   ), limits as materialized (
     select o.id, o.revision, o.probed, p.begins, o.rate_limit, o.free_since,
            least(o.room,
                  greatest(1, ceil(2.0 * $2::int / greatest(1, (select count(*) from open where room > 0))))::int,
                  case when p.begins is null and (o.probed or o.rate_limit is not null) then 0
                       when o.rate_limit is null then $2::int
                       else ceil(extract(epoch from now() + interval '1 s' - p.begins) * o.rate_limit)::int end) as room
     from open o left join pace p on p.endpoint_id = o.id
   ), candidates as (
     select q.*, l.revision, l.probed, l.begins, l.rate_limit, l.free_since,
            row_number() over (partition by q.endpoint_id order by q.rank, q.sequence nulls first, q.delivery_id) as turn
     from limits l cross join lateral (
       select delivery_id, endpoint_id, space_id, rank, sequence, due_at from webhooks.queue
       where state = 'ready' and endpoint_id = l.id and not erased
       order by rank, sequence nulls first limit greatest(l.room, 0) for update skip locked
     ) q
   ), picked as materialized (
     select * from (
       select *, row_number() over (partition by space_id order by turn, due_at, delivery_id) as space_turn
       from candidates
     ) turns
     order by space_turn, turn, due_at, delivery_id limit $2::int
   ), paced as (
     update webhooks.endpoint_state s
     set next_send_at = case when p.rate_limit is null then s.next_send_at
                             else p.begins + p.taken * interval '1 s' / p.rate_limit end,
         probe_at = case when p.probed then now() + $6::int * interval '1 ms' else s.probe_at end
     from (select endpoint_id, probed, begins, rate_limit, count(*) as taken from picked
           where probed or rate_limit is not null group by endpoint_id, probed, begins, rate_limit) p
     where s.endpoint_id = p.endpoint_id
   ), taken as (
     update webhooks.queue q
     set state = 'leased', owner = $1::bigint, reason = case when p.probed then 'probe' else q.reason end
     from picked p where q.delivery_id = p.delivery_id
     returning q.delivery_id, q.day, q.endpoint_id, q.space_id, q.message_id, q.sequence, q.thin, q.attempts,
               q.attempts_before, q.reason, q.due_at, q.ordered, p.revision, p.turn, p.space_turn, p.free_since,
               p.rate_limit is not null as paced,
               case when p.rate_limit is null then 0
                    else greatest(0, extract(epoch from p.begins - now()) * 1000 + (p.turn - 1) * 1000.0 / p.rate_limit)
               end::float8 as not_before
   )
   select t.delivery_id, t.endpoint_id, t.space_id, t.message_id, t.sequence, t.thin, t.attempts, t.attempts_before,
          t.reason, t.revision, t.not_before, extract(epoch from now() - t.due_at)::float8 * 1000 as due_since,
          t.ordered or t.paced or t.free_since > m.committed_at as put_off,
          m.event, m.record_id, m.time, m.committed_at, m.traceparent, m.payload
   from taken t
   cross join lateral (
     select event, record_id, time, committed_at, traceparent, payload from webhooks.message m
     where m.day = t.day and m.id = t.message_id
   ) m
   order by t.space_turn, t.turn, t.due_at`,
);

const nextDue = statement(
  'webhooks.queue.next_due',
  `with recursive lanes as (
     ${endpointsWithReady}
   ), open as (
     select greatest(s.hold_until, case when e.send_rate is not null then s.next_send_at - interval '1 s' end,
                     case when e.status = 'disabled' then s.probe_at end, now()) as at
     from lanes
     join webhooks.endpoint e on e.id = lanes.endpoint_id
     left join webhooks.endpoint_state s on s.endpoint_id = e.id
     where (e.status = 'active' or (e.status = 'disabled' and e.is_active and s.probe_at is not null))
       and not e.suspended and not e.id = any($1::bigint[])
   )
   select extract(epoch from least(
            (select min(at) from open),
            (select due_at from webhooks.queue where state = 'scheduled' order by due_at limit 1)
          ) - now())::float8 * 1000 as ms`,
);

interface ClaimRow {
  delivery_id: string;
  endpoint_id: string;
  space_id: string;
  message_id: string;
  sequence: string | null;
  thin: boolean;
  attempts: number;
  attempts_before: number;
  reason: string;
  revision: number;
  not_before: number;
  due_since: number;
  put_off: boolean;
  event: string;
  record_id: string;
  time: Date;
  committed_at: Date;
  traceparent: string | null;
  payload: Buffer;
}

const promoteEveryMs = 20;

/** Leases what is due, in fair turns. */
export class Claiming {
  private promotedAt = -Infinity;
  /** The last claim has brought something. */
  private draining = false;
  /** Where the last claim's round over the endpoints ended, so that no endpoint is always first. */
  private round = '0';

  constructor(
    private readonly db: Queries,
    private readonly probeIntervalMs: number,
  ) {}

  async claim(instance: InstanceId, room: Room): Promise<ClaimedDelivery[]> {
    await this.promote();
    const rows = await this.claimFrom(instance, room, this.round);
    // The round has reached its end: what is left of the room goes to the endpoints at its beginning.
    if (rows.length < room.total && this.round !== '0') {
      this.round = '0';
      const taken = new Map(room.ofEndpoint);
      for (const { endpoint_id } of rows) taken.set(endpoint_id, (taken.get(endpoint_id) ?? room.perEndpoint) - 1);
      const rest = { ...room, total: room.total - rows.length, ofEndpoint: taken };
      // What the first part has brought is leased to us, whatever becomes of the second.
      await this.claimFrom(instance, rest, '0').then(
        (more) => rows.push(...more),
        (error: unknown) => {
          if (rows.length === 0) throw error;
        },
      );
    }
    this.draining = rows.length > 0;
    this.round = rows.length < room.total ? '0' : (rows.at(-1)?.endpoint_id ?? '0');
    return rows.map(claimedDelivery);
  }

  /** Claims of a backlog follow one another faster than anything falls due. */
  private async promote(): Promise<void> {
    if (this.draining && performance.now() - this.promotedAt < promoteEveryMs) return;
    this.promotedAt = performance.now();
    await this.db.query(promote);
  }

  private claimFrom(instance: InstanceId, room: Room, behind: string): Promise<ClaimRow[]> {
    return this.db.query<ClaimRow>(claim, [instance, ...roomValues(room), behind, this.probeIntervalMs]);
  }

  async nextDueInMs(exceptEndpoints: readonly string[] = []): Promise<number | null> {
    const [row] = await this.db.query<{ ms: number | null }>(nextDue, [exceptEndpoints]);
    return row?.ms === null || row?.ms === undefined ? null : Math.max(0, row.ms);
  }
}

const claimedDelivery = (row: ClaimRow): ClaimedDelivery => ({
  id: row.delivery_id,
  messageId: row.message_id,
  webhookId: row.endpoint_id,
  revision: row.revision,
  thin: row.thin,
  spaceId: spaceId(row.space_id),
  event: row.event,
  recordId: Number(row.record_id),
  sequence: row.sequence === null ? null : Number(row.sequence),
  time: row.time.toISOString(),
  committedAt: row.committed_at.toISOString(),
  ...(row.traceparent === null ? {} : { traceparent: row.traceparent }),
  payload: row.payload,
  attempts: row.attempts,
  attemptsBefore: row.attempts_before,
  reason: row.reason as AttemptReason,
  notBeforeInMs: row.not_before,
  dueSinceMs: row.due_since,
  putOff: row.put_off,
});
