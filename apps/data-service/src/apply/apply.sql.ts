import { statement, type Statement } from '@keyturn/platform/database';
import type { Resource } from '@keyturn/contracts';
import { recordTable } from '../records/record-table';
import { searchColumns, stateColumns, writtenColumns, type WrittenColumn } from './record-columns';

/** The statements of the applying transaction. Each takes a whole batch, one array per column. */

/** The first of every writer: from here to its commit nobody else changes these Spaces. */
export const lockSpaces = statement(
  'apply.lock_spaces',
  `select space_id, sequence from data.space
   where space_id = any($1::bigint[]) and status = 'active' order by space_id for no key update`,
);

export const findSeen = statement(
  'apply.find_seen',
  `select encode(uuid_send(key), 'hex') as key from data.seen_event where key = any($1::uuid[])`,
);

export const findTombstones = statement(
  'apply.find_tombstones',
  `select t.space_id, t.resource, t.record_id, t.version, t.event_time
   from unnest($1::bigint[], $2::text[], $3::bigint[]) as k (space_id, resource, record_id)
   join data.tombstone t using (space_id, resource, record_id)`,
);

export const putTombstones = statement(
  'apply.put_tombstones',
  `insert into data.tombstone (space_id, resource, record_id, version, event_time)
   select * from unnest($1::bigint[], $2::text[], $3::bigint[], $4::bigint[], $5::timestamptz[])
   on conflict (space_id, resource, record_id)
   do update set version = excluded.version, event_time = excluded.event_time`,
);

export const removeTombstones = statement(
  'apply.remove_tombstones',
  `delete from data.tombstone t
   using unnest($1::bigint[], $2::text[], $3::bigint[]) as k (space_id, resource, record_id)
   where t.space_id = k.space_id and t.resource = k.resource and t.record_id = k.record_id`,
);

/**
 * The last statement before the commit: sequences, totals, events seen, the log, and the position, which names its old value,
 * so that of two who apply the same events only one commits. Ids of the log are counted in a row that stays locked until the
 * commit: whoever writes later gets later ids, and the relay, which reads by id, misses nothing.
 */
export const record = statement(
  'apply.record',
  `with
     sequences as (
       update data.space s set sequence = k.sequence
       from unnest($1::bigint[], $2::bigint[]) as k (space_id, sequence) where s.space_id = k.space_id
     ),
     totals as (
       insert into data.counter as c (space_id, collection, total)
       select * from unnest($3::bigint[], $4::text[], $5::bigint[])
       on conflict (space_id, collection) do update set total = c.total + excluded.total
     ),
     seen as (
       insert into data.seen_event (key, seen_on)
       select key, (now() at time zone 'utc')::date from unnest($6::uuid[]) as key
     ),
     ids as (
       update data.position
       set sequence = sequence + $7::bigint,
           moment = greatest(moment, clock_timestamp()::timestamptz(3))
       where name = 'log' and $7::bigint > 0
       returning sequence - $7::bigint as before, moment
     ),
     log as (
       insert into data.event_log
         (id, committed_at, space_id, sequence, event_id, event, resource, record_id, time, changed, traceparent, payload)
       select ids.before + k.n, ids.moment, k.space_id, k.sequence, k.event_id, k.event, k.resource, k.record_id, k.time,
              k.changed::text[], k.traceparent, k.payload
       from ids, unnest($8::bigint[], $9::bigint[], $10::text[], $11::text[], $12::text[], $13::bigint[],
                        $14::timestamptz[], $15::text[], $16::text[], $17::text[]) with ordinality
         as k (space_id, sequence, event_id, event, resource, record_id, time, changed, traceparent, payload, n)
     )
   update data.position set sequence = $20, moment = $21, stream_created = $22
   where name = $18 and sequence = $19
   returning name`,
);

/** A table that a batch is written to, keyed by Space and id. */
export interface TableStatements {
  readonly columns: readonly WrittenColumn[];
  readonly upsert: Statement;
  readonly remove: Statement;
}

export interface ResourceStatements {
  readonly find: Statement;
  readonly records: TableStatements;
  readonly states: TableStatements;
  readonly search: TableStatements;
}

const made = new Map<string, ResourceStatements>();

export function statementsOf(resource: Resource): ResourceStatements {
  let statements = made.get(resource.name);
  if (!statements) made.set(resource.name, (statements = makeStatements(resource)));
  return statements;
}

function makeStatements(resource: Resource): ResourceStatements {
  const { name, qualified, stateTable, searchTable } = recordTable(resource);
  return {
    find: statement(
      `apply.find_${name}`,
      `select s.space_id, s.id, s.version, s.event_time, s.json
       from unnest($1::bigint[], $2::bigint[]) as k (space_id, id) join ${stateTable} s using (space_id, id)`,
    ),
    records: tableStatements(name, qualified, writtenColumns(resource)),
    states: tableStatements(`${name}_state`, stateTable, stateColumns),
    search: tableStatements(`${name}_search`, searchTable, searchColumns(resource)),
  };
}

function tableStatements(name: string, table: string, columns: readonly WrittenColumn[]): TableStatements {
  const names = columns.map((column) => `"${column.name}"`).join(', ');
  const arrays = columns.map(({ elementType }, index) => `$${index + 1}::${elementType}[]`).join(', ');
  const values = columns.map((column) => (column.cast ? `"${column.name}"::${column.cast}` : `"${column.name}"`));
  const changes = columns
    .filter((column) => column.name !== 'space_id' && column.name !== 'id')
    .map((column) => `"${column.name}" = excluded."${column.name}"`);
  return {
    columns,
    upsert: statement(
      `apply.upsert_${name}`,
      `insert into ${table} (${names}) select ${values.join(', ')} from unnest(${arrays}) as k (${names})
       on conflict (space_id, id) do update set ${changes.join(', ')}`,
    ),
    remove: statement(
      `apply.remove_${name}`,
      `delete from ${table} r using unnest($1::bigint[], $2::bigint[]) as k (space_id, id)
       where r.space_id = k.space_id and r.id = k.id`,
    ),
  };
}
