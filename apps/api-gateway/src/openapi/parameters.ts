import { type Field, type ListDefinition, type Operator } from '@keyturn/contracts';
import { defaultPageSize, maxPageSize, operatorsOf } from '@keyturn/list-query';
import { type Part, ref, valueSchema } from './schema';

/** Parameters that every list shares. */
export const sharedParameters = {
  Page: {
    name: 'page',
    in: 'query',
    // No `default` in the schema: tools would send it along with a cursor, and the two exclude each other.
    description: 'Number of the page, 1 unless given. Beyond the last page the list is empty.',
    schema: { type: 'integer', minimum: 1 },
  },
  PageSize: {
    name: 'pageSize',
    in: 'query',
    description: `Rows a page. More than ${maxPageSize} is cut to ${maxPageSize}, and the answer says so.`,
    schema: { type: 'integer', minimum: 1, default: defaultPageSize },
  },
  Cursor: {
    name: 'cursor',
    in: 'query',
    allowEmptyValue: true,
    description:
      'Walks the list instead of numbering its pages: rows that come or go meanwhile shift nothing, and a late page costs no ' +
      'more than the first. Begin with an empty `cursor=`, go on with `pagination.nextCursor`. Not together with `page`; keep ' +
      'filters, `search` and `sort` as they were.',
    schema: { type: 'string' },
  },
  IfNoneMatch: {
    name: 'If-None-Match',
    in: 'header',
    description: 'The `ETag` of an answer that you have.',
    schema: { type: 'string' },
  },
} as const satisfies Record<string, Part>;

const fieldsOf = (definition: ListDefinition, which: (field: Field) => boolean): [string, Field][] =>
  Object.entries(definition.fields).filter(([, field]) => !field.sensitive && which(field));

const code = (names: readonly string[]) => names.map((name) => `\`${name}\``).join(', ');

function sort(definition: ListDefinition): Part {
  const sortable = fieldsOf(definition, (field) => field.sortable);
  const indexed = sortable.filter(([, field]) => field.indexed).map(([name]) => name);
  return {
    name: 'sort',
    in: 'query',
    description: `Column to sort by; ties go by id, unset values come last. Fast on any size: ${code(indexed)}.`,
    schema: { type: 'string', enum: sortable.map(([name]) => name), default: definition.defaultSort?.field ?? 'id' },
  };
}

const order = (definition: ListDefinition): Part => ({
  name: 'order',
  in: 'query',
  description: 'Direction of `sort`.',
  schema: { type: 'string', enum: ['asc', 'desc'], default: definition.defaultSort?.order ?? 'asc' },
});

function search(definition: ListDefinition): Part[] {
  const searched = fieldsOf(definition, (field) => field.searched).map(([name]) => name);
  if (searched.length === 0) return [];
  return [
    {
      name: 'search',
      in: 'query',
      description: `Rows in which every word occurs somewhere in ${code(searched)}; case does not matter.`,
      schema: { type: 'string', maxLength: 500 },
    },
  ];
}

/** `fields=`: the keys of sparse rows. */
export function fieldsParameter(definition: ListDefinition): Part {
  return {
    name: 'fields',
    in: 'query',
    description:
      'Only these keys, separated by commas: smaller answers. Others are left out, also those that are required.',
    style: 'form',
    explode: false,
    schema: { type: 'array', items: { type: 'string', enum: fieldsOf(definition, () => true).map(([name]) => name) } },
  };
}

const meaning: Readonly<Record<Operator, string>> = {
  eq: 'equal',
  ne: 'not equal; also where it is unset',
  gt: 'greater',
  gte: 'greater or equal',
  lt: 'less',
  lte: 'less or equal',
  in: 'one of these, separated by commas',
  contains: 'has this text in it, whatever its case',
  null: 'true: is unset; false: is set',
};

function operand(field: Field, operator: Operator): Part {
  if (operator === 'null') return { type: 'boolean' };
  if (operator === 'in') return { type: 'string' };
  // A plain day against a moment means that whole day in UTC, so both forms are taken.
  if (field.kind === 'datetime') return { type: 'string' };
  return valueSchema(field);
}

function equality([name, field]: [string, Field]): Part {
  const day = field.kind === 'datetime' ? ' A plain day means that day in UTC.' : '';
  return {
    name,
    in: 'query',
    description: `Rows whose ${name} is this; repeat it for one or the other.${day}`,
    schema: operand(field, 'eq'),
  };
}

/** One object whose keys are parameters of their own (form style, exploded): `closingDate[gte]=2026-01-01`. */
function comparisons(columns: readonly [string, Field][]): Part {
  const properties = columns.flatMap(([name, field]) =>
    operatorsOf(field)
      .filter((operator) => operator !== 'eq')
      .map((operator) => [
        `${name}[${operator}]`,
        { ...operand(field, operator), description: `${name}: ${meaning[operator]}` },
      ]),
  );
  const day = columns.find(([, { kind }]) => kind === 'date' || kind === 'datetime');
  return {
    name: 'comparisons',
    in: 'query',
    description:
      'Filters with an operator, each a parameter of its own: `closingDate[gte]=2026-01-01&closingDate[lt]=2026-02-01`. ' +
      'Operators: ' +
      Object.entries(meaning)
        .map(([name, text]) => `\`${name}\` ${text}`)
        .join('; ') +
      '.',
    style: 'form',
    explode: true,
    schema: { type: 'object', additionalProperties: false, properties: Object.fromEntries(properties) },
    examples: {
      // First, because a page that lets people try sends the first: nothing is compared unless somebody says so.
      none: { summary: 'No comparison', value: {} },
      since: { summary: 'A range', value: { [`${day?.[0] ?? 'updatedAt'}[gte]`]: '2026-03-01' } },
    },
  };
}

/** Every parameter of a list, from its definition: what the parser takes is what stands here. */
export function listParametersOf(definition: ListDefinition): Part[] {
  const columns = fieldsOf(definition, (field) => field.filterable);
  return [
    ref('parameters', 'Page'),
    ref('parameters', 'PageSize'),
    sort(definition),
    order(definition),
    ...search(definition),
    fieldsParameter(definition),
    ref('parameters', 'Cursor'),
    comparisons(columns),
    ...columns.map(equality),
    ref('parameters', 'IfNoneMatch'),
  ];
}
