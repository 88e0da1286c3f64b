import { snakeCase, type Field, type FieldKind, type ListDefinition } from '@keyturn/contracts';

export type ColumnType = 'bigint' | 'double precision' | 'text' | 'boolean' | 'date' | 'timestamptz';

/** Where a field of a list stands in SQL. Every expression speaks of the table's row as `r`. */
export interface ColumnMapping {
  readonly sql: string;
  readonly type: ColumnType;
  /** What it sorts and compares by: folded for strings, else the column itself. */
  readonly key: string;
  /** There is a btree on `(space_id, key, id)`; for the id itself, on `(space_id, id)`. */
  readonly indexed: boolean;
  readonly nullable: boolean;
  /** What a range of this column says of another one, so that a walk along that one's index begins and ends near the range. */
  readonly implies?: ImpliedRange;
}

/** Predicates that hold wherever the column is at least, or at most, the value that is given as SQL. */
export interface ImpliedRange {
  readonly from: (value: string) => string;
  readonly upTo: (value: string) => string;
}

/**
 * The table behind a list. It has `space_id` and a numeric `id`, unique together; everything else is for the mapping to
 * say, so that a list may as well show rows whose JSON is built on the spot.
 */
export interface TableMapping {
  readonly table: string;
  /** Predicates that always hold: a view of a resource. A partial index may have the same. */
  readonly where?: readonly string[];
  /** Its predicates leave little to pass by, so a walk keeps to the index of its sort, whatever the planner expects. */
  readonly narrow?: boolean;
  /** Columns that are compared with a value given with each request: the webhook of a list of deliveries must equal it. */
  readonly parameters?: readonly ListParameter[];
  /** The id as the index spells it that a walk by id shall keep to; no other index may have this order. */
  readonly position?: string;
  /** One row as JSON text. */
  readonly json: string;
  /** The table that `json` speaks of as `r`, where it is another one, keyed by the same `space_id` and `id`. */
  readonly jsonTable?: string;
  readonly columns: Readonly<Record<string, ColumnMapping>>;
  /** Text that `search=` looks into, folded. */
  readonly search?: string;
  /** Or the table that holds it, as `search_text` under the row's `space_id` and `id`. */
  readonly searchTable?: string;
  /** A query for the number of all rows of the Space (`$1`) in this list, where somebody keeps it; else they are counted. */
  readonly total?: string;
}

export interface ListParameter {
  readonly sql: string;
  readonly type: ColumnType;
  readonly operator?: '=' | '>=' | '<=';
}

/** Characters of a string that its sort looks at, so that an index entry always fits its page. */
const keyLength = 500;

const columnTypes: Record<Exclude<FieldKind, 'strings' | 'text'>, ColumnType> = {
  id: 'bigint',
  integer: 'bigint',
  number: 'double precision',
  string: 'text',
  enum: 'text',
  boolean: 'boolean',
  date: 'date',
  datetime: 'timestamptz',
};

export interface ColumnOptions {
  /** Fields without nulls, beside `id`, `createdAt` and `updatedAt`. */
  readonly notNull?: readonly string[];
  /** Expressions of fields that are not simply the column of their name. */
  readonly sql?: Readonly<Record<string, string>>;
}

const neverNull = ['id', 'createdAt', 'updatedAt'];

/** The folded beginning of a string, in the order of code points. */
export const foldedKey = (sql: string) => `(left(lower(${sql}), ${keyLength}) collate "C")`;

/**
 * The columns of a list by the convention of our tables: `closingDate` is `r.closing_date`, and a string with an index
 * has its key beside it in `r.last_name_sort`.
 */
export function mapColumns(definition: ListDefinition, options: ColumnOptions = {}): TableMapping['columns'] {
  const notNull = new Set([...neverNull, ...(options.notNull ?? [])]);
  const columns: Record<string, ColumnMapping> = {};
  for (const [name, field] of Object.entries(definition.fields)) {
    if (field.sensitive || !(field.filterable || field.sortable)) continue;
    const sql = options.sql?.[name] ?? `r.${snakeCase(name)}`;
    const type = columnType(name, field);
    columns[name] = { sql, type, key: keyOf(field, sql), indexed: field.indexed, nullable: !notNull.has(name) };
  }
  return columns;
}

function columnType(name: string, { kind }: Field): ColumnType {
  if (kind === 'strings' || kind === 'text') throw new Error(`${name}: a list neither filters nor sorts by ${kind}`);
  return columnTypes[kind];
}

function keyOf(field: Field, sql: string): string {
  if (field.kind === 'string') return field.indexed ? `${sql}_sort` : foldedKey(sql);
  return field.kind === 'enum' ? `(${sql} collate "C")` : sql;
}
