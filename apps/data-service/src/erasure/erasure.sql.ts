import { statement } from '@keyturn/platform/database';

/** As every writer of a Space: from here to its commit nobody else changes it. Also of one that takes no events now. */
export const lockSpace = statement(
  'erase.lock_space',
  `select sequence from data.space where space_id = $1 for no key update`,
);

export const positions = statement('erase.positions', `select name, sequence from data.position`);

/**
 * A deletion that says no more than the record's id. The order of locks is that of the applying transaction.
 * $2 collections · $3 by how much their totals change · $4 event id · $5 event · $6 resource · $7 record · $8 time · $9 payload
 */
export const logDeletion = statement(
  'erase.log_deletion',
  `with space as (
     update data.space set sequence = sequence + 1 where space_id = $1 returning sequence
   ), totals as (
     insert into data.counter as c (space_id, collection, total)
     select $1::bigint, * from unnest($2::text[], $3::bigint[])
     on conflict (space_id, collection) do update set total = c.total + excluded.total
   ), ids as (
     update data.position
     set sequence = sequence + 1, moment = greatest(moment, clock_timestamp()::timestamptz(3))
     where name = 'log' returning sequence, moment
   )
   insert into data.event_log
     (id, committed_at, space_id, sequence, event_id, event, resource, record_id, time, changed, payload)
   select ids.sequence, ids.moment, $1::bigint, space.sequence, $4, $5, $6, $7, $8, '{}', $9 from ids, space`,
);

/** The body of an event without its data; the same text as `webhooks` makes of an erased payload. */
const bare = `'{"event":' || to_json(event)::text || ',"data":{"id":' || record_id || '},"timestamp":"'
  || to_char(time at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"') || '"}'`;

export const firstOfLog = statement(
  'erase.first_of_log',
  `select min(sequence) as sequence from data.event_log where space_id = $1`,
);

/**
 * Of a stretch of the Space's log, the record's events that still say something. There is no index by record, which every event
 * would have to pay for: a stretch is as long as one statement reads in a moment.
 * $2 behind this sequence · $3 up to this one · $4 resource · $5 record · $6 at most so many
 */
export const readEvents = statement(
  'erase.read_events',
  `select id, event_id, sequence, event, record_id, time, committed_at, committed_at::text as moment, changed, traceparent, payload
   from data.event_log
   where space_id = $1 and sequence > $2 and sequence <= $3 and resource = $4 and record_id = $5 and payload <> ${bare}
   order by sequence limit $6`,
);

/** $2 ids · $3 moments of their commits */
export const emptyEvents = statement(
  'erase.empty_events',
  `update data.event_log l set payload = ${bare}, changed = '{}'
   from unnest($2::bigint[], $3::timestamptz[]) as k (id, committed_at)
   where l.space_id = $1 and l.id = k.id and l.committed_at = k.committed_at`,
);
