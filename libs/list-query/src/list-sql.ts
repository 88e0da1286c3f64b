import type { ListQuery, Position } from '@keyturn/contracts';
import { containing, filterSql } from './filter-sql';
import { offsetOf, type ListPlan } from './plan';
import type { ColumnType, TableMapping } from './table-mapping';
import { Values } from './values';

/** The text and values of a list's one statement; its one row is a {@link ListRow}. */
export interface ListSql {
  readonly text: string;
  readonly values: readonly unknown[];
}

/** What the statement answers, whatever the plan. A cursor page looks one row further, to see whether there is one. */
export interface ListRow {
  found: string;
  rows: string | null;
  total: string | null;
  next_id: string | null;
  next_value: string | null;
}

/** What all shapes of the statement are made of. */
interface Parts {
  readonly mapping: TableMapping;
  readonly plan: ListPlan;
  readonly query: ListQuery;
  readonly values: Values;
  /** Everything that chooses rows, but for the position of a walk. */
  readonly chosen: string;
  readonly after: Position | null;
  /** `$n` of the page's size, of the rows to look for, and of those to skip. */
  readonly size: string;
  readonly limit: string;
  readonly offset: string | undefined;
}

export function listSql(
  mapping: TableMapping,
  query: ListQuery,
  plan: ListPlan,
  parameters: readonly unknown[] = [],
): ListSql {
  const values = new Values();
  const chosen = predicates(mapping, query, parameters, values).join(' and ');
  const size = values.add(query.pageSize, 'bigint');
  const offset = offsetOf(query);
  const parts: Parts = {
    mapping,
    plan,
    query,
    values,
    chosen,
    after: 'after' in query.window ? query.window.after : null,
    size,
    limit: 'after' in query.window ? `${size} + 1` : size,
    offset: offset > 0n ? values.add(offset.toString(), 'bigint') : undefined,
  };
  const text = plan.strategy === 'gather' ? gather(parts) : plan.sort.nullable ? walkWithNulls(parts) : walk(parts);
  return { text, values: values.list };
}

function predicates(mapping: TableMapping, query: ListQuery, parameters: readonly unknown[], values: Values): string[] {
  const fixed = (mapping.parameters ?? []).map(
    ({ sql, type, operator = '=' }, i) => `${sql} ${operator} ${values.add(parameters[i], type)}`,
  );
  const filters = query.filters.map((filter) => {
    const column = mapping.columns[filter.field];
    if (!column) throw new Error(`${mapping.table} has no column for ${filter.field}`);
    return filterSql(column, filter, values);
  });
  const own = mapping.searchTable === undefined ? searches(mapping, query, values) : [];
  return ['r.space_id = $1', ...(mapping.where ?? []), ...fixed, ...filters, ...own];
}

/** A trigram index finds a word by three letters or digits in a row. */
const hasTrigram = /[\p{L}\p{N}]{3}/u;

/** Every word must occur. */
function searches({ table, search, searchTable }: TableMapping, query: ListQuery, values: Values): string[] {
  const text = searchTable === undefined ? search : 's.search_text';
  return query.search.map((word) => {
    if (text === undefined) throw new Error(`${table} has nothing to search in`);
    // A shorter word would read the whole index, all Spaces of it; another collation hides the index from the plan.
    const searched = hasTrigram.test(word) ? text : `(${text}) collate "C"`;
    return `${searched} like ${values.add(containing(word), 'text')}`;
  });
}

/** One ordered pass along the index of a sort whose key is never null. */
function walk(parts: Parts): string {
  const { plan, query, chosen, after, values } = parts;
  const id = parts.mapping.position ?? 'r.id';
  const position = after === null ? '' : ` and ${behind(parts, id, plan.sort.key, after, values)}`;
  const order = byId(parts) ? `${id} ${query.order}` : `${plan.sort.key} ${query.order}, r.id ${query.order}`;
  const page = `select ${columnsOf(parts)} from ${plan.table} r
    where ${chosen}${position} order by ${order} ${limitOf(parts)}`;
  return answer(parts, '', page, byId(parts) ? `id ${query.order}` : `key ${query.order}, id ${query.order}`);
}

/**
 * Nulls are last in both orders, but an index has them at one end only. So the rows with a key come first, then, if the
 * page has room left, those without: two ordered passes along the same index.
 */
function walkWithNulls(parts: Parts): string {
  const { plan, query, chosen, after, values, limit, offset } = parts;
  const { key, type } = plan.sort;
  const order = `order by ${key} ${query.order}, r.id ${query.order}`;
  const from = `from ${plan.table} r where ${chosen}`;
  const filledPosition =
    after === null || after.value === null ? '' : ` and ${behind(parts, 'r.id', key, after, values)}`;
  const unsetPosition =
    after === null || after.value !== null ? '' : ` and r.id ${sign(query)} ${values.add(after.id, 'bigint')}`;
  const unsetOnly = after !== null && after.value === null;

  const filled = `filled as materialized (
    select ${columnsOf(parts)}, 0 as segment ${from} and ${key} is not null${filledPosition} ${order} ${limitOf(parts)})`;
  // How many rows with a key were skipped is only asked when the page is not full of them.
  const skipped =
    offset === undefined
      ? ''
      : `offset case when (select count(*) from filled) >= ${limit} then 0
           else greatest(0, ${offset} - (select count(*) ${from} and ${key} is not null)) end`;
  const room = unsetOnly ? limit : `${limit} - (select count(*) from filled)`;
  const unset = `unset as materialized (
    select ${columnsOf(parts, `null::${type}`)}, 1 as segment ${from} and ${key} is null${unsetPosition} ${order}
    limit ${room} ${skipped})`;
  const prefix = unsetOnly ? `with ${unset}` : `with ${filled},\n  ${unset}`;
  const page = unsetOnly ? 'select * from unset' : 'select * from filled union all select * from unset';
  return answer(parts, prefix, page, `segment, key ${query.order}, id ${query.order}`);
}

