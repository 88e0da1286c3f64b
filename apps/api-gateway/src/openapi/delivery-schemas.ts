import { deliveryList, webhookList, type Delivery, type DeliveryAttempt } from '@keyturn/contracts';
import { moment, nullable, objectSchema, type Part, ref, valueSchema } from './schema';

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
  createdAt: moment(),
  lastAttemptAt: nullable(moment()),
  nextRetryAt: nullable(moment('When it is tried again.')),
  deliveredAt: nullable(moment('When it succeeded.')),
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
  startedAt: moment(),
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
  nextRetryAt: nullable(moment()),
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

export const deliverySchemas: Readonly<Record<string, Part>> = {
  Delivery: objectSchema('Delivery', 'One event for one webhook, with what has become of it.', delivery),
  DeliveryAttempt: objectSchema('DeliveryAttempt', 'One try.', attempt),
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
};
