import {
  deliveryList,
  eventNames,
  eventWildcards,
  operationalEventNames,
  replayList,
  resources,
  webhookList,
  type Delivery,
  type DeliveryAttempt,
  type Replay,
  type Webhook,
} from '@keyturn/contracts';
import { nullable, type Part, ref, valueSchema } from './schema';

const subscribable = [...eventNames, ...eventWildcards, ...operationalEventNames];

const name: Part = {
  type: 'string',
  minLength: 1,
  maxLength: 200,
  description: 'What you call it.',
  examples: ['My CRM Sync'],
};

const url: Part = {
  type: 'string',
  format: 'uri',
  maxLength: 2048,
  description: 'Where we POST to: https, reachable from the internet, without user name, password or fragment.',
  examples: ['https://your-app.example/webhooks/keyturn'],
};

const events: Part = {
  type: 'array',
  minItems: 1,
  items: { type: 'string', enum: subscribable },
  description:
    'What you want to hear of: events by name, all events of a resource (`file.*`), or events about your other webhooks. ' +
    'Repeated names count once.',
  examples: [['file.created', 'file.updated', 'contact.created']],
};

const isActive: Part = {
  type: 'boolean',
  description: 'False: nothing is delivered, and what happens meanwhile is not made up for.',
  default: true,
};

const signingSecret: Part = {
  type: 'string',
  pattern: '^whsec_',
  description: 'The key of the signatures, the whole string with its prefix. **Shown only in this answer**: keep it.',
  examples: ['whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw0dZ1Yq3o6bE='],
};

/** What an owner may set beside the four fields above. */
const settings = {
  rateLimit: {
    type: ['integer', 'null'],
    minimum: 1,
    maximum: 1000,
    description: 'Deliveries a second at most; null: as fast as your endpoint answers.',
    default: null,
  },
  ordering: {
    type: 'string',
    enum: ['none', 'record'],
    default: 'none',
    description: '`record`: deliveries of one record never overtake one another, retries included.',
  },
  retrySchedule: {
    type: ['array', 'null'],
    maxItems: 20,
    items: { type: 'number', exclusiveMinimum: 0, maximum: 604800 },
    description: 'Seconds to wait before each further try; null: 30 s, 1 m, 15 m, 30 m, 1 h, 2 h, 4 h, 8 h.',
    default: null,
    examples: [[10, 60, 600]],
  },
  signatureScheme: {
    type: 'string',
    enum: ['v1', 'v1a'],
    default: 'v1',
    description:
      'What `webhook-signature` holds, in the words of Standard Webhooks: `v1`, HMAC-SHA256 with the secret, or `v1a`, Ed25519 with a key pair ' +
      'whose private half never leaves us. After a change both are sent for a day. `X-Webhook-Signature` stays what it is.',
  },
  handshake: {
    type: 'boolean',
    default: false,
    description:
      'True: before a URL is used its receiver is asked for its consent, as CloudEvents does for web hooks. It gets `OPTIONS` with ' +
      '`WebHook-Request-Origin` (and `WebHook-Request-Rate`, 60 times `rateLimit`), and answers with a 2xx and the same name, or `*`, in ' +
      '`WebHook-Allowed-Origin`; `WebHook-Allowed-Rate` may limit us. Without that the request is a 400 about `url`. An installation may ' +
      'ask every receiver.',
  },
  thin: {
    type: 'boolean',
    default: false,
    description: 'True: `data` is only the id of the record; ask for the rest.',
  },
  filter: {
    type: ['object', 'null'],
    description:
      'By resource, conditions that an event must all meet. Operators are those of lists, and `changed`: the field differs from before.',
    propertyNames: { enum: resources.map((resource) => resource.name) },
    additionalProperties: {
      type: 'array',
      minItems: 1,
      maxItems: 20,
      items: {
        type: 'object',
        required: ['field', 'operator'],
        additionalProperties: false,
        properties: {
          field: { type: 'string' },
          operator: {
            type: 'string',
            enum: ['eq', 'ne', 'gt', 'gte', 'lt', 'lte', 'in', 'contains', 'null', 'changed'],
          },
          value: { description: 'In the type of the field; an array for `in`, none for `changed`.' },
        },
      },
    },
    default: null,
    examples: [{ file: [{ field: 'listPrice', operator: 'gte', value: 500000 }] }],
  },
} satisfies Record<string, Part>;