/** All matches, then the page among them. */
function gather(parts: Parts): string {
  const { plan, query, after, values } = parts;
  const counted = plan.total === 'counted';
  // Kept together where they are needed twice, and where a search must not be tried row by row along some index. Else they
  // pass by, behind an `offset 0` that keeps their key from being computed anew for every use of it.
  const kept = counted || query.search.length > 0;
  const position = after === null ? '' : `where ${behindInHits(parts, after, values)}`;
  const order = `key ${query.order} nulls last, id ${query.order}`;
  const prefix = `with hits as ${kept ? '' : 'not '}materialized (\n    ${hitsOf(parts)}${kept ? '' : ' offset 0'})`;
  const page = `select id, key from hits ${position} order by ${order} ${limitOf(parts)}`;
  return answer(parts, prefix, page, order);
}

/** Id and key of every match. The searched text may have a table of its own, which is all that some searches need. */
function hitsOf(parts: Parts): string {
  const { mapping, plan, query, chosen, values } = parts;
  const { searchTable, where, parameters } = mapping;
  const { table } = plan;
  if (query.search.length === 0 || searchTable === undefined)
    return `select r.id, ${plan.sort.key} as key from ${table} r where ${chosen}`;
  const found = `s.space_id = $1 and ${searches(mapping, query, values).join(' and ')}`;
  if (byId(parts) && query.filters.length === 0 && !where && !parameters)
    return `select s.id, s.id as key from ${searchTable} s where ${found}`;
  return `select r.id, ${plan.sort.key} as key
    from ${searchTable} s join ${table} r on r.space_id = s.space_id and r.id = s.id where ${found} and ${chosen}`;
}

/** The statement around a page: its texts in one, how many there are, where the next page begins, and the total. */
function answer(parts: Parts, prefix: string, page: string, order: string): string {
  const { plan, query, size } = parts;
  const walking = 'after' in query.window;
  const text = plan.deferred ? textOf(parts, 'page.id') : 'page.json';
  const number = walking ? `, page.id, page.key, row_number() over (order by ${order}) as place` : '';
  const next = walking
    ? `max(line.id) filter (where line.place = ${size}) as next_id,
  max(${asText('line.key', plan.sort.type)}) filter (where line.place = ${size}) as next_value`
    : 'null as next_id, null as next_value';
  return `${prefix}
select count(*) as found,
  string_agg(line.json, ',')${walking ? ` filter (where line.place <= ${size})` : ''} as rows,
  ${totalOf(parts)} as total,
  ${next}
from (select ${text} as json${number} from (${page}) page order by ${order}) line`.trim();
}

const byId = ({ plan }: Parts) => plan.sort.sql === 'r.id';

/** What a page carries of each row: its key and id, and its text unless that comes later. */
function columnsOf({ mapping, plan }: Parts, key = plan.sort.key): string {
  return `r.id, ${key} as key${plan.deferred ? '' : `, ${mapping.json} as json`}`;
}

/** One row's text by its id: always through the primary key, which a join would leave to the planner. */
function textOf({ mapping }: Parts, id: string): string {
  return `(select ${mapping.json} from ${mapping.jsonTable ?? mapping.table} r where r.space_id = $1 and r.id = ${id})`;
}

function totalOf({ mapping, plan, chosen }: Parts): string {
  switch (plan.total) {
    case 'none':
      return 'null';
    case 'kept':
      return `coalesce((${mapping.total}), 0)`;
    case 'counted':
      return plan.strategy === 'gather'
        ? '(select count(*) from hits)'
        : `(select count(*) from ${plan.table} r where ${chosen})`;
  }
}

/** A page behind the last row finds nothing without walking there, where the number of rows is known. */
function limitOf({ mapping, plan, limit, offset }: Parts): string {
  if (offset === undefined) return `limit ${limit}`;
  const reached = plan.total === 'kept' && plan.deferred;
  const cut = reached ? `case when ${offset} < (${mapping.total}) then ${limit} else 0 end` : limit;
  return `limit ${cut} offset ${offset}`;
}

const sign = (query: ListQuery) => (query.order === 'asc' ? '>' : '<');

/** Rows behind a position that has a key. */
function behind(parts: Parts, id: string, key: string, after: Position, values: Values): string {
  const { plan, query } = parts;
  if (byId(parts)) return `${id} ${sign(query)} ${values.add(after.id, 'bigint')}`;
  const value = values.add(after.value, plan.sort.type);
  return `(${key}, ${id}) ${sign(query)} (${value}, ${values.add(after.id, 'bigint')})`;
}

function behindInHits(parts: Parts, after: Position, values: Values): string {
  if (after.value === null) return `key is null and id ${sign(parts.query)} ${values.add(after.id, 'bigint')}`;
  return `(key is null or ${behind(parts, 'id', 'key', after, values)})`;
}

/** A key as its JSON value is written. */
function asText(key: string, type: ColumnType): string {
  return type === 'timestamptz'
    ? `to_char(${key} at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"')`
    : `${key}::text`;
}
