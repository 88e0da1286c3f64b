import {
  contactResource,
  fileResource,
  loopStatusOf,
  resources,
  snakeCase,
  type AnyRecord,
  type Field,
  type FieldKind,
  type ListingStatus,
  type Resource,
  type Value,
} from '@keyturn/contracts';

/** One column of a record table that holds a field, or a form of one. */
export interface RecordColumn {
  readonly name: string;
  readonly type: string;
  readonly notNull: boolean;
  /** What a writer stores; absent where Postgres computes the column itself. */
  readonly value?: (record: AnyRecord) => Value;
  /** Collation other than the database's own. */
  readonly collation?: 'C';
}

/**
 * The tables of a resource. What filters, sorts or stays hidden has a column; everything that a caller may see stands as JSON
 * text in the table of states, and what `search=` looks into in a third.
 */
export interface RecordTable {
  readonly resource: Resource;
  readonly schema: 'data';
  readonly name: string;
  /** As SQL says it: `data."user"`. */
  readonly qualified: string;
  /** `data.file_state`: `space_id`, `id`, `version`, `event_time`, `json`. */
  readonly stateTable: string;
  /** `data.file_search`: `space_id`, `id`, `search_text`. */
  readonly searchTable: string;
  /** The fields' columns; beside them there is `space_id`. */
  readonly columns: readonly RecordColumn[];
  /** Whether there is a column `phone_keys`, by which a telephone number is looked up (T-065): see {@link phoneKey}. */
  readonly hasPhoneKeys: boolean;
}

const typeOf: Record<FieldKind, string> = {
  id: 'bigint',
  integer: 'bigint',
  number: 'double precision',
  string: 'text',
  text: 'text',
  enum: 'text',
  boolean: 'boolean',
  date: 'date',
  datetime: 'timestamp(3) with time zone',
  strings: 'text[]',
};

const neverNull = new Set(['id', 'createdAt', 'updatedAt']);

/** National digits as `phone_keys` holds them: with their Space, so that one index entry has one Space's contacts. */
export const phoneKey = (space: string, digits: string) => `${space}:${digits}`;

/** The generated column by which an indexed string sorts: `last_name_sort`. */
export const sortColumnName = (field: string) => `${snakeCase(field)}_sort`;

/** Whether a field has a column: it filters or sorts, or is stored without being shown. */
export const hasColumn = (field: Field) => field.filterable || field.sortable || field.sensitive;

/** Strings sort without regard to case, so an indexed one needs its folded form beside it. */
export const hasSortColumn = (field: Field) => field.indexed && field.kind === 'string';

function columnsOf(resource: Resource): RecordColumn[] {
  const columns: RecordColumn[] = [];
  for (const [name, field] of Object.entries(resource.fields)) {
    if (!hasColumn(field)) continue;
    columns.push({
      name: snakeCase(name),
      type: typeOf[field.kind],
      notNull: neverNull.has(name),
      value: (record) => record[name] ?? null,
    });
    if (hasSortColumn(field))
      columns.push({ name: sortColumnName(name), type: 'text', notNull: false, collation: 'C' });
  }
  return columns;
}

/**
 * A file is stored as the Loop API's pair, transaction type and loop status; what v1 calls `fileType`, `listingStatus` and
 * `status` is computed from it by Postgres, so the surfaces cannot drift (CONTRACT §2.3).
 */
function fileColumns(): RecordColumn[] {
  const computed = new Set(['file_type', 'listing_status', 'status']);
  const columns = columnsOf(fileResource).map((column): RecordColumn => {
    if (!computed.has(column.name)) return column;
    const { name, type } = column;
    return { name, type, notNull: name === 'status' };
  });
  const loopStatus = (file: AnyRecord) => loopStatusOf[file['listingStatus'] as ListingStatus] ?? null;
  return [...columns, { name: 'loop_status', type: 'text', notNull: false, value: loopStatus }];
}

function tableOf(resource: Resource): RecordTable {
  const name = resource.name;
  return {
    resource,
    schema: 'data',
    name,
    qualified: name === 'user' ? 'data."user"' : `data.${name}`,
    stateTable: `data.${name}_state`,
    searchTable: `data.${name}_search`,
    columns: resource === fileResource ? fileColumns() : columnsOf(resource),
    hasPhoneKeys: resource === contactResource,
  };
}

const tables = new Map(resources.map((resource) => [resource.name, tableOf(resource)]));

export function recordTable(resource: Resource): RecordTable {
  const table = tables.get(resource.name);
  if (!table) throw new Error(`there is no table for ${resource.name}`);
  return table;
}

export const recordTables: readonly RecordTable[] = [...tables.values()];
