import { type Delivery, type DeliveryAttempt, deliveryList } from '@keyturn/contracts';
import { type Command, moment, required } from '../command';
import { andMore, ofList, ofWebhook, SpaceWebhooks } from '../space-webhooks';
import { card, table } from '../table';

export function deliveryCard(delivery: Delivery): string {
  return card({
    id: delivery.id,
    webhook: delivery.webhookId,
    message: delivery.messageId,
    event: delivery.event,
    status: delivery.status,
    attempts: `${delivery.attempts} of ${delivery.maxAttempts}`,
    answer: delivery.responseStatus === null ? null : `HTTP ${delivery.responseStatus}`,
    error: delivery.error,
    took: ms(delivery.durationMs),
    created: delivery.createdAt,
    next: delivery.nextRetryAt,
    delivered: delivery.deliveredAt,
  });
}

const ms = (duration: number | null) => (duration === null ? null : `${Math.round(duration * 10) / 10} ms`);

const attemptHeadings = [
  '#',
  'WHY',
  'STARTED',
  'ADDRESS',
  'DNS',
  'CONNECT',
  'TLS',
  'FIRST BYTE',
  'TOTAL',
  'CODE',
  'ERROR',
];

const attemptRow = (attempt: DeliveryAttempt) => [
  ...[attempt.number, attempt.superseded ? `${attempt.reason} (given up)` : attempt.reason, attempt.startedAt],
  ...[attempt.address, ms(attempt.dnsMs), ms(attempt.connectMs), ms(attempt.tlsMs), ms(attempt.firstByteMs)],
  ...[ms(attempt.durationMs), attempt.responseStatus, attempt.error],
];

const list: Command = {
  name: 'deliveries list',
  summary: 'Shows what was sent to a webhook and what became of it, newest first',
  flags: {
    ...ofWebhook,
    status: { value: 'failed,…', description: 'only pending, retrying, success, failed, cancelled; several by commas' },
    event: { value: 'NAME,…', description: 'only of these events' },
    code: {
      value: '500,…',
      field: 'responseStatus',
      description: 'only where the endpoint last answered with this status',
    },
    since: { value: 'ISO', description: 'only those that were made since then' },
    until: { value: 'ISO', description: 'only those that were made before then' },
    search: { value: 'WORDS', description: 'only those whose event or error has all of the words' },
    ...ofList,
  },
  async run(call) {
    const { flags } = call;
    const filters = {
      'status[in]': flags['status'],
      'event[in]': flags['event'],
      'responseStatus[in]': flags['code'],
      'createdAt[gte]': moment(flags, 'since'),
      'createdAt[lt]': moment(flags, 'until'),
      search: flags['search'],
    };
    const webhooks = await SpaceWebhooks.of(call);
    const page = await webhooks.list<'webhooks.deliveries', Delivery>(
      'webhooks.deliveries',
      deliveryList,
      { id: required(flags, 'webhook') },
      flags,
      filters,
    );
    const rows = page.rows.map((delivery) => [
      ...[delivery.id, delivery.event, delivery.status, `${delivery.attempts}/${delivery.maxAttempts}`],
      ...[delivery.responseStatus, delivery.createdAt, delivery.nextRetryAt, delivery.error],
    ]);
    const headings = ['ID', 'EVENT', 'STATUS', 'ATTEMPTS', 'CODE', 'CREATED', 'NEXT', 'ERROR'];
    return {
      json: { deliveries: page.rows, nextCursor: page.nextCursor },
      text: `${table(headings, rows)}${andMore(page.nextCursor)}`,
    };
  },
};

const get: Command = {
  name: 'deliveries get',
  summary: 'Shows one delivery with every attempt; with --json also headers, bodies and the payload',
  operands: ['ID'],
  flags: ofWebhook,
  async run(call) {
    const wanted = { id: required(call.flags, 'webhook'), deliveryId: call.operands[0] as string };
    const delivery = await (await SpaceWebhooks.of(call)).ask('webhooks.delivery', wanted);
    const attempts = table(attemptHeadings, delivery.attemptLog.map(attemptRow));
    return { json: delivery, text: `${deliveryCard(delivery)}\n\n${attempts}` };
  },
};

const resend: Command = {
  name: 'deliveries resend',
  summary: 'Sends a delivery again now, with the same id and bytes',
  operands: ['ID'],
  flags: ofWebhook,
  async run(call) {
    const wanted = { id: required(call.flags, 'webhook'), deliveryId: call.operands[0] as string };
    return (await SpaceWebhooks.of(call)).carryOut('webhooks.resend', wanted, deliveryCard);
  },
};

export const deliveryCommands: readonly Command[] = [list, get, resend];
