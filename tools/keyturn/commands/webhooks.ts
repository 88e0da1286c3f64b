import { type ReplyOf, type Webhook, type WebhookBalance, webhookList } from '@keyturn/contracts';
import {
  type Call,
  type Command,
  type Flag,
  given,
  listed,
  moment,
  required,
  trueOrFalse,
  UsageError,
} from '../command';
import { andMore, ofList, ofSpace, SpaceWebhooks } from '../space-webhooks';
import { card, table } from '../table';
import { deliveryCard } from './deliveries';

/** What an owner may set; the fields of the API under the names of flags. */
const settings = {
  name: { value: 'NAME', description: 'what it is called' },
  url: { value: 'URL', description: 'where deliveries go' },
  events: { value: 'NAMES', description: 'separated by commas: file.created, or all of a resource, file.*' },
  active: { value: 'true|false', field: 'isActive', description: 'false: nothing is delivered, nor made up for' },
  'rate-limit': { value: 'N', description: 'deliveries a second at most, or none' },
  ordering: { value: 'none|record', description: 'record: deliveries of one record never overtake one another' },
  'retry-schedule': {
    value: '10,60,600',
    description: 'seconds before each further attempt, or none for the common one',
  },
  thin: { value: 'true|false', description: 'true: payloads carry the id of the record only' },
  filter: {
    value: 'JSON',
    description: 'conditions by resource, or none: {"file":[{"field":"listPrice","operator":"gte","value":500000}]}',
  },
  headers: { value: 'JSON', description: 'headers of every delivery, or none: {"X-Tenant":"acme"}' },
  'signature-scheme': { value: 'v1|v1a', description: 'HMAC with the secret, or Ed25519 with a key pair of its own' },
} as const satisfies Record<string, Flag>;

const isNone = (text: string) => text === 'none';

function number(flags: Call['flags'], name: string): number | null | undefined {
  const text = flags[name];
  if (text === undefined || isNone(text)) return text === undefined ? undefined : null;
  return oneNumber(name, text);
}

function oneNumber(name: string, text: string): number {
  if (!/^\d+(\.\d+)?$/.test(text)) throw new UsageError(`--${name} must be a number or none, not "${text}"`);
  return Number(text);
}

function json(flags: Call['flags'], name: string): unknown {
  const text = flags[name];
  if (text === undefined || isNone(text)) return text === undefined ? undefined : null;
  try {
    return JSON.parse(text);
  } catch {
    throw new UsageError(`--${name} must be JSON or none, not "${text}"`);
  }
}

/** The body that the flags stand for, as the API has it. */
function inputOf(flags: Call['flags']): Record<string, unknown> {
  const schedule = listed(flags, 'retry-schedule');
  return given({
    name: flags['name'],
    url: flags['url'],
    events: listed(flags, 'events'),
    isActive: trueOrFalse(flags, 'active'),
    rateLimit: number(flags, 'rate-limit'),
    ordering: flags['ordering'],
    retrySchedule:
      schedule && schedule.every(isNone) ? null : schedule?.map((seconds) => oneNumber('retry-schedule', seconds)),
    thin: trueOrFalse(flags, 'thin'),
    filter: json(flags, 'filter'),
    headers: json(flags, 'headers'),
    signatureScheme: flags['signature-scheme'],
  });
}

function webhookCard(webhook: Webhook & { signingSecret?: string }): string {
  const { signingSecret } = webhook;
  return card({
    id: webhook.id,
    name: webhook.name,
    url: webhook.url,
    events: webhook.events.join(', '),
    ...(signingSecret === undefined ? {} : { secret: signingSecret }),
    status: webhook.disabledReason === null ? webhook.status : `${webhook.status} (${webhook.disabledReason})`,
    rate: webhook.rateLimit === null ? 'as fast as it answers' : `${webhook.rateLimit} a second`,
    ordering: webhook.ordering,
    retries: webhook.retrySchedule === null ? 'common schedule' : `after ${webhook.retrySchedule.join(', ')} s`,
    payload: webhook.thin ? 'thin' : 'whole',
    filter: webhook.filter === null ? null : JSON.stringify(webhook.filter),
    headers: webhook.headerNames.join(', ') || null,
    signature: webhook.signatureScheme,
    ...(webhook.publicKey === null ? {} : { 'public key': webhook.publicKey, 'keys at': webhook.publicKeysPath }),
    ...(webhook.previousSchemeUntil === null ? {} : { 'old scheme until': webhook.previousSchemeUntil }),
    ...(webhook.previousSecretUntil === null ? {} : { 'old secret until': webhook.previousSecretUntil }),
    created: webhook.createdAt,
    updated: webhook.updatedAt,
  });
}

