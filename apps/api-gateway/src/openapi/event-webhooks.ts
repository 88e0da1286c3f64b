import {
  eventNames,
  operationalEventNames,
  resourceByName,
  testEventName,
  webhookList,
  type FailureReason,
  type OperationalData,
  type OperationalEvent,
  type WebhookInTrouble,
  type WebhookNamed,
} from '@keyturn/contracts';
import { recordExamples } from './examples';
import { nullable, type Part, ref, schemaName, valueSchema } from './schema';

export const eventTag = 'Events';

/** Headers of every delivery (T-109, T-111). */
const deliveryHeaders: Part[] = [
  [
    'X-Webhook-Signature',
    'HMAC-SHA256 of the raw body, keyed with the whole signing secret, in lower-case hex.',
    '^[0-9a-f]{64}$',
  ],
  ['X-Webhook-Event', 'The name of the event.', undefined],
  ['X-Webhook-Id', 'Names the event, the same on every try: handle each id once.', '^evt_'],
  ['X-Webhook-Attempt', 'Which try this is, from 1.', '^[1-9][0-9]*$'],
  ['webhook-id', 'Standard Webhooks: the same as X-Webhook-Id.', '^evt_'],
  ['webhook-timestamp', 'Standard Webhooks: when this try was signed, in Unix seconds.', '^[0-9]+$'],
  [
    'webhook-signature',
    'Standard Webhooks: `v1,` or `v1a,` and the base64 signature; several, separated by blanks, while a secret or the scheme changes over.',
    '^v1a?,',
  ],
].map(([name, description, pattern]) => ({
  name,
  in: 'header',
  required: true,
  description,
  schema: { type: 'string', ...(pattern ? { pattern } : {}) },
}));

const past: Readonly<Record<string, string>> = {
  created: 'was made',
  updated: 'changed',
  completed: 'was completed',
  deleted: 'was deleted',
};

function payload(event: string, data: Part): Part {
  return {
    type: 'object',
    required: ['event', 'data', 'timestamp'],
    additionalProperties: false,
    properties: {
      event: { type: 'string', const: event },
      data,
      timestamp: { type: 'string', format: 'date-time', description: 'When it happened.' },
    },
  };
}

const answers: Part = {
  '2XX': { description: 'Received. Any other answer, or none within 5 seconds, is tried again on the schedule.' },
  '410': { description: 'Never send to this URL again: the webhook is switched off and what waits is cancelled.' },
};

function delivery(
  event: string,
  tag: string,
  summary: string,
  description: string,
  data: Part,
  example: unknown,
): Part {
  return {
    post: {
      operationId: `on${schemaName(event.replaceAll('.', '_'))}`,
      summary,
      description,
      tags: [tag],
      security: [],
      parameters: deliveryHeaders.map((header) =>
        header['name'] === 'X-Webhook-Event' ? { ...header, schema: { type: 'string', const: event } } : header,
      ),
      requestBody: {
        required: true,
        content: {
          'application/json': {
            schema: payload(event, data),
            example: { event, data: example, timestamp: '2026-03-10T12:00:00.000Z' },
          },
        },
      },
      responses: answers,
    },
  };
}

function recordEvent(event: string): Part {
  const [name = '', action = ''] = event.split('.');
  const resource = resourceByName(name);
  if (!resource) throw new Error(`${event} is of no resource`);
  const example = recordExamples[name] ?? {};
  const completed = { status: 'completed', completed: true, completedById: 4, completedAt: '2026-03-10T12:00:00.000Z' };
  const notes = {
    updated: ' `data` is the record as it is now. A save that changes nothing sends nothing.',
    completed: ' Comes behind the `task.updated` (or `task.created`) of the same save.',
    deleted: ' `data` is the record as it last was.',
  };
  return delivery(
    event,
    eventTag,
    `A ${resource.title} ${past[action]}`,
    `Sent when a ${resource.title} ${past[action]}; by then a GET of the record shows it.${notes[action as keyof typeof notes] ?? ''}`,
    ref('schemas', schemaName(name)),
    action === 'completed' ? { ...example, ...completed } : example,
  );
}

