import { type Field, type Resource, visibleFields } from '@keyturn/contracts';

/** A part of the document: JSON Schema 2020-12 or another OpenAPI object. */
export type Part = { readonly [key: string]: unknown };

export const ref = (kind: 'schemas' | 'parameters' | 'headers' | 'responses', name: string): Part => ({
  $ref: `#/components/${kind}/${name}`,
});

/** `calendar_item` → `CalendarItem`: the name of a resource's schema. */
export const schemaName = (resourceName: string): string =>
  resourceName
    .split('_')
    .map((word) => word.charAt(0).toUpperCase() + word.slice(1))
    .join('');

/** One value of a field, never null. */
export function valueSchema({ kind, values, idPrefix }: Field): Part {
  switch (kind) {
    case 'id':
      return idPrefix
        ? { type: 'string', pattern: `^${idPrefix}[1-9][0-9]*$` }
        : { type: 'integer', format: 'int64', minimum: 1, maximum: Number.MAX_SAFE_INTEGER };
    case 'integer':
      return { type: 'integer', format: 'int64' };
    case 'number':
      return { type: 'number', format: 'double' };
    case 'string':
    case 'text':
      return { type: 'string' };
    case 'boolean':
      return { type: 'boolean' };
    case 'date':
      return { type: 'string', format: 'date' };
    case 'datetime':
      return moment();
    case 'enum':
      return { type: 'string', enum: [...(values ?? [])] };
    case 'strings':
      return { type: 'array', items: { type: 'string' } };
  }
}

/** The same where null stands for "unset". */
export function nullable(schema: Part): Part {
  return {
    ...schema,
    type: [schema['type'], 'null'],
    ...(Array.isArray(schema['enum']) ? { enum: [...(schema['enum'] as unknown[]), null] } : {}),
  };
}

/** A point in time. */
export const moment = (description?: string): Part => ({
  type: 'string',
  format: 'date-time',
  ...(description === undefined ? {} : { description }),
});

export const objectSchema = (
  title: string,
  description: string,
  properties: Readonly<Record<string, Part>>,
  required = Object.keys(properties),
): Part => ({ type: 'object', title, description, required, properties });

const alwaysSet = new Set(['id', 'createdAt', 'updatedAt']);

/** How a field can be used in a list, in words. */
function uses({ filterable, sortable, indexed, searched }: Field): string {
  const words = [
    ...(filterable ? ['filter'] : []),
    ...(sortable ? [indexed ? 'sort (indexed)' : 'sort'] : []),
    ...(searched ? ['search'] : []),
  ];
  return words.length ? `Use: ${words.join(', ')}.` : '';
}

/** A record as lists, details and webhook payloads show it: every key is there, null where unset (T-122). */
export function resourceSchema(resource: Resource, example: Part): Part {
  const fields = visibleFields(resource);
  const properties = fields.map(([name, field]) => {
    const value = valueSchema(field);
    const shown = example[name];
    const description = [field.description, field.derived ? 'Computed.' : '', uses(field)].filter(Boolean).join(' ');
    return [
      name,
      {
        ...(alwaysSet.has(name) ? value : nullable(value)),
        ...(description ? { description } : {}),
        ...(shown === null || shown === undefined ? {} : { examples: [shown] }),
      },
    ];
  });
  return objectSchema(
    schemaName(resource.name),
    `A ${resource.title}. Every key is always there; what is unset is null.`,
    Object.fromEntries(properties),
  );
}
