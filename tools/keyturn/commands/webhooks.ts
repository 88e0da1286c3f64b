import type { WebhookBalance } from '@keyturn/contracts';
import { type Command, required } from '../command';
import { table } from '../table';

/** The whole log of a Space is read for it. */
const auditWaitMs = 300_000;

const audit: Command = {
  name: 'webhooks audit',
  summary: 'Proves that everything a Space owed its webhooks is accounted for',
  flags: {
    space: { value: 'SLUG', required: true, description: 'the Space' },
    since: { value: 'ISO', description: 'only what was committed since then; else everything that is kept' },
  },
  async run({ flags, cluster }) {
    const running = await cluster();
    const { id } = await running.space(required(flags, 'space'));
    const since = flags['since'];
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

export const webhookCommands: readonly Command[] = [audit];
