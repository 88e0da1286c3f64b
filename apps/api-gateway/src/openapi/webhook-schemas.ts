import {
  eventNames,
  eventWildcards,
  operationalEventNames,
  resources,
  webhookList,
  type Webhook,
} from '@keyturn/contracts';
import { moment, nullable, objectSchema, type Part, ref, valueSchema } from './schema';

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
  createdAt: { ...moment(), examples: ['2026-03-10T12:00:00.000Z'] },
  updatedAt: { ...moment(), examples: ['2026-03-10T12:00:00.000Z'] },
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
  previousSecretUntil: nullable(moment('Until when the secret, and the key pair, before the last rotation sign too.')),
  previousSchemeUntil: nullable(
    moment('Until when the scheme before the last change of it signs too: a day from the change.'),
  ),
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
  verifiedAt: nullable(moment('When the receiver at this URL consented to deliveries; null where it was not asked.')),
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

const writable = { name, url, events, isActive, ...settings, headers: headersSetting };

export const webhookSchemas: Readonly<Record<string, Part>> = {
  Webhook: objectSchema('Webhook', 'A subscription of your Space.', shown),
  NewWebhook: {
    title: 'NewWebhook',
    description: 'A subscription, with the secret that is shown this once.',
    allOf: [ref('schemas', 'Webhook'), { type: 'object', required: ['signingSecret'], properties: { signingSecret } }],
  },
  WebhookInput: {
    ...objectSchema('WebhookInput', 'What makes a webhook.', writable, ['name', 'url', 'events']),
    additionalProperties: false,
  },
  WebhookChange: objectSchema(
    'WebhookChange',
    'What shall change. Fields that you leave out stay as they are; those that cannot be set may be repeated unchanged.',
    writable,
    [],
  ),
};
