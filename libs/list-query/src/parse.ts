import {
  checkText,
  searchWords,
  snakeCase,
  validationError,
  type Field,
  type Filter,
  type FilterValue,
  type ListDefinition,
  type ListQuery,
  type Operator,
} from '@keyturn/contracts';
import type { CursorCodec, CursorScope } from './cursor';
import { operatorsOf, parseFilterValue } from './filter-value';
import { nearestName } from './nearest-name';

export const defaultPageSize = 25;
/** Beyond it a page is cut to it, and says so in its `pageSize` (X7). */
export const maxPageSize = 100;

const maxParameters = 200;
const maxValues = 500;
const maxSearchLength = 500;
const maxSearchWords = 20;

/** Parameters that are no column. */
export const listParameters = ['page', 'pageSize', 'sort', 'order', 'search', 'cursor', 'fields'] as const;
type ListParameter = (typeof listParameters)[number];

/** Names and values as the query string gives them, decoded; `URLSearchParams` is one. */
export type Parameters = Iterable<readonly [name: string, value: string]>;

export interface ParseOptions {
  readonly cursors: CursorCodec;
  /** What the cursors of this list are bound to, beside the query: the Space, the collection. */
  readonly scope: CursorScope;
}

/** Checks every name and value of a list request against its definition (T-066 … T-076, DESIGN §3). */
export function parseListQuery(definition: ListDefinition, parameters: Parameters, options: ParseOptions): ListQuery {
  const columns = columnsOf(definition);
  const given = sortParameters(columns, parameters);
  const walk = {
    filters: [...given.filters.values()],
    search: parseSearch(given.single.get('search')),
    ...parseSort(definition, columns, given.single),
  };
  return {
    ...walk,
    pageSize: Math.min(positiveInteger('pageSize', given.single.get('pageSize')) ?? defaultPageSize, maxPageSize),
    window: parseWindow(given.single, walk, options),
    fields: parseFields(definition, given.single.get('fields')),
  };
}

/** The parameters of one record's request: `fields=` and nothing else. */
export function parseDetailQuery(
  definition: ListDefinition,
  parameters: Parameters,
): { readonly fields: readonly string[] | null } {
  let fields: string | undefined;
  for (const [name, value] of parameters) {
    if (name !== 'fields') throw validationError(shown(name), `Unknown parameter ${quoted(name)}. Allowed: fields`);
    if (fields !== undefined) throw validationError('fields', 'fields may be given once');
    fields = value;
  }
  return { fields: parseFields(definition, fields) };
}

/** `fields=id,propertyAddress`: the keys of sparse rows, in JSON order; null for whole rows. */
export function parseFields(definition: ListDefinition, text: string | undefined): readonly string[] | null {
  if (text === undefined) return null;
  const columns = columnsOf(definition);
  const wanted = new Set<string>();
  for (const name of text.split(',')) {
    const column = columns.get(name.trim());
    if (!column) throw unknownName('fields', 'fields names no field', name, namesOf(columns));
    wanted.add(column.name);
  }
  return namesOf(columns).filter((name) => wanted.has(name));
}

interface Column {
  readonly name: string;
  readonly field: Field;
}
type Columns = ReadonlyMap<string, Column>;

const columnCache = new WeakMap<ListDefinition, Columns>();

/** What a caller may name, in both spellings; a sensitive field is as unknown as one that does not exist (T-035). */
function columnsOf(definition: ListDefinition): Columns {
  const cached = columnCache.get(definition);
  if (cached) return cached;
  const columns = new Map<string, Column>();
  for (const [name, field] of Object.entries(definition.fields)) {
    if (field.sensitive) continue;
    columns.set(name, { name, field });
    columns.set(snakeCase(name), { name, field });
  }
  columnCache.set(definition, columns);
  return columns;
}

function namesOf(columns: Columns, which: (field: Field) => boolean = () => true): string[] {
  const names = [...columns.values()].filter(({ field }) => which(field)).map(({ name }) => name);
  return [...new Set(names)];
}

interface Given {
  readonly single: ReadonlyMap<ListParameter, string>;
  readonly filters: ReadonlyMap<string, Filter>;
}

function isListParameter(name: string): name is ListParameter {
  return (listParameters as readonly string[]).includes(name);
}

function sortParameters(columns: Columns, parameters: Parameters): Given {
  const single = new Map<ListParameter, string>();
  const filters = new Map<string, Filter>();
  let count = 0;
  for (const [name, value] of parameters) {
    if (++count > maxParameters) throw validationError('query', `At most ${maxParameters} parameters are allowed`);
    if (isListParameter(name)) {
      if (single.has(name)) throw validationError(name, `${name} may be given once`);
      single.set(name, value);
    } else {
      addFilter(filters, parseFilter(columns, name, value));
    }
  }
  return { single, filters };
}