const headersSetting: Part = {
  type: ['object', 'null'],
  additionalProperties: { type: 'string' },
  description: 'Headers that each delivery carries besides ours. Replies show their names only.',
  examples: [{ 'X-Tenant': 'acme' }],
};

/** By the type of the reply: a field that has no description here does not compile. */
const shown: Readonly<Record<keyof Webhook, Part>> = {
  id: { ...valueSchema(webhookList.fields.id), examples: ['wh_42'] },
  name,
  url,
  events,
  isActive,
  createdAt: { type: 'string', format: 'date-time', examples: ['2026-03-10T12:00:00.000Z'] },
  updatedAt: { type: 'string', format: 'date-time', examples: ['2026-03-10T12:00:00.000Z'] },
  status: {
    type: 'string',
    enum: [...(webhookList.fields.status.values ?? [])],
    description:
      '`inactive`: switched off by you. `paused`: events wait. `disabled`: switched off by us after too many failures; events wait ' +
      'until your endpoint answers a probe, or you set `isActive` to true.',
  },
  disabledReason: {
    type: ['string', 'null'],
    description: 'Why we switched it off: `no_success` for days, `failure_rate` of a day, or `gone` after a 410.',
  },
  ...settings,
  headerNames: {
    type: 'array',
    items: { type: 'string' },
    description: 'Names of the headers that each delivery carries besides ours.',
  },
  previousSecretUntil: {
    type: ['string', 'null'],
    format: 'date-time',
    description: 'Until when the secret, and the key pair, before the last rotation sign too.',
  },
  previousSchemeUntil: {
    type: ['string', 'null'],
    format: 'date-time',
    description: 'Until when the scheme before the last change of it signs too: a day from the change.',
  },
  publicKey: {
    type: ['string', 'null'],
    pattern: '^whpk_',
    description: 'With `v1a`: the public key of the current pair, base64 of its 32 bytes behind the prefix.',
  },
  publicKeysPath: {
    type: ['string', 'null'],
    description:
      'With `v1a`: where this server shows every key that signs now, without an API key. It stays the same through rotations; give it to ' +
      'whoever verifies.',
    examples: [null, '/.well-known/webhook-keys/0d8a3c0e-6a0f-4c8e-9f43-2f6f0f5a7b11'],
  },
  verifiedAt: {
    type: ['string', 'null'],
    format: 'date-time',
    description: 'When the receiver at this URL consented to deliveries; null where it was not asked.',
  },
  allowedRate: {
    type: ['integer', 'null'],
    minimum: 1,
    description:
      'Requests a minute that it said it takes: no more are sent, whatever `rateLimit` says. Null where it named no number.',
  },
};

export const webhookExample = {
  id: 'wh_42',
  name: 'My CRM Sync',
  url: 'https://your-app.example/webhooks/keyturn',
  events: ['file.created', 'file.updated', 'contact.created'],
  isActive: true,
  createdAt: '2026-03-10T12:00:00.000Z',
  updatedAt: '2026-03-10T12:00:00.000Z',
  status: 'active',
  disabledReason: null,
  rateLimit: null,
  ordering: 'none',
  retrySchedule: null,
  thin: false,
  filter: null,
  headerNames: [],
  previousSecretUntil: null,
  signatureScheme: 'v1',
  previousSchemeUntil: null,
  publicKey: null,
  publicKeysPath: null,
  handshake: false,
  verifiedAt: null,
  allowedRate: null,
} satisfies Webhook;

