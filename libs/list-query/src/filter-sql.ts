import type { Filter, FilterValue } from '@keyturn/contracts';
import { foldedKey, type ColumnMapping } from './table-mapping';
import type { Values } from './values';

/** A filter as a predicate over `r`; several values are one or the other. */
export function filterSql(column: ColumnMapping, filter: Filter, values: Values): string {
  const { operator } = filter;
  if (operator === 'eq' || operator === 'in') return equalsOneOf(column, filter.values, values);
  return anyOf(filter.values.map((value) => compare(column, operator, value, values)));
}

const anyOf = (predicates: readonly string[]) =>
  predicates.length === 1 ? (predicates[0] as string) : `(${predicates.join(' or ')})`;

/** A plain day against a moment means its 24 hours in UTC. */
const isDay = (column: ColumnMapping, value: FilterValue) =>
  column.type === 'timestamptz' && typeof value === 'string' && !value.includes('T');

function equalsOneOf(column: ColumnMapping, given: readonly FilterValue[], values: Values): string {
  const days = given.filter((value) => isDay(column, value));
  const others = given.filter((value) => !isDay(column, value));
  const predicates: string[] = [];
  if (others.length === 1) predicates.push(equals(column, others[0] as FilterValue, values));
  if (others.length > 1) predicates.push(`${column.sql} = any(${values.add(others, `${column.type}[]`)})`);
  if (days.length === 1) predicates.push(`(${withinDay(column, days[0] as FilterValue, values)})`);
  if (days.length > 1) predicates.push(`(${column.sql} at time zone 'UTC')::date = any(${values.add(days, 'date[]')})`);
  return anyOf(predicates);
}

function equals(column: ColumnMapping, value: FilterValue, values: Values): string {
  const equal = `${column.sql} = ${values.add(value, column.type)}`;
  // What is equal has an equal key, and the key has an index.
  return column.type === 'text' && column.indexed
    ? `(${equal} and ${column.key} = ${foldedKey(values.add(value, 'text'))})`
    : equal;
}

function withinDay(column: ColumnMapping, day: FilterValue, values: Values): string {
  const { start, end } = hoursOf(day, values);
  const { implies } = column;
  const range = `${column.sql} >= ${start} and ${column.sql} < ${end}`;
  return implies ? `${range} and ${implies.from(start)} and ${implies.upTo(end)}` : range;
}

function hoursOf(day: FilterValue, values: Values): { start: string; end: string } {
  const date = values.add(day, 'date');
  return { start: `((${date})::timestamp at time zone 'UTC')`, end: `((${date} + 1)::timestamp at time zone 'UTC')` };
}

const signs = { gt: '>', gte: '>=', lt: '<', lte: '<=' } as const;

function compare(
  column: ColumnMapping,
  operator: Exclude<Filter['operator'], 'eq' | 'in'>,
  value: FilterValue,
  values: Values,
): string {
  const { sql } = column;
  switch (operator) {
    case 'null':
      return value === true ? `${sql} is null` : `${sql} is not null`;
    case 'contains':
      return `lower(${sql}) like lower(${values.add(containing(String(value)), 'text')})`;
    case 'ne':
      if (isDay(column, value)) return `(${sql} is null or not (${withinDay(column, value, values)}))`;
      return `${sql} is distinct from ${values.add(value, column.type)}`;
    default:
      return ranged(column, operator, value, values);
  }
}

function ranged(column: ColumnMapping, operator: keyof typeof signs, value: FilterValue, values: Values): string {
  const { bound, sign } = isDay(column, value)
    ? boundOfDay(operator, hoursOf(value, values))
    : { bound: keyOf(column, values.add(value, column.type)), sign: signs[operator] };
  const range = `${column.key} ${sign} ${bound}`;
  if (!column.implies) return range;
  return `(${range} and ${operator.startsWith('g') ? column.implies.from(bound) : column.implies.upTo(bound)})`;
}

const keyOf = (column: ColumnMapping, sql: string) => (column.key === column.sql ? sql : foldedKey(sql));

/** After a day is from its end on; up to a day is until its end. */
function boundOfDay(operator: keyof typeof signs, { start, end }: { readonly start: string; readonly end: string }) {
  switch (operator) {
    case 'gt':
      return { sign: '>=', bound: end };
    case 'gte':
      return { sign: '>=', bound: start };
    case 'lt':
      return { sign: '<', bound: start };
    case 'lte':
      return { sign: '<', bound: end };
  }
}

/** A pattern for LIKE that matches the text anywhere and takes it literally. */
export const containing = (text: string) => `%${text.replace(/[\\%_]/g, '\\$&')}%`;