const withSecret = (webhook: ReplyOf<'webhooks.create'>) =>
  `${webhookCard(webhook)}\n\nKeep the secret safe: it is not shown again.`;

const list: Command = {
  name: 'webhooks list',
  summary: 'Shows the webhooks of a Space',
  flags: {
    ...ofSpace,
    status: { value: 'active|inactive|paused|disabled', description: 'only those' },
    search: { value: 'WORDS', description: 'only those whose name or URL has all of the words' },
    ...ofList,
  },
  async run(call) {
    const { flags } = call;
    const webhooks = await SpaceWebhooks.of(call);
    const filters = { status: flags['status'], search: flags['search'] };
    const page = await webhooks.list<'webhooks.list', Webhook>('webhooks.list', webhookList, {}, flags, filters);
    const rows = page.rows.map(({ id, name, status, events, url }) => [id, name, status, events.join(','), url]);
    return {
      json: { webhooks: page.rows, nextCursor: page.nextCursor },
      text: `${table(['ID', 'NAME', 'STATUS', 'EVENTS', 'URL'], rows)}${andMore(page.nextCursor)}`,
    };
  },
};

const get: Command = {
  name: 'webhooks get',
  summary: 'Shows one webhook, never its secret',
  operands: ['ID'],
  flags: ofSpace,
  async run(call) {
    const webhook = await (await SpaceWebhooks.of(call)).ask('webhooks.get', { id: call.operands[0] as string });
    return { json: webhook, text: webhookCard(webhook) };
  },
};

const create: Command = {
  name: 'webhooks create',
  summary: 'Subscribes a URL to events; the signing secret is shown this once',
  flags: {
    ...ofSpace,
    ...settings,
    name: { ...settings.name, required: true },
    url: { ...settings.url, required: true },
    events: { ...settings.events, required: true },
    'idempotency-key': {
      value: 'KEY',
      field: 'Idempotency-Key',
      description: 'a repeat within 24 hours makes nothing new',
    },
  },
  async run(call) {
    const key = call.flags['idempotency-key'];
    const wanted = { input: inputOf(call.flags), ...(key === undefined ? {} : { idempotencyKey: key }) };
    return (await SpaceWebhooks.of(call)).carryOut('webhooks.create', wanted, withSecret);
  },
};

const update: Command = {
  name: 'webhooks update',
  summary: 'Changes what the flags name',
  operands: ['ID'],
  flags: { ...ofSpace, ...settings },
  async run(call) {
    const input = inputOf(call.flags);
    if (Object.keys(input).length === 0)
      throw new UsageError(`nothing to change: give one of --${Object.keys(settings).join(', --')}`);
    const wanted = { id: call.operands[0] as string, input };
    return (await SpaceWebhooks.of(call)).carryOut('webhooks.update', wanted, webhookCard);
  },
};

const remove: Command = {
  name: 'webhooks delete',
  summary: 'Ends a subscription; what waits for it is cancelled',
  operands: ['ID'],
  flags: ofSpace,
  async run(call) {
    const wanted = { id: call.operands[0] as string };
    return (await SpaceWebhooks.of(call)).carryOut('webhooks.delete', wanted, ({ id }) => `${id} is deleted.`);
  },
};

