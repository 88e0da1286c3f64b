import { eventNames, eventWildcards, replayList, webhookList, type Replay } from '@keyturn/contracts';
import { moment, nullable, objectSchema, type Part, valueSchema } from './schema';

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

export const replaySchemas: Readonly<Record<string, Part>> = {
  Replay: objectSchema('Replay', 'A job that sends again what a webhook missed.', replay),
  ReplayInput: {
    ...objectSchema('ReplayInput', 'What to send again.', { ...replayShape, status: selection }, ['since']),
    additionalProperties: false,
  },
};