const { id, name: exampleName, url: exampleUrl, events: exampleEvents, ...exampleRest } = webhookExample;

/** As the seed shows it: the secret behind the events. */
export const newWebhookExample: Part = {
  id,
  name: exampleName,
  url: exampleUrl,
  events: exampleEvents,
  signingSecret: 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw0dZ1Yq3o6bE=',
  ...exampleRest,
};

const deliveryFields = deliveryList.fields;

const delivery: Readonly<Record<keyof Delivery, Part>> = {
  id: { ...valueSchema(deliveryFields.id), examples: ['dlv_1007'] },
  webhookId: { ...valueSchema(webhookList.fields.id), examples: ['wh_42'] },
  messageId: {
    type: 'string',
    pattern: '^evt_',
    description: 'Names the event: the X-Webhook-Id of every try, the same for all webhooks.',
    examples: ['evt_01JNZ5V8Q6C0Y3M2T9W4K7H1RB'],
  },
  event: { type: 'string', description: 'Name of the event.', examples: ['file.updated'] },
  status: {
    type: 'string',
    enum: [...(deliveryFields.status.values ?? [])],
    description:
      '`pending`: not tried yet. `retrying`: failed so far, will be tried again. `success`, `failed`: over. `cancelled`: the webhook was ' +
      'deleted or switched off before.',
  },
  attempts: { type: 'integer', minimum: 0, description: 'Tries so far.' },
  maxAttempts: { type: 'integer', minimum: 1, description: 'Tries at most.', examples: [9] },
  responseStatus: { type: ['integer', 'null'], description: 'What your endpoint answered last.' },
  responseBody: { type: ['string', 'null'], description: 'The beginning of that answer, up to 2 kB.' },
  error: { type: ['string', 'null'], description: 'Why the last try failed, in words.' },
  durationMs: { type: ['integer', 'null'], description: 'How long the last try took.' },
  createdAt: { type: 'string', format: 'date-time' },
  lastAttemptAt: nullable({ type: 'string', format: 'date-time' }),
  nextRetryAt: nullable({ type: 'string', format: 'date-time', description: 'When it is tried again.' }),
  deliveredAt: nullable({ type: 'string', format: 'date-time', description: 'When it succeeded.' }),
  payload: { type: 'object', description: 'What was sent.' },
};

export const deliveryExample = {
  id: 'dlv_1007',
  webhookId: 'wh_42',
  messageId: 'evt_01JNZ5V8Q6C0Y3M2T9W4K7H1RB',
  event: 'contact.deleted',
  status: 'retrying',
  attempts: 2,
  maxAttempts: 9,
  responseStatus: 503,
  responseBody: 'Service Unavailable',
  error: 'the receiver answered 503',
  durationMs: 87,
  createdAt: '2026-03-10T12:00:00.104Z',
  lastAttemptAt: '2026-03-10T12:00:30.391Z',
  nextRetryAt: '2026-03-10T12:01:30.391Z',
  deliveredAt: null,
  payload: { event: 'contact.deleted', data: { id: 201 }, timestamp: '2026-03-10T12:00:00.000Z' },
} satisfies Delivery;

const ms = (description: string): Part => ({ type: ['number', 'null'], description });

