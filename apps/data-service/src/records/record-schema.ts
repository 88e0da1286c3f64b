import { EntitySchema, type EntitySchemaColumnOptions } from 'typeorm';
import type { RecordTable } from './record-table';

type Row = Record<string, unknown>;

const bookkeeping: Record<string, EntitySchemaColumnOptions> = {
  version: { type: 'bigint', nullable: true },
  event_time: { type: 'timestamp with time zone', precision: 3 },
  json: { type: 'text' },
};

/** `timestamp(3) with time zone` in the parts that TypeORM keeps apart. */
function columnType(type: string): Pick<EntitySchemaColumnOptions, 'type' | 'precision' | 'array'> {
  if (type === 'timestamp(3) with time zone') return { type: 'timestamp with time zone', precision: 3 };
  return { type: type as 'text' };
}

/**
 * The definition of a record table as TypeORM says it. Only the migration's test needs it: queries go through statements of
 * their own.
 */
export function recordSchema(table: RecordTable): EntitySchema<Row> {
  const columns: Record<string, EntitySchemaColumnOptions> = { space_id: { type: 'bigint', primary: true } };
  for (const column of table.columns) {
    columns[column.name] = {
      ...columnType(column.type),
      primary: column.name === 'id',
      nullable: !column.notNull,
      ...(column.collation ? { collation: column.collation } : {}),
    };
  }
  Object.assign(columns, bookkeeping);
  if (table.hasPhoneKeys) columns['phone_keys'] = { type: 'text', array: true };
  return new EntitySchema<Row>({ name: table.name, schema: table.schema, tableName: table.name, columns });
}
