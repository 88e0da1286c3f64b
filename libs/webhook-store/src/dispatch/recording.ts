import { dayAt, dayMs } from '../days';
import { recoverEndpoint } from '../endpoint-health';
import { numbers } from '../event-columns';
import { orderKey } from '../record-order';
import type { AttemptResult, InstanceId } from './dispatch-store.types';
import type { Upkeep } from './upkeep';
import { statement, type Database, type Queries } from '@keyturn/platform/database';

/**
 * Writes attempts and what follows from them. Only a delivery that is still leased to the instance takes the effect; the
 * attempt itself is kept in any case, since it was made. What would be retried for an endpoint that is off meanwhile, or of a
 * record that was erased meanwhile, is cancelled; and of an erased record no answer is kept, since it may repeat the payload.
 * What a failed probe was made with keeps its place, and the attempt does not count: what is held must outlast any number of them.
 *
 * $1 instance · $2 deliveries · $3 effects · $4 delays, ms · $5 holds, ms · $6 numbers · $7 start times · $8 reasons ·
 * $9 addresses · $10 statuses · $11 headers · $12 bodies · $13 faults · $14 errors · $15 dns · $16 connect · $17 tls ·
 * $18 first byte · $19 total, ms · $20 excerpts of the bodies · $21 the days of their partitions: all others are left out before
 * the statement begins, so that it costs the same however many are kept
 */