const pause: Command = {
  name: 'webhooks pause',
  summary: 'Holds deliveries without dropping any',
  operands: ['ID'],
  flags: ofSpace,
  async run(call) {
    const wanted = { id: call.operands[0] as string };
    const show = ({ id, status }: Webhook) => `${id} is ${status}; what comes waits for "webhooks resume ${id}".`;
    return (await SpaceWebhooks.of(call)).carryOut('webhooks.pause', wanted, show);
  },
};

const resume: Command = {
  name: 'webhooks resume',
  summary: 'Delivers what was held, then goes on as before',
  operands: ['ID'],
  flags: ofSpace,
  async run(call) {
    const wanted = { id: call.operands[0] as string };
    const show = ({ id, status }: Webhook) => `${id} is ${status}.`;
    return (await SpaceWebhooks.of(call)).carryOut('webhooks.resume', wanted, show);
  },
};

const rotate: Command = {
  name: 'webhooks rotate',
  summary: 'Makes a new signing secret, shown this once; the one before signs too for a while',
  operands: ['ID'],
  flags: {
    ...ofSpace,
    overlap: { value: '86400', field: 'overlapSeconds', description: 'for how many seconds, up to a week' },
  },
  async run(call) {
    const overlap = call.flags['overlap'];
    const input = overlap === undefined ? {} : { overlapSeconds: oneNumber('overlap', overlap) };
    const wanted = { id: call.operands[0] as string, input };
    return (await SpaceWebhooks.of(call)).carryOut('webhooks.rotate', wanted, withSecret);
  },
};

/** The receiver may take its whole time. */
const testWaitMs = 30_000;

const test: Command = {
  name: 'webhooks test',
  summary: 'Sends a test event now, once, and shows what the endpoint answered',
  operands: ['ID'],
  flags: ofSpace,
  async run(call) {
    const webhooks = await SpaceWebhooks.of(call);
    const delivery = await webhooks.ask('webhooks.test', { id: call.operands[0] as string }, testWaitMs);
    return { json: delivery, text: deliveryCard(delivery) };
  },
};

/** The whole log of a Space is read for it. */
const auditWaitMs = 300_000;

const audit: Command = {
  name: 'webhooks audit',
  summary: 'Proves that everything a Space owed its webhooks is accounted for',
  flags: {
    ...ofSpace,
    since: { value: 'ISO', description: 'only what was committed since then; else everything that is kept' },
  },
  async run({ flags, cluster }) {
    const running = await cluster();
    const { id } = await running.space(required(flags, 'space'));
    const since = moment(flags, 'since');
    const reply = await running.ask(
      'admin.webhooks.audit',
      { spaceId: id, ...(since === undefined ? {} : { since }) },
      auditWaitMs,
    );
    const rows = reply.webhooks.map((webhook) =>
      [
        webhook.webhookId,
        webhook.owed,
        webhook.delivered,
        webhook.waiting,
        webhook.failed,
        webhook.cancelled,
        webhook.missing,
        webhook.stuck,
        webhook.name,
      ].map(String),
    );
    const head = ['WEBHOOK', 'OWED', 'DELIVERED', 'WAITING', 'FAILED', 'CANCELLED', 'MISSING', 'STUCK', 'NAME'];
    const verdict = reply.balanced ? 'balanced' : 'NOT balanced';
    const unaccounted = reply.webhooks.flatMap(unaccountedFor);
    return {
      json: reply,
      text: `${table(head, rows)}\n${verdict}, up to event ${reply.sequence}`,
      ...(unaccounted.length ? { alarm: { code: 'NOT_BALANCED', message: unaccounted.join('; ') } } : {}),
    };
  },
};

function unaccountedFor({ webhookId, name, owed, missing, stuck, examples }: WebhookBalance): string[] {
  const said = [];
  if (missing > 0) said.push(`${missing} of ${owed} have no delivery (${examples.join(', ')})`);
  if (stuck > 0) said.push(`${stuck} wait where nothing would send them`);
  return said.length ? [`${webhookId} "${name}": ${said.join(', ')}`] : [];
}

export const webhookCommands: readonly Command[] = [
  ...[list, get, create, update, remove, pause, resume, rotate, test, audit],
];
