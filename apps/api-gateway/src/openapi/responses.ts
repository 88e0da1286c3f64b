import { type Part, ref } from './schema';

/** Headers of every answer. */
export const headers = {
  'X-RateLimit-Limit': {
    description: "Requests a minute that this API key may make. Without a valid key: those of the caller's address.",
    schema: { type: 'integer', examples: [60] },
  },
  'X-RateLimit-Remaining': {
    description: 'How many of them are left; 0 with a 429.',
    schema: { type: 'integer', examples: [57] },
  },
  'RateLimit-Policy': {
    description: 'The same limit in the field of the IETF draft: quota `q` in a window of `w` seconds.',
    schema: { type: 'string', examples: ['"key";q=60;w=60'] },
  },
  RateLimit: {
    description: 'What is left (`r`), and after how many seconds there will be more (`t`).',
    schema: { type: 'string', examples: ['"key";r=57;t=1'] },
  },
  'X-Request-Id': {
    description: 'Names this request in our logs: quote it when you ask us about it. One that you send is kept.',
    schema: { type: 'string', examples: ['0197a1c2-8f0e-7c61-9d35-4be1f0a7c2d4'] },
  },
  'Retry-After': {
    description: 'Seconds to wait before the next try.',
    schema: { type: 'integer', examples: [12] },
  },
  ETag: {
    description: 'Names this very answer. Send it back in `If-None-Match`: while nothing has changed you get a 304.',
    schema: { type: 'string', examples: ['W/"pX3dQ0l3Cz4mWvXo2m7q6y8i1nA"'] },
  },
  Link: {
    description: 'Where the next page is, as `<…>; rel="next"`; missing on the last.',
    schema: { type: 'string', examples: ['</api/v1/files?page=2>; rel="next"'] },
  },
} as const satisfies Record<string, Part>;

type HeaderName = keyof typeof headers;

const always: readonly HeaderName[] = [
  'X-RateLimit-Limit',
  'X-RateLimit-Remaining',
  'RateLimit-Policy',
  'RateLimit',
  'X-Request-Id',
];

const headersOf = (more: readonly HeaderName[] = []): Part =>
  Object.fromEntries([...always, ...more].map((name) => [name, ref('headers', name)]));

/** The codes of T-120, with one example of each situation. */
export const errorSchema: Part = {
  type: 'object',
  title: 'Error',
  description: 'What every failed request is answered with.',
  required: ['success', 'error'],
  additionalProperties: false,
  properties: {
    success: { type: 'boolean', const: false },
    error: {
      type: 'object',
      required: ['code', 'message'],
      additionalProperties: false,
      properties: {
        code: {
          type: 'string',
          description: 'What kind of failure it is: your program decides by this.',
          enum: [
            ...[
              'UNAUTHORIZED',
              'FORBIDDEN',
              'NOT_FOUND',
              'VALIDATION_ERROR',
              'CONFLICT',
              'RATE_LIMIT_EXCEEDED',
              'INTERNAL_ERROR',
            ],
          ],
        },
        message: { type: 'string', description: 'The same for people. Its wording may change.' },
      },
    },
  },
};

const failure = (
  description: string,
  code: string,
  messages: Readonly<Record<string, string>>,
  more: readonly HeaderName[] = [],
): Part => ({
  description,
  headers: headersOf(more),
  content: {
    'application/json': {
      schema: ref('schemas', 'Error'),
      examples: Object.fromEntries(
        Object.entries(messages).map(([name, message]) => [
          name,
          { value: { success: false, error: { code, message } } },
        ]),
      ),
    },
  },
});

