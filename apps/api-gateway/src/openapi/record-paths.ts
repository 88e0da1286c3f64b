import { contactResource, type Resource, resources, type View } from '@keyturn/contracts';
import { recordExamples } from './examples';
import { fieldsParameter, listParametersOf } from './parameters';
import { failuresOf, notModified, pagination, success } from './responses';
import { type Part, ref, schemaName } from './schema';

/** As a heading: `Calendar items`. */
export const tagOf = (collection: string): string =>
  collection.charAt(0).toUpperCase() + collection.slice(1).replaceAll('-', ' ');

const plural = (resource: Resource, view?: View) => (view ?? resource).collection.replaceAll('-', ' ');
const exampleOf = (resource: Resource): Part => recordExamples[resource.name] ?? {};

function list(resource: Resource, view?: View): Part {
  const name = schemaName((view ?? resource).collection.replaceAll('-', '_'));
  const which = view
    ? `${resource.collection} whose ${view.field} is ${view.equals}`
    : `the ${plural(resource)} of your Space`;
  const aliases = view ? [] : resource.aliases.map((alias) => `\`/api/v1/${alias}\``);
  return {
    operationId: `list${name}`,
    summary: `List ${plural(resource, view)}`,
    description: [
      `All ${which}: by numbered pages with an exact total, or by cursor.`,
      ...(aliases.length ? [`Also answers at ${aliases.join(', ')}.`] : []),
    ].join(' '),
    tags: [tagOf((view ?? resource).collection)],
    parameters: listParametersOf(resource),
    responses: {
      '200': success(
        `A page of ${plural(resource, view)}.`,
        { type: 'array', items: ref('schemas', schemaName(resource.name)) },
        {
          pagination,
          headers: ['ETag', 'Link'],
          example: {
            success: true,
            data: [exampleOf(resource)],
            pagination: { page: 1, pageSize: 25, total: 142, totalPages: 6 },
          },
        },
      ),
      '304': notModified,
      ...failuresOf('ValidationError'),
    },
  };
}

function detail(resource: Resource, view?: View): Part {
  const name = view ? schemaName(view.equals) : schemaName(resource.name);
  const title = view ? view.equals : resource.title;
  return {
    operationId: `get${name}`,
    summary: `Get a ${title}`,
    description: `One ${title} by its id. One of another Space is not found.`,
    tags: [tagOf((view ?? resource).collection)],
    parameters: [
      {
        name: 'id',
        in: 'path',
        required: true,
        description: 'The id of the record.',
        schema: { type: 'integer', format: 'int64', minimum: 1 },
        example: exampleOf(resource)['id'],
      },
      fieldsParameter(resource),
      ref('parameters', 'IfNoneMatch'),
    ],
    responses: {
      '200': success(`The ${title}.`, ref('schemas', schemaName(resource.name)), {
        headers: ['ETag'],
        example: { success: true, data: exampleOf(resource) },
      }),
      '304': notModified,
      ...failuresOf('ValidationError', 'NotFound'),
    },
  };
}

const lookup: Part = {
  operationId: 'lookUpContact',
  summary: 'Look a contact up by phone number',
  description:
    'For telephone systems: who is calling? Compares the whole national number with every phone column, whatever way either is ' +
    'written: `2065551234` finds `(206) 555-1234`, `+1 206-555-1234` and `206.555.1234 x9`. Of several contacts the one that changed ' +
    'last is returned.',
  tags: [tagOf(contactResource.collection)],
  parameters: [
    {
      name: 'phone',
      in: 'query',
      required: true,
      description: 'The number, at least 7 digits. Write a leading + as %2B.',
      schema: { type: 'string' },
      example: '2065551234',
    },
    fieldsParameter(contactResource),
    ref('parameters', 'IfNoneMatch'),
  ],
  responses: {
    '200': success('The contact.', ref('schemas', 'Contact'), {
      headers: ['ETag'],
      example: { success: true, data: exampleOf(contactResource) },
    }),
    '304': notModified,
    ...failuresOf('ValidationError', 'NotFound'),
  },
};

/** Two read-only endpoints for each collection, from the definitions (T-060). */
export function recordPaths(): Record<string, Part> {
  const paths: Record<string, Part> = {};
  for (const resource of resources)
    for (const view of [undefined, ...resource.views]) {
      const path = `/api/v1/${(view ?? resource).collection}`;
      paths[path] = { get: list(resource, view) };
      if (resource.name === contactResource.name) paths[`${path}/lookup`] = { get: lookup };
      paths[`${path}/{id}`] = { get: detail(resource, view) };
    }
  return paths;
}

export const recordTags = (): Part[] =>
  resources.flatMap((resource) =>
    [undefined, ...resource.views].map((view) => ({
      name: tagOf((view ?? resource).collection),
      description: tagDescriptions[(view ?? resource).collection] ?? `The ${plural(resource, view)} of your Space.`,
    })),
  );

const tagDescriptions: Readonly<Record<string, string>> = {
  files: 'Transaction files: one for each listing, purchase or lease, with address, prices, dates and status.',
  contacts: 'Clients, lenders, escrow officers and everybody else, with a lookup by phone number.',
  users: 'The people of your Space who sign in.',
  agents: 'The users whose role is agent.',
  tasks: 'What is to be done for a file, by whom and until when.',
  'calendar-items': 'Closings, inspections, walkthroughs and deadlines.',
  contingencies: 'Conditions of a contract, with their deadlines.',
  notes: 'What people wrote about files and contacts.',
};