const attempt: Readonly<Record<keyof DeliveryAttempt, Part>> = {
  number: {
    type: 'integer',
    minimum: 1,
    description: 'An immediate repeat carries the number of the try that it repeats.',
  },
  reason: {
    type: 'string',
    enum: ['first', 'retry', 'repeat', 'resend', 'replay', 'test', 'probe'],
    description: 'Why it was made.',
  },
  startedAt: { type: 'string', format: 'date-time' },
  durationMs: { type: 'number', description: 'From its start to its end.' },
  dnsMs: ms('To find the address.'),
  connectMs: ms('Until the connection stood.'),
  tlsMs: ms('To agree on TLS.'),
  firstByteMs: ms('Until your endpoint began to answer.'),
  address: { type: ['string', 'null'], description: 'The address that was dialled.' },
  responseStatus: { type: ['integer', 'null'] },
  responseHeaders: { type: ['object', 'null'], description: 'What your endpoint answered.' },
  responseBody: { type: ['string', 'null'], description: 'The beginning of the answer, up to 16 KiB.' },
  fault: { type: ['string', 'null'], description: 'What kind of failure, in one word.', examples: ['timeout'] },
  error: { type: ['string', 'null'], description: 'The failure in words.' },
  nextRetryAt: nullable({ type: 'string', format: 'date-time' }),
  superseded: {
    type: 'boolean',
    description: 'Another try counts: this one was given up meanwhile, though it may have reached you.',
  },
};

export const attemptExample = {
  number: 2,
  reason: 'retry',
  startedAt: '2026-03-10T12:00:30.304Z',
  durationMs: 87,
  dnsMs: null,
  connectMs: null,
  tlsMs: null,
  firstByteMs: 86.1,
  address: '203.0.113.7',
  responseStatus: 503,
  responseHeaders: { 'content-type': 'text/plain' },
  responseBody: 'Service Unavailable',
  fault: 'status',
  error: 'the receiver answered 503',
  nextRetryAt: '2026-03-10T12:01:30.391Z',
  superseded: false,
} satisfies DeliveryAttempt;

const moment = (description: string): Part => ({ type: 'string', format: 'date-time', description });

const replayShape = {
  since: moment('From this moment on, by the time of the commit.'),
  until: moment('Up to this moment; until now where left out.'),
  events: {
    type: ['array', 'null'],
    items: { type: 'string', enum: [...eventNames, ...eventWildcards] },
    description: 'Of these events only; null: all that the webhook wanted.',
  },
  ratePerSecond: {
    type: ['integer', 'null'],
    minimum: 1,
    maximum: 1000,
    description: 'How fast; null: as fast as your endpoint answers.',
  },
  url: { type: ['string', 'null'], description: "Where to instead of the webhook's own URL." },
  dryRun: { type: 'boolean', default: false, description: 'True: only counts.' },
} satisfies Record<string, Part>;

const selection: Part = {
  type: 'string',
  enum: ['failed', 'missed', 'all'],
  default: 'failed',
  description: '`failed`: what could not be delivered. `missed`: what was never sent. `all`: both, and what arrived.',
};

const replay: Readonly<Record<keyof Replay, Part>> = {
  id: { ...valueSchema(replayList.fields.id), examples: ['rpl_7'] },
  webhookId: { ...valueSchema(webhookList.fields.id), examples: ['wh_42'] },
  status: { type: 'string', enum: ['running', 'done', 'cancelled', 'failed'] },
  selection,
  ...replayShape,
  matched: { type: 'integer', minimum: 0, description: 'Events chosen so far; all of them once it is done.' },
  deliveries: {
    type: 'object',
    additionalProperties: { type: 'integer', minimum: 0 },
    description: 'Its deliveries by their state.',
  },
  createdAt: moment('When it was asked for.'),
  finishedAt: nullable(moment('When it was over.')),
  error: { type: ['string', 'null'], description: 'Why it failed, in words.' },
};

export const replayExample = {
  id: 'rpl_7',
  webhookId: 'wh_42',
  status: 'running',
  selection: 'failed',
  since: '2026-03-09T00:00:00.000Z',
  until: '2026-03-10T12:00:00.000Z',
  events: null,
  ratePerSecond: 20,
  url: null,
  dryRun: false,
  matched: 318,
  deliveries: { pending: 250, retrying: 0, success: 68, failed: 0, cancelled: 0 },
  createdAt: '2026-03-10T12:00:00.000Z',
  finishedAt: null,
  error: null,
} satisfies Replay;

