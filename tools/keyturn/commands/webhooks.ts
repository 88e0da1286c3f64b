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
    return { json: reply, text: `${table(head, rows)}\n${verdict}, up to event ${reply.sequence}` };
  },
};

export const webhookCommands: readonly Command[] = [audit];
