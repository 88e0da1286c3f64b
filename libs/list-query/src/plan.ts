import type { ListQuery } from '@keyturn/contracts';
import type { ColumnMapping, TableMapping } from './table-mapping';

/**
 * How the rows of a page are found.
 * - `walk`: along the index of the sort, from the page's beginning, as far as the page reaches. The cost is that of the
 *   page, whatever the size of the table.
 * - `gather`: all matches first, by whatever plan fits the Space, then the page among them. The cost is that of the
 *   matches (or of the Space, where no index finds them), and the same for every page.
 */
export interface ListPlan {
  readonly strategy: 'walk' | 'gather';
  /** Which connections it runs on: see {@link sessionSettings}. */
  readonly sessions: SessionKind;
  readonly sort: ColumnMapping;
  /** The table whose rows are walked or gathered. */
  readonly table: string;
  /** Keys first, texts of the page's rows afterwards: skipping rows costs less without them. */
  readonly deferred: boolean;
  /** How the total is found; cursor walks have none. */
  readonly total: 'kept' | 'counted' | 'none';
}

export type SessionKind = 'walk' | 'scan';

/**
 * Settings of the connections. Spaces differ in size by 10^5, so no plan is right for all of them: what walks an index is
 * held to it by one plan for everybody, and everything else is planned anew for the Space and the values it is about.
 */
export const sessionSettings: Record<SessionKind, Readonly<Record<string, string>>> = {
  walk: {
    plan_cache_mode: 'force_generic_plan',
    enable_seqscan: 'off',
    enable_bitmapscan: 'off',
    enable_sort: 'off',
    max_parallel_workers_per_gather: '0',
    jit: 'off',
  },
  scan: {
    plan_cache_mode: 'force_custom_plan',
    max_parallel_workers_per_gather: '0',
    jit: 'off',
    random_page_cost: '1.1',
    work_mem: '32MB',
  },
};

/** Rows that a numbered page may skip with their texts before it is cheaper to walk the keys alone. */
const shallowOffset = 100;

export function planList(mapping: TableMapping, query: ListQuery): ListPlan {
  const sort = mapping.columns[query.sort];
  if (!sort) throw new Error(`${mapping.table} has no column for ${query.sort}`);
  const chosen = query.filters.length > 0 || query.search.length > 0;
  const numbered = 'page' in query.window;
  const total = !numbered ? 'none' : chosen || !mapping.total ? 'counted' : 'kept';
  // A numbered page of chosen rows needs them all for its total. A cursor page does not: it may stop when it is full.
  const walks = sort.indexed && query.search.length === 0 && !(chosen && numbered);
  if (!walks) return { strategy: 'gather', sessions: 'scan', sort, table: mapping.table, deferred: true, total };
  const table = textsAlone(mapping, query) ? (mapping.jsonTable ?? mapping.table) : mapping.table;
  return {
    strategy: 'walk',
    sessions: chosen && !mapping.narrow ? 'scan' : 'walk',
    sort,
    table,
    deferred: table !== (mapping.jsonTable ?? mapping.table) || offsetOf(query) > BigInt(shallowOffset),
    total,
  };
}

/** All rows in the order of their ids: the table of texts has that much itself. */
function textsAlone({ columns, where, parameters }: TableMapping, { sort, filters }: ListQuery): boolean {
  return columns[sort]?.sql === 'r.id' && filters.length === 0 && !where && !parameters;
}

/** Rows before a numbered page. Page numbers go beyond what a double can multiply. */
export function offsetOf({ window, pageSize }: ListQuery): bigint {
  return 'page' in window ? BigInt(window.page - 1) * BigInt(pageSize) : 0n;
}
