import { phoneKeys, searchText, type AnyRecord, type Resource } from '@keyturn/contracts';
import { phoneKey, recordTable } from '../records/record-table';
import {
  arrayLiteral,
  bigintArray,
  booleanArray,
  dateArray,
  doubleArray,
  textArray,
  timestampArray,
} from './pg-arrays';

/** A record as it is written: whole, with what orders its states. */
export interface RecordRow {
  readonly spaceId: string;
  readonly record: AnyRecord;
  readonly json: string;
  readonly version: number | null;
  readonly time: string;
}

/** A column of a record table as a batch writes it. */
export interface WrittenColumn {
  readonly name: string;
  /** The type of the array's elements. */
  readonly elementType: string;
  /** The column's own type, where values travel in another. */
  readonly cast?: string;
  encode(rows: readonly RecordRow[]): Buffer;
}

type Encoder = (values: readonly (never | null)[]) => Buffer;

const encoders: Readonly<Record<string, Encoder>> = {
  bigint: bigintArray,
  'double precision': doubleArray,
  text: textArray,
  boolean: booleanArray,
  date: dateArray,
  'timestamp(3) with time zone': timestampArray,
};

const literals = (values: readonly (readonly string[] | null)[]) =>
  textArray(values.map((value) => (value === null ? null : arrayLiteral(value))));

function column<T>(name: string, type: string, value: (row: RecordRow) => T): WrittenColumn {
  if (type === 'text[]') {
    const encode = (rows: readonly RecordRow[]) => literals(rows.map(value) as (readonly string[] | null)[]);
    return { name, elementType: 'text', cast: 'text[]', encode };
  }
  const encoder = encoders[type];
  if (!encoder) throw new Error(`no values of type ${type} are written`);
  return { name, elementType: type, encode: (rows) => encoder(rows.map(value) as never[]) };
}

const spaceOf = ({ spaceId }: RecordRow) => spaceId.slice('spc_'.length);

const keyColumns = [column('space_id', 'bigint', spaceOf), column('id', 'bigint', ({ record }) => record.id)];

const moment = 'timestamp(3) with time zone';

/** The record as it is shown, and what orders its states. */
export const stateColumns: readonly WrittenColumn[] = [
  ...keyColumns,
  column('version', 'bigint', ({ version }) => version),
  column('event_time', moment, ({ time }) => time),
  column('json', 'text', ({ json }) => json),
];

/** What `search=` looks into, in a table of its own. */
export function searchColumns(resource: Resource): readonly WrittenColumn[] {
  return [...keyColumns, column('search_text', 'text', ({ record }) => searchText(resource, record))];
}

const phoneKeysOf = (resource: Resource) => (row: RecordRow) =>
  phoneKeys(resource, row.record).map((digits) => phoneKey(spaceOf(row), digits));

/** The fields' columns that are written; what Postgres computes itself is left to it. */
export function writtenColumns(resource: Resource): readonly WrittenColumn[] {
  const table = recordTable(resource);
  return [
    ...keyColumns,
    ...table.columns.flatMap(({ name, type, value }) =>
      value && name !== 'id' ? [column(name, type, ({ record }) => value(record))] : [],
    ),
    ...(table.hasPhoneKeys ? [column('phone_keys', 'text[]', phoneKeysOf(resource))] : []),
  ];
}