const trouble = {
  failingSince: nullable({
    type: 'string',
    format: 'date-time',
    description: 'When the first failure behind the last success was.',
  }),
  consecutiveFailures: { type: ['integer', 'null'], minimum: 0, description: 'Failures since the last success.' },
  attemptsLastDay: { type: ['integer', 'null'], minimum: 0, description: 'Tries in the last 24 hours.' },
  failuresLastDay: { type: ['integer', 'null'], minimum: 0, description: 'How many of them failed.' },
};

const reasons: readonly FailureReason[] = ['no_success', 'failure_rate'];
const why =
  '`no_success`: nothing has succeeded for days. `failure_rate`: nearly everything of the last 24 hours failed.';

const aboutWebhook: Readonly<Record<keyof WebhookNamed, Part>> = {
  webhookId: { ...valueSchema(webhookList.fields.id), description: 'Which webhook it is about.' },
  name: { type: 'string', description: 'What you call it.' },
  url: { type: 'string', format: 'uri' },
};

const named: WebhookNamed = {
  webhookId: 'wh_42',
  name: 'My CRM Sync',
  url: 'https://your-app.example/webhooks/keyturn',
};

const figures: Omit<WebhookInTrouble, keyof WebhookNamed> = {
  failingSince: '2026-03-05T11:59:58.204Z',
  consecutiveFailures: 143,
  attemptsLastDay: 41,
  failuresLastDay: 41,
};

/** By the type of what is sent: a key that has no description here does not compile. */
const operational: {
  readonly [E in OperationalEvent]: {
    readonly summary: string;
    readonly description: string;
    readonly data: Readonly<Record<keyof OperationalData[E], Part>>;
    readonly example: OperationalData[E];
  };
} = {
  'webhook.failing': {
    summary: 'A webhook fails',
    description:
      'Deliveries to a webhook fail so often that it will be disabled if nothing changes. Sent at 50, 75 and 90 percent of the way.',
    data: {
      ...aboutWebhook,
      reason: { type: 'string', enum: reasons, description: why },
      percent: {
        type: 'integer',
        enum: [50, 75, 90],
        description: 'How much of the way to being disabled lies behind it.',
      },
      ...trouble,
    },
    example: { ...named, reason: 'no_success', percent: 90, ...figures },
  },
  'webhook.disabled': {
    summary: 'A webhook is disabled',
    description:
      'A webhook was disabled after too many failures; events wait until its endpoint answers a probe, or you set `isActive` to true. ' +
      'After a 410 (`gone`) it is inactive instead, what waited is cancelled, and the figures are null.',
    data: {
      ...aboutWebhook,
      reason: {
        type: 'string',
        enum: [...reasons, 'gone'],
        description: `${why} \`gone\`: its endpoint answered 410.`,
      },
      ...trouble,
    },
    example: { ...named, reason: 'no_success', ...figures },
  },
  'webhook.recovered': {
    summary: 'A webhook works again',
    description:
      'A webhook that was disabled answers again and is delivered to, or one that was failing has stopped to.',
    data: aboutWebhook,
    example: named,
  },
};

function webhookEvent(event: OperationalEvent): Part {
  const { summary, description, data, example } = operational[event];
  const whole = 'Never sent to the webhook that it is about, and never in the thin form.';
  const schema = { type: 'object', required: Object.keys(data), additionalProperties: false, properties: data };
  return delivery(event, eventTag, summary, `${description} ${whole}`, schema, example);
}

const test: Part = delivery(
  testEventName,
  eventTag,
  'A test',
  'Sent by `POST /api/v1/webhooks/{id}/test`, once.',
  {
    type: 'object',
    required: ['webhookId', 'message'],
    properties: { webhookId: { type: 'string' }, message: { type: 'string' } },
  },
  { webhookId: 'wh_42', message: 'This is a test event.' },
);

/** What subscribers receive: the 22 events of records, those about a webhook itself, and the test. */
export function eventWebhooks(): Record<string, Part> {
  return {
    ...Object.fromEntries(eventNames.map((event) => [event, recordEvent(event)])),
    ...Object.fromEntries(operationalEventNames.map((event) => [event, webhookEvent(event)])),
    [testEventName]: test,
  };
}