const publicKey = {
  kty: { type: 'string', const: 'OKP' },
  crv: { type: 'string', const: 'Ed25519' },
  x: { type: 'string', pattern: '^[A-Za-z0-9_-]{43}$', description: 'The key, base64url of its 32 bytes.' },
  kid: { type: 'string', description: 'The thumbprint of the key (RFC 7638).' },
  use: { type: 'string', const: 'sig' },
  alg: { type: 'string', const: 'EdDSA' },
  publicKey: { type: 'string', pattern: '^whpk_', description: 'The same key as Standard Webhooks writes it.' },
  until: {
    type: ['string', 'null'],
    format: 'date-time',
    description: 'When it will sign no more; null for the current one.',
  },
} satisfies Record<string, Part>;

export const publicKeysExample: Part = {
  keys: [
    {
      kty: 'OKP',
      crv: 'Ed25519',
      x: '1SiA4o9hyqTCpIqC5V9HUakiiaeACeqfZTInDBbOir4',
      kid: 'rEltOPXl-8jZfn0NbO5yMzHDi5e-WdjzkrFUUcp6oIE',
      use: 'sig',
      alg: 'EdDSA',
      publicKey: 'whpk_1SiA4o9hyqTCpIqC5V9HUakiiaeACeqfZTInDBbOir4=',
      until: null,
    },
  ],
};

const object = (
  title: string,
  description: string,
  properties: Readonly<Record<string, Part>>,
  required: string[],
): Part => ({
  type: 'object',
  title,
  description,
  required,
  properties,
});

const writable = { name, url, events, isActive, ...settings, headers: headersSetting };

export const webhookSchemas: Readonly<Record<string, Part>> = {
  Webhook: object('Webhook', 'A subscription of your Space.', shown, Object.keys(shown)),
  NewWebhook: {
    title: 'NewWebhook',
    description: 'A subscription, with the secret that is shown this once.',
    allOf: [ref('schemas', 'Webhook'), { type: 'object', required: ['signingSecret'], properties: { signingSecret } }],
  },
  WebhookInput: {
    ...object('WebhookInput', 'What makes a webhook.', writable, ['name', 'url', 'events']),
    additionalProperties: false,
  },
  WebhookChange: object(
    'WebhookChange',
    'What shall change. Fields that you leave out stay as they are; those that cannot be set may be repeated unchanged.',
    writable,
    [],
  ),
  Delivery: object(
    'Delivery',
    'One event for one webhook, with what has become of it.',
    delivery,
    Object.keys(delivery),
  ),
  DeliveryAttempt: object('DeliveryAttempt', 'One try.', attempt, Object.keys(attempt)),
  DeliveryWithAttempts: {
    title: 'DeliveryWithAttempts',
    description: 'A delivery with every try, oldest first.',
    allOf: [
      ref('schemas', 'Delivery'),
      {
        type: 'object',
        required: ['attemptLog'],
        properties: { attemptLog: { type: 'array', items: ref('schemas', 'DeliveryAttempt') } },
      },
    ],
  },
  Replay: object('Replay', 'A job that sends again what a webhook missed.', replay, Object.keys(replay)),
  ReplayInput: {
    ...object('ReplayInput', 'What to send again.', { ...replayShape, status: selection }, ['since']),
    additionalProperties: false,
  },
  PublicKeys: object(
    'PublicKeys',
    'A JSON Web Key Set (RFC 7517, RFC 8037).',
    { keys: { type: 'array', minItems: 1, items: ref('schemas', 'PublicKey') } },
    ['keys'],
  ),
  PublicKey: object('PublicKey', 'One key that signs now.', publicKey, Object.keys(publicKey)),
  Rotation: object(
    'Rotation',
    'How a secret is replaced.',
    {
      overlapSeconds: {
        type: 'integer',
        minimum: 0,
        maximum: 604800,
        default: 86400,
        description: 'How long the secret before signs too.',
      },
    },
    [],
  ),
};