const filterName = /^([^[\]]+)(?:\[([^[\]]*)\])?$/;

function parseFilter(columns: Columns, parameter: string, text: string): Filter {
  const [, name = parameter, operatorName = 'eq'] = filterName.exec(parameter) ?? [];
  const column = columns.get(name);
  if (!column?.field.filterable) {
    const allowed = namesOf(columns, (field) => field.filterable);
    throw unknownName(shown(parameter), 'Unknown parameter', name, [...allowed, ...listParameters], allowed);
  }
  const allowed = operatorsOf(column.field);
  const operator = allowed.find((known) => known === operatorName);
  if (!operator)
    throw validationError(
      column.name,
      `${column.name} has no operator ${quoted(operatorName)}. Allowed: ${allowed.join(', ')}`,
    );
  const texts = operator === 'in' ? text.split(',') : [text];
  return { field: column.name, operator, values: texts.map((item) => parseValue(column, operator, item)) };
}

function parseValue({ name, field }: Column, operator: Operator, text: string): FilterValue {
  const checked = parseFilterValue(field, operator, text);
  if (!checked.ok) throw validationError(name, `${name} ${checked.problem}`);
  return checked.value;
}

/** A repeated parameter means one or the other (T-074). */
function addFilter(filters: Map<string, Filter>, filter: Filter): void {
  const key = `${filter.field} ${filter.operator}`;
  const values = new Set([...(filters.get(key)?.values ?? []), ...filter.values]);
  if (values.size > maxValues)
    throw validationError(filter.field, `${filter.field} may have at most ${maxValues} values`);
  filters.set(key, { ...filter, values: [...values] });
}

function parseSort(
  definition: ListDefinition,
  columns: Columns,
  single: Given['single'],
): Pick<ListQuery, 'sort' | 'order'> {
  const byDefault = definition.defaultSort ?? { field: 'id', order: 'asc' };
  const name = single.get('sort');
  const column = name === undefined ? columns.get(byDefault.field) : columns.get(name);
  if (!column?.field.sortable)
    throw unknownName(
      'sort',
      'sort names no sortable column',
      name ?? '',
      namesOf(columns, (field) => field.sortable),
    );
  const order = single.get('order')?.toLowerCase() ?? (name === undefined ? byDefault.order : 'asc');
  if (order !== 'asc' && order !== 'desc') throw validationError('order', 'order must be asc or desc');
  return { sort: column.name, order };
}

function parseSearch(text = ''): string[] {
  const clean = checkText(text);
  if (!clean.ok) throw validationError('search', `search ${clean.problem}`);
  if (text.length > maxSearchLength)
    throw validationError('search', `search may have at most ${maxSearchLength} characters`);
  const words = searchWords(text);
  if (words.length > maxSearchWords) throw validationError('search', `search may have at most ${maxSearchWords} words`);
  return words;
}

function parseWindow(
  single: Given['single'],
  walk: Omit<ListQuery, 'window' | 'pageSize' | 'fields'>,
  { cursors, scope }: ParseOptions,
): ListQuery['window'] {
  const cursor = single.get('cursor');
  if (cursor === undefined) return { page: positiveInteger('page', single.get('page')) ?? 1 };
  if (single.has('page')) throw validationError('page', 'page and cursor exclude each other');
  return { after: cursor === '' ? null : cursors.decode(scope, walk, cursor) };
}

function positiveInteger(name: string, text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  if (!/^[1-9]\d*$/.test(text) || !Number.isSafeInteger(Number(text)))
    throw validationError(name, `${name} must be a whole number from 1`);
  return Number(text);
}

function unknownName(
  field: string,
  problem: string,
  given: string,
  candidates: readonly string[],
  allowed: readonly string[] = candidates,
) {
  const nearest = given.length <= 60 ? nearestName(given, candidates) : undefined;
  const hint = nearest === undefined ? '' : ` Did you mean ${nearest}?`;
  return validationError(field, `${problem}: ${quoted(given)}.${hint} Allowed: ${allowed.join(', ')}`);
}

/** A name of the caller's, short enough and safe to repeat in a message. */
const shown = (name: string) => (name.length > 60 ? `${name.slice(0, 60)}…` : name).replace(/\p{C}/gu, '?');
const quoted = (name: string) => `"${shown(name)}"`;