const record = statement(
  'webhooks.record',
  `with result as materialized (
     select *
     from unnest($2::bigint[], $3::text[], $4::float8[], $5::float8[], $6::int[], $7::timestamptz[], $8::text[], $9::text[],
                 $10::int[], $11::text[], $12::text[], $13::text[], $14::text[], $15::float8[], $16::float8[], $17::float8[],
                 $18::float8[], $19::float8[], $20::text[])
          with ordinality as r(delivery_id, effect, delay_ms, hold_ms, number, started_at, reason, address, status, headers,
                               body, fault, error, dns_ms, connect_ms, tls_ms, first_byte_ms, total_ms, excerpt, place)
   ), mine as materialized (
     select r.*, q.day, q.endpoint_id, q.space_id, q.resource, q.record_id, q.ordered, q.erased, k.usual_code,
            r.effect = 'delivered' and e.status = 'disabled' and e.is_active as recovered,
            case when q.day is null or r.effect = 'repeat' then null
                 when r.effect = 'delivered' then 'success'
                 when r.effect = 'failed' then 'failed'
                 when e.is_active and e.deleted_at is null and not q.erased then 'retrying' else 'cancelled' end as next_status
     from (select * from result order by delivery_id, place) r
     left join lateral (
       -- By its id, whatever is believed of how many are leased: the index of leases would walk all of them for each.
       select day, endpoint_id, space_id, resource, record_id, ordered, erased from webhooks.queue
       where delivery_id = r.delivery_id and coalesce(state, '') = 'leased' and owner + 0 = $1 for update
     ) q on true
     left join webhooks.endpoint e on e.id = q.endpoint_id
     left join webhooks.endpoint_day k on k.endpoint_id = q.endpoint_id and k.day = q.day
   ), decided as materialized (
     select *, effect = 'put_back' as stays, number - (effect = 'put_back')::int as counted,
            case when next_status = 'retrying' and effect = 'retry' then now() + delay_ms * interval '1 ms' end as next_at
     from mine
   ), finished as (
     delete from webhooks.queue q using decided d where q.delivery_id = d.delivery_id and d.next_status <> 'retrying'
   ), again as (
     update webhooks.queue q
     set state = case when d.stays then 'ready' else 'scheduled' end, owner = null, due_at = coalesce(d.next_at, q.due_at),
         attempts = d.counted, rank = case when d.stays then q.rank else greatest(q.rank, 1) end,
         reason = case when q.reason in ('resend', 'replay') then q.reason when q.replay_id is not null then 'replay' else 'retry' end
     from decided d where q.delivery_id = d.delivery_id and d.next_status = 'retrying'
   ), changed as (
     update webhooks.delivery t
     set status = d.next_status, troubled = d.next_status <> 'success',
         trouble = case when d.next_status in ('failed', 'cancelled') then d.next_status end,
         unusual_code = case when d.next_status = 'success' then nullif(d.status, d.usual_code) else d.status end, attempts = d.counted,
         last_attempt_at = d.started_at, next_retry_at = d.next_at,
         delivered_at = case when d.next_status = 'success' then d.started_at + d.total_ms * interval '1 ms' else t.delivered_at end,
         response_status = d.status, response_body = case when d.erased then null else d.excerpt end,
         error = d.error, duration_ms = round(d.total_ms)
     from decided d
     -- Said of the table itself as well: a plan made while the day was young would join all that the day has gathered since.
     where t.id = d.delivery_id and t.day = d.day and t.day = any($21::date[]) and t.id = any($2::bigint[])
       and d.next_status is not null
   ), learned as (
     update webhooks.endpoint_day k
     set usual_code = case when k.last_code = batch.code then batch.code end, last_code = batch.code
     from (select endpoint_id, day, mode() within group (order by status) as code
           from decided where next_status = 'success' and usual_code is null
           group by endpoint_id, day order by endpoint_id, day) batch
     where k.endpoint_id = batch.endpoint_id and k.day = batch.day and k.usual_code is null
   ), kept as (
     insert into webhooks.attempt (day, delivery_id, space_id, number, reason, started_at, duration_ms, dns_ms, connect_ms, tls_ms,
                                   first_byte_ms, address, response_status, response_headers, response_body, fault, error,
                                   next_at, late)
     select coalesce(d.day, given_up.day), d.delivery_id, coalesce(d.space_id, given_up.space_id), d.number, d.reason, d.started_at,
            d.total_ms, d.dns_ms, d.connect_ms, d.tls_ms, d.first_byte_ms, d.address, d.status,
            case when d.erased or given_up.erased then null else d.headers end,
            case when d.erased or given_up.erased then null else d.body end, d.fault,
            d.error, d.next_at, d.day is null
     from decided d
     left join lateral (
       -- A null key is looked up nowhere: only what is no longer ours is searched for.
       -- Shared with whoever erases at this moment: one of the two sees what the other has done.
       select t.day, t.space_id, m.erased_at is not null as erased
       from webhooks.delivery t
       join webhooks.message m on m.day = t.day and m.id = t.message_id and m.day = any($21::date[])
       where t.id = case when d.day is null then d.delivery_id end and t.day = any($21::date[])
         -- Nor is it late if it is here already: the answer to the first writing got lost.
         and not exists (select from webhooks.attempt a where a.delivery_id = t.id and a.day = t.day and a.number = d.number
                           and a.started_at = d.started_at::timestamptz(3))
       for share of m
     ) given_up on true
     where coalesce(d.day, given_up.day) is not null
     order by d.place
   ), seen as (
     select endpoint_id, max(started_at) filter (where effect = 'delivered') as succeeded,
            min(started_at) filter (where effect <> 'delivered') as failed,
            count(*) filter (where effect <> 'delivered') as failures, count(*) as attempts, max(hold_ms) as hold_ms
     from decided where next_status is not null and reason <> 'test' group by endpoint_id
   ), stated as (
     update webhooks.endpoint_state s
     set last_success_at = greatest(s.last_success_at, seen.succeeded),
         failing_since = case when seen.succeeded is not null then null else coalesce(s.failing_since, seen.failed) end,
         consecutive_failures = case when seen.succeeded is not null then 0 else s.consecutive_failures + seen.failures end,
         hold_until = case when seen.hold_ms > 0 then greatest(s.hold_until, now() + seen.hold_ms * interval '1 ms')
                           else s.hold_until end
     from (select * from seen order by endpoint_id) seen
     where s.endpoint_id = seen.endpoint_id
       and (seen.failures > 0 or s.failing_since is not null or s.last_success_at is null
            or s.last_success_at < seen.succeeded - interval '1 s')
   ), hourly as (
     insert into webhooks.endpoint_hour (endpoint_id, hour, attempts, failures)
     select endpoint_id, date_trunc('hour', now()), attempts, failures from seen order by endpoint_id
     on conflict (endpoint_id, hour)
       do update set attempts = endpoint_hour.attempts + excluded.attempts, failures = endpoint_hour.failures + excluded.failures
   )
   select delivery_id, next_status, ordered, endpoint_id, resource, record_id, recovered from decided where day is not null`,
);

