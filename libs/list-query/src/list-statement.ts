import { createHash } from 'node:crypto';
import type { FilterValue, ListQuery, ListReply } from '@keyturn/contracts';
import { listSql, type ListRow } from './list-sql';
import { planList, type SessionKind } from './plan';
import type { ColumnType, TableMapping } from './table-mapping';

/** SQL with a name: `Statement` of `@keyturn/platform/database`. */
interface Statement {
  readonly name: string;
  readonly text: string;
}

/** A list, ready to run in its Space on connections of its kind. */
export interface ListStatement {
  readonly statement: Statement;
  /** From `$2` on. */
  readonly values: readonly unknown[];
  readonly sessions: SessionKind;
  /** The reply's head and, joined by commas, its rows. */
  reply(row: ListRow): { readonly head: ListReply; readonly rows: string };
}

/** Plans a list and writes its statement. `parameters` are the values of the mapping's own. */
export function listStatement(
  mapping: TableMapping,
  query: ListQuery,
  parameters: readonly unknown[] = [],
): ListStatement {
  const plan = planList(mapping, query);
  const { text, values } = listSql(mapping, query, plan, parameters);
  return {
    statement: named(text, plan.sessions),
    values,
    sessions: plan.sessions,
    reply: (row) => ({ head: headOf(row, query, plan.sort.type), rows: row.rows ?? '' }),
  };
}

function headOf(row: ListRow, query: ListQuery, type: ColumnType): ListReply {
  const found = Number(row.found);
  if ('page' in query.window) return { count: found, total: Number(row.total), next: null };
  const more = found > query.pageSize;
  return {
    count: more ? query.pageSize : found,
    total: null,
    next: more ? { value: valueOf(row.next_value, type), id: Number(row.next_id) } : null,
  };
}

function valueOf(text: string | null, type: ColumnType): FilterValue | null {
  if (text === null) return null;
  if (type === 'bigint' || type === 'double precision') return Number(text);
  return type === 'boolean' ? text === 'true' : text;
}

/**
 * Names are prepared once per connection and kept by Postgres, so there must be an end to them. What walks an index comes
 * in few shapes; callers can make up any number of filters, and only the first shapes get a name.
 */
const known: Record<SessionKind, Map<string, Statement>> = { walk: new Map(), scan: new Map() };
const maxNames: Record<SessionKind, number> = { walk: 2_000, scan: 200 };

function named(text: string, kind: SessionKind): Statement {
  const statements = known[kind];
  const found = statements.get(text);
  if (found) return found;
  if (statements.size >= maxNames[kind]) return { name: '', text };
  const statement = { name: `list_${createHash('sha256').update(text).digest('hex').slice(0, 24)}`, text };
  statements.set(text, statement);
  return statement;
}