export const failures = {
  ValidationError: failure(
    'A parameter or the body is wrong; the message says which and what would be right.',
    'VALIDATION_ERROR',
    {
      unknownParameter: 'Unknown parameter "listngStatus". Did you mean listingStatus?',
      wrongType: 'closingDate must be a date, YYYY-MM-DD',
      pageSize: 'pageSize must be a whole number from 1',
    },
  ),
  Unauthorized: failure('The API key is missing, unknown, expired, revoked, or of another Space.', 'UNAUTHORIZED', {
    anyReason: 'Invalid or expired API key',
  }),
  Forbidden: failure('The key may not do this: everything but the webhooks is read-only.', 'FORBIDDEN', {
    readOnly: 'API keys are read-only; only webhooks can be written',
    missingScope: 'This API key does not have the scope webhooks:write',
  }),
  NotFound: failure('There is no such record in your Space.', 'NOT_FOUND', {
    noRecord: 'Resource not found or not in your Space',
  }),
  Conflict: failure('The request goes against what is there.', 'CONFLICT', {
    anyReason: 'This Idempotency-Key was used with another request in the last 24 hours',
  }),
  RateLimited: failure(
    'Too many requests in the last 60 seconds. Wait for `Retry-After` seconds; refused requests do not count.',
    'RATE_LIMIT_EXCEEDED',
    { perKey: 'Rate limit exceeded: wait before the next request' },
    ['Retry-After'],
  ),
  InternalError: failure('Our fault. Tell us the `X-Request-Id`.', 'INTERNAL_ERROR', {
    anyReason: 'Internal server error',
  }),
  Unavailable: failure(
    'A part of the service cannot be reached, or a list takes too long. Try again after `Retry-After` seconds.',
    'INTERNAL_ERROR',
    { anyReason: 'The service is not available at the moment' },
    ['Retry-After'],
  ),
} as const;

type FailureName = keyof typeof failures;

const statusOf: Readonly<Record<FailureName, string>> = {
  ValidationError: '400',
  Unauthorized: '401',
  Forbidden: '403',
  NotFound: '404',
  Conflict: '409',
  RateLimited: '429',
  InternalError: '500',
  Unavailable: '503',
};

/** What can go wrong with any request that carries a key, and what else with this one. */
export const failuresOf = (...more: FailureName[]): Part =>
  Object.fromEntries(
    (Object.keys(failures) as FailureName[])
      .filter((name) => more.includes(name) || !['ValidationError', 'NotFound', 'Conflict'].includes(name))
      .map((name) => [statusOf[name], ref('responses', name)]),
  );

/** A success in the envelope. */
export function success(
  description: string,
  data: Part,
  options: { readonly example?: unknown; readonly pagination?: Part; readonly headers?: readonly HeaderName[] } = {},
): Part {
  const { example, pagination } = options;
  const schema = {
    type: 'object',
    required: ['success', 'data', ...(pagination ? ['pagination'] : [])],
    properties: {
      success: { type: 'boolean', const: true },
      data,
      ...(pagination ? { pagination } : {}),
    },
  };
  return {
    description,
    headers: headersOf(options.headers),
    content: { 'application/json': { schema, ...(example === undefined ? {} : { example }) } },
  };
}

/** A read that may be answered from what the caller already has. */
export const notModified: Part = {
  description: 'Nothing has changed since the answer that `If-None-Match` names; no body. Counts like any request.',
  headers: headersOf(['ETag']),
};

export const paginationSchemas: Readonly<Record<string, Part>> = {
  Pagination: {
    type: 'object',
    title: 'Pagination',
    description: 'Where a numbered page stands.',
    required: ['page', 'pageSize', 'total', 'totalPages'],
    additionalProperties: false,
    properties: {
      page: { type: 'integer', minimum: 1, examples: [1] },
      pageSize: { type: 'integer', minimum: 1, maximum: 100, examples: [25], description: 'As granted: at most 100.' },
      total: { type: 'integer', minimum: 0, examples: [142], description: 'All matches, exactly.' },
      totalPages: { type: 'integer', minimum: 0, examples: [6] },
    },
  },
  CursorPagination: {
    type: 'object',
    title: 'CursorPagination',
    description: 'Where a cursor walk stands.',
    required: ['pageSize', 'nextCursor', 'hasMore'],
    additionalProperties: false,
    properties: {
      pageSize: { type: 'integer', minimum: 1, maximum: 100, examples: [100] },
      nextCursor: {
        type: ['string', 'null'],
        description: 'Give it as `cursor` to get the next page; null at the end.',
        examples: ['eyJ2IjpudWxsLCJpIjoxMjM0NX0.Zk3'],
      },
      hasMore: { type: 'boolean' },
    },
  },
};

export const pagination: Part = { oneOf: [ref('schemas', 'Pagination'), ref('schemas', 'CursorPagination')] };