interface RecordRow {
  delivery_id: string;
  next_status: string | null;
  ordered: boolean;
  endpoint_id: string;
  resource: string;
  record_id: string;
  recovered: boolean;
}

/** What an attempt keeps of a response, and what the delivery shows of it (T-092). */
const maxBodyBytes = 16 * 1024;
const maxExcerptBytes = 2_000;

/** Writes attempts and what follows from them. */
export class Recording {
  private readonly db: Queries;

  constructor(
    private readonly database: Database,
    private readonly upkeep: Upkeep,
    private readonly maxAttempts: number,
  ) {
    this.db = database.acrossSpaces('a dispatcher sends the deliveries of all Spaces');
  }

  async record(instance: InstanceId, results: readonly AttemptResult[]): Promise<string[]> {
    if (results.length === 0) return [];
    const rows = await this.db.query<RecordRow>(record, [instance, ...recordColumns(results)]);
    const ended = rows.filter((row) => row.ordered && row.next_status !== null && row.next_status !== 'retrying');
    await this.upkeep.afterwards(async () =>
      this.upkeep.tellReady(await this.upkeep.order.release(ended.map(orderKey))),
    );
    for (const endpointId of new Set(rows.filter(({ recovered }) => recovered).map(({ endpoint_id }) => endpoint_id)))
      await this.upkeep.afterwards(async () =>
        this.upkeep.tellReady(await recoverEndpoint(this.database, endpointId, this.maxAttempts)),
      );
    return [...new Set(rows.map((row) => row.delivery_id))];
  }
}

function recordColumns(results: readonly AttemptResult[]): unknown[] {
  return [
    numbers(results.map(({ deliveryId }) => deliveryId)),
    results.map(({ effect }) => effect.kind),
    numbers(results.map(({ effect }) => (effect.kind === 'retry' ? effect.inMs : 0))),
    numbers(results.map(({ effect }) => (effect.kind === 'retry' ? (effect.holdEndpointMs ?? 0) : 0))),
    numbers(results.map(({ attempt }) => attempt.number)),
    results.map(({ attempt }) => attempt.startedAt.toISOString()),
    results.map(({ attempt }) => attempt.reason),
    results.map(({ attempt }) => attempt.address),
    numbers(results.map(({ attempt }) => attempt.status)),
    results.map(({ attempt }) => storable(attempt.headers)),
    results.map(({ attempt }) => storable(attempt.body)),
    results.map(({ attempt }) => attempt.faultClass),
    results.map(({ attempt }) => storable(attempt.error)),
    numbers(results.map(({ attempt }) => attempt.dnsMs)),
    numbers(results.map(({ attempt }) => attempt.connectMs)),
    numbers(results.map(({ attempt }) => attempt.tlsMs)),
    numbers(results.map(({ attempt }) => attempt.firstByteMs)),
    numbers(results.map(({ attempt }) => attempt.totalMs)),
    results.map(({ attempt }) => storable(attempt.body, maxExcerptBytes)),
    daysAround(results.map(({ committedAt }) => committedAt)),
  ];
}

/** The days of these moments with the one before and the one after each: the database's clock may differ from ours. */
const daysAround = (moments: readonly number[]): string[] => [
  ...new Set(moments.flatMap((moment) => [-dayMs, 0, dayMs].map((offset) => dayAt(moment + offset)))),
];

/** A receiver's text as Postgres can hold it: bounded, no NUL, whole characters only. */
function storable(text: string | null, maxBytes = maxBodyBytes): string | null {
  if (text === null) return null;
  const bytes = Buffer.from(text.slice(0, maxBytes).replaceAll('\0', '\uFFFD'), 'utf8');
  if (bytes.length <= maxBytes) return bytes.toString('utf8');
  let end = maxBytes;
  // Not within a character: its later bytes begin with the bits 10.
  while (((bytes[end] as number) & 0xc0) === 0x80) end--;
  return bytes.toString('utf8', 0, end);
}
