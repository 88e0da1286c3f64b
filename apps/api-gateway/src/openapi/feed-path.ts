import { eventNames, eventWildcards } from '@keyturn/contracts';
import { failuresOf, notModified, success } from './responses';
import { type Part, ref } from './schema';

export const feedTag = 'Feed';

const parameter = (name: string, description: string, schema: Part): Part => ({
  name,
  in: 'query',
  description,
  schema,
});

const feedEvent: Part = {
  type: 'object',
  required: ['id', 'sequence', 'committedAt', 'changed', 'payload'],
  properties: {
    id: { type: 'string', pattern: '^evt_', description: 'The X-Webhook-Id of its deliveries.' },
    sequence: { type: 'integer', minimum: 1, description: "Its place in the Space's order: without gaps." },
    committedAt: { type: 'string', format: 'date-time' },
    changed: { type: 'array', items: { type: 'string' }, description: 'Fields that an update changed.' },
    payload: { type: 'object', description: 'What its webhooks carry, byte for byte.' },
  },
};

const example = {
  success: true,
  data: [
    {
      id: 'evt_01JNZ5V8Q6C0Y3M2T9W4K7H1RB',
      sequence: 1007,
      committedAt: '2026-03-10T12:00:00.104Z',
      changed: [],
      payload: { event: 'contact.deleted', data: { id: 201 }, timestamp: '2026-03-10T12:00:00.000Z' },
    },
  ],
  pagination: { pageSize: 25, nextCursor: 'Zk3bG9vcCBvZiBldmVudHM', hasMore: false },
};

/** The feed: what was missed can always be fetched. */
export const feedPath: Readonly<Record<string, Part>> = {
  '/api/v1/events': {
    get: {
      operationId: 'readEvents',
      summary: 'Read the event feed',
      description:
        'All events of the Space in the order of their commits, deletions included, kept for 90 days: the same ids and payloads as the webhooks. ' +
        'Of a record that was erased, the `data` of its events is the id alone. ' +
        'Give `nextCursor` as `after` to go on; the end of the feed has one too, and nothing ever appears behind a cursor that you have. ' +
        'Where few of very many events are wanted, a page may be empty although `hasMore` is true: go on from its cursor.',
      tags: [feedTag],
      parameters: [
        parameter('after', 'The cursor to go on from; without it, the oldest event that is kept.', { type: 'string' }),
        parameter('types', `Only these, separated by commas: ${[...eventWildcards, ...eventNames].join(', ')}.`, {
          type: 'string',
          examples: ['file.*,contact.created'],
        }),
        parameter('pageSize', 'Events at most; 100 where more is asked for.', {
          type: 'integer',
          minimum: 1,
          default: 25,
        }),
        parameter('wait', 'Seconds to wait for the first event when there is none.', {
          type: 'integer',
          minimum: 0,
          maximum: 30,
          default: 0,
        }),
        ref('parameters', 'IfNoneMatch'),
      ],
      responses: {
        '200': success(
          'The next events.',
          { type: 'array', items: feedEvent },
          { pagination: ref('schemas', 'CursorPagination'), headers: ['ETag'], example },
        ),
        '304': notModified,
        ...failuresOf('ValidationError'),
      },
    },
  },
};
