import { ensureDays, isMissingDay } from '../days';
import { isErased } from '../erased-events';
import { eventColumns, numbers } from '../event-columns';
import { orderKey } from '../record-order';
import type { Accepted, AcceptedDelivery, InstanceId, Room } from './dispatch-store.types';
import { roomValues } from './room';
import type { Upkeep } from './upkeep';
import type { CommittedEvent } from '@keyturn/contracts';
import { spaceNumber, statement, type Database } from '@keyturn/platform/database';

/**
 * Takes a batch of events in. The matching version of each subscription is the one whose range holds the event's sequence.
 * Rows are written in one order whatever the order of the batch, so that two instances with the same events wait for one
 * another instead of locking each other out. Payloads come as one run of bytes. Whether an event is owed is decided by what it
 * said; of a record that has been erased meanwhile it is owed in name only.
 *
 * $1 instance · $2 ids · $3 spaces · $4 sequences · $5 events · $6 resources · $7 records · $8 times · $9 commit times ·
 * $10 changed fields, by comma · $11 traceparents · $12 payload lengths · $13 payload offsets · $14 payloads ·
 * $15 room in all · $16 room of an endpoint · $17 room of named endpoints · $18 attempts of the schedule
 */
const accept = statement(
  'webhooks.accept',
  `with incoming as materialized (
     select i.*, (i.committed_at at time zone 'UTC')::date as day,
            ${isErased('i', 'substring($14::bytea from i.place + 1 for i.bytes)')} as erased
     from unnest($2::text[], $3::bigint[], $4::bigint[], $5::text[], $6::text[], $7::bigint[], $8::timestamptz[],
                 $9::timestamptz[], $10::text[], $11::text[], $12::int[], $13::int[])
          as i(id, space_id, sequence, event, resource, record_id, time, committed_at, changed, traceparent, bytes, place)
   ), tracked as (
     update webhooks.accepted a
     set ranges = a.ranges + batch.ranges,
         gap_since = case when (select count(*) from unnest(a.ranges + batch.ranges)) > 1
                          then coalesce(a.gap_since, case when $1::bigint is not null then now() end) end
     from (select space_id, range_agg(int8range(sequence, sequence + 1)) as ranges,
                  (select before.gap_since is not null from webhooks.accepted before where before.space_id = incoming.space_id)
                    as had_gap
           from incoming group by space_id order by space_id) batch
     where a.space_id = batch.space_id
     returning batch.had_gap and a.gap_since is null as closed
   ), matched as materialized (
     select i.*, owed.endpoints, owed.thins,
            case when i.erased then webhooks.thin_payload(i.event, i.record_id, i.time)
                 else substring($14::bytea from i.place + 1 for i.bytes) end as payload
     from incoming i
     cross join lateral (
       select array_agg(v.endpoint_id order by v.endpoint_id) as endpoints,
              array_agg(v.thin order by v.endpoint_id) as thins,
              array_agg(v.filter order by v.endpoint_id) as filters,
              bool_or(v.filter is not null) as filtered
       from webhooks.endpoint_version v
       join webhooks.endpoint e on e.id = v.endpoint_id and e.deleted_at is null
       where v.space_id = i.space_id and v.until_sequence > i.sequence and v.from_sequence <= i.sequence and v.deliver
         and (i.event = any(v.events) or i.resource || '.*' = any(v.events))
     ) subscribed
     cross join lateral (
       select subscribed.endpoints, subscribed.thins where not subscribed.filtered
       union all
       select array_agg(p.endpoint_id order by p.endpoint_id), array_agg(p.thin order by p.endpoint_id)
       from unnest(subscribed.endpoints, subscribed.thins,
                   webhooks.passing(subscribed.filters, i.event, i.resource, string_to_array(i.changed, ','),
                                    substring($14::bytea from i.place + 1 for i.bytes)))
            as p(endpoint_id, thin, passes)
       where subscribed.filtered and p.passes
     ) owed
     where owed.endpoints is not null
   ), stored as (
     insert into webhooks.message
       (day, id, space_id, sequence, event, resource, record_id, time, committed_at, changed, traceparent, payload, erased_at)
     select day, id, space_id, sequence, event, resource, record_id, time, committed_at,
            case when erased then '{}' else coalesce(string_to_array(nullif(changed, ''), ','), '{}') end, traceparent, payload,
            case when erased then now() end
     from matched order by space_id, sequence
     on conflict do nothing
   ), made as (
     insert into webhooks.delivery (id, day, endpoint_id, space_id, message_id, sequence, event, resource, record_id, thin,
                                    created_at, status, troubled, trouble, unusual_event, max_attempts)
     -- The numbers are given out behind the order, so that they follow it whatever way the rows were joined.
     select nextval('webhooks.delivery_id'), o.* from (
       select m.day, e.id as endpoint_id, m.space_id, m.id, m.sequence, m.event, m.resource, m.record_id,
              owed.thin, now(), case when e.is_active and not m.erased then 'pending' else 'cancelled' end,
              not e.is_active or m.erased, case when not e.is_active or m.erased then 'cancelled' end,
              nullif(m.event, k.usual_event),
              coalesce(cardinality(e.retry_schedule) + 1, $18::int)
       from matched m
       cross join lateral unnest(m.endpoints, m.thins) as owed(endpoint_id, thin)
       join webhooks.endpoint e on e.id = owed.endpoint_id
       left join webhooks.endpoint_day k on k.endpoint_id = e.id and k.day = m.day
       order by m.space_id, m.sequence, e.id
     ) o
     on conflict (endpoint_id, message_id, day) do nothing
     returning id, day, endpoint_id, space_id, message_id, sequence, event, resource, record_id, thin, status
   ), lanes as materialized (
     select e.id, e.revision, e.ordering = 'record' as in_order,
            e.status = 'active' and not e.suspended and e.send_rate is null and e.ordering = 'none'
              and (s.hold_until is null or s.hold_until <= now())
              and not exists (select from webhooks.queue w where w.state = 'ready' and w.endpoint_id = e.id) as open,
            coalesce(($17::jsonb ->> e.id::text)::int, $16::int) as room
     from (select distinct endpoint_id from made where status = 'pending') m
     join webhooks.endpoint e on e.id = m.endpoint_id
     left join webhooks.endpoint_state s on s.endpoint_id = m.endpoint_id
   ), turns as (
     select made.*, lanes.revision, lanes.open, lanes.room, lanes.in_order and made.sequence is not null as ordered,
            row_number() over (partition by made.endpoint_id order by made.id) as turn
     from made join lanes on lanes.id = made.endpoint_id
     where made.status = 'pending'
   ), chosen as (
     select *, open and turn <= room
               and row_number() over (order by not (open and turn <= room), turn, id) <= $15::int as leased
     from turns
   ), placed as (
     insert into webhooks.queue (delivery_id, day, endpoint_id, space_id, message_id, sequence, resource, record_id, thin,
                                 state, owner, due_at, reason, ordered)
     select id, day, endpoint_id, space_id, message_id, sequence, resource, record_id, thin,
            case when leased then 'leased' when ordered then 'held' else 'ready' end,
            case when leased then $1::bigint end, now(), 'first', ordered
     from chosen order by id
   ), counted as (
     insert into webhooks.endpoint_day (endpoint_id, day, deliveries, last_event)
     select endpoint_id, day, count(*), mode() within group (order by event)
     from made group by endpoint_id, day order by endpoint_id, day
     on conflict (endpoint_id, day) do update
       set deliveries = endpoint_day.deliveries + excluded.deliveries, last_event = excluded.last_event,
           usual_event = coalesce(endpoint_day.usual_event,
                                  case when endpoint_day.last_event = excluded.last_event then excluded.last_event end)
   )
   select chosen.id, chosen.message_id, chosen.endpoint_id, chosen.revision, chosen.thin, chosen.leased, chosen.ordered,
          chosen.resource, chosen.record_id, batch.closed
   from (select coalesce(bool_or(closed), false) as closed from tracked) batch
   left join chosen on true
   order by chosen.id`,
);

