import { EntitySchema, type EntitySchemaColumnOptions } from 'typeorm';
import type { RecordTable } from './record-table';

type Row = Record<string, unknown>;

/** `timestamp(3) with time zone` in the parts that TypeORM keeps apart. */
function columnType(type: string): Pick<EntitySchemaColumnOptions, 'type' | 'precision' | 'array'> {
  if (type === 'timestamp(3) with time zone') return { type: 'timestamp with time zone', precision: 3 };
  return { type: type as 'text' };
}

type Columns = Record<string, EntitySchemaColumnOptions>;

const key: Columns = { space_id: { type: 'bigint', primary: true }, id: { type: 'bigint', primary: true } };

/** `data."user"` → `user`. */
const nameOf = (qualified: string) => qualified.replace(/^data\."?(\w+)"?$/, '$1');

function schemaOf(qualified: string, columns: Columns): EntitySchema<Row> {
  const name = nameOf(qualified);
  return new EntitySchema<Row>({ name, schema: 'data', tableName: name, columns: { ...key, ...columns } });
}

/**
 * The definitions of a resource's tables as TypeORM says them. Only the migration's test needs them: queries go through
 * statements of their own.
 */
export function recordSchemas(table: RecordTable): EntitySchema<Row>[] {
  const columns: Columns = {};
  for (const column of table.columns) {
    if (column.name === 'id') continue;
    columns[column.name] = {
      ...columnType(column.type),
      nullable: !column.notNull,
      ...(column.collation ? { collation: column.collation } : {}),
    };
  }
  if (table.hasPhoneKeys) columns['phone_keys'] = { type: 'text', array: true };
  return [
    schemaOf(table.qualified, columns),
    schemaOf(table.stateTable, {
      version: { type: 'bigint', nullable: true },
      event_time: { type: 'timestamp with time zone', precision: 3 },
      json: { type: 'text' },
    }),
    schemaOf(table.searchTable, { search_text: { type: 'text' } }),
  ];
}