interface AcceptRow {
  id: string;
  message_id: string;
  endpoint_id: string;
  revision: number;
  thin: boolean;
  leased: boolean;
  ordered: boolean;
  resource: string;
  record_id: string;
}

/** The one row of a batch that nobody is owed anything of, or any other row: whether it filled a gap. */
interface BatchRow {
  id: string | null;
  closed: boolean;
}

/** Takes in what was committed: a delivery for each subscription that is owed it. */
export class Acceptance {
  constructor(
    private readonly database: Database,
    private readonly upkeep: Upkeep,
    private readonly maxAttempts: number,
  ) {}

  async accept(instance: InstanceId, events: readonly CommittedEvent[], room: Room): Promise<Accepted> {
    if (events.length === 0) return { leased: [], waiting: 0, waitingOf: [] };
    const { rows, filledGap } = await acceptEvents(this.database, instance, events, room, this.maxAttempts);
    const { order } = this.upkeep;
    await this.upkeep.afterwards(async () => {
      if (filledGap) this.upkeep.tellReady(await order.releaseAll());
      else await order.release(rows.filter(({ ordered }) => ordered).map(orderKey));
    });
    const leased = rows.filter((row) => row.leased);
    const waitingOf = new Set(rows.filter((row) => !row.leased).map((row) => row.endpoint_id));
    return {
      leased: leased.map(acceptedDelivery),
      waiting: rows.length - leased.length,
      waitingOf: [...waitingOf],
    };
  }
}

/** The deliveries that it made, and whether it has filled a gap. Without an instance nothing is leased: there must be no room. */
export async function acceptEvents(
  database: Database,
  instance: InstanceId | null,
  events: readonly CommittedEvent[],
  room: Room,
  maxAttempts: number,
): Promise<{ rows: AcceptRow[]; filledGap: boolean }> {
  const db = database.acrossSpaces('the stream carries the events of all Spaces');
  const [ids, ...columns] = eventColumns(events);
  const spaces = numbers(events.map((event) => spaceNumber(event.spaceId)));
  const values = [instance, ids, spaces, ...columns, ...roomValues(room), maxAttempts];
  let batch: (AcceptRow | BatchRow)[];
  try {
    batch = await db.query<AcceptRow | BatchRow>(accept, values);
  } catch (error) {
    if (!isMissingDay(error)) throw error;
    await ensureDays(database, events.map(dayOf));
    batch = await db.query<AcceptRow | BatchRow>(accept, values);
  }
  return {
    rows: batch.filter((row): row is AcceptRow => row.id !== null),
    filledGap: batch.some((row) => 'closed' in row && row.closed),
  };
}

/** The day whose partition holds the message: that of the commit, so a repeat finds the same one. */
const dayOf = (event: CommittedEvent) => event.committedAt.slice(0, 'YYYY-MM-DD'.length);

const acceptedDelivery = (row: AcceptRow): AcceptedDelivery => ({
  id: row.id,
  messageId: row.message_id,
  webhookId: row.endpoint_id,
  revision: row.revision,
  thin: row.thin,
});
