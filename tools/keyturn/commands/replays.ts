import { type Replay, replayList } from '@keyturn/contracts';
import { type Call, type Command, given, listed, moment, required, wholeNumber } from '../command';
import { andMore, ofList, ofWebhook, SpaceWebhooks } from '../space-webhooks';
import { card, table } from '../table';

const pollMs = 250;

function replayCard(replay: Replay): string {
  const { deliveries } = replay;
  return card({
    id: replay.id,
    webhook: replay.webhookId,
    status: replay.error === null ? replay.status : `${replay.status}: ${replay.error}`,
    selection: replay.dryRun ? `${replay.selection}, only counted` : replay.selection,
    since: replay.since,
    until: replay.until,
    events: replay.events?.join(', ') ?? 'all that the webhook wants',
    rate: replay.ratePerSecond === null ? 'as fast as it answers' : `${replay.ratePerSecond} a second`,
    url: replay.url ?? 'its own',
    matched: replay.matched,
    ...(replay.dryRun
      ? {}
      : {
          delivered: deliveries.success,
          waiting: deliveries.pending + deliveries.retrying,
          failed: deliveries.failed,
          cancelled: deliveries.cancelled,
        }),
    created: replay.createdAt,
    finished: replay.finishedAt,
  });
}

/** Until the job is over, or nobody waits any more. */
async function ended(webhooks: SpaceWebhooks, replay: Replay, { signal, progress }: Call): Promise<Replay> {
  let current = replay;
  while (current.status === 'running' && !signal.aborted) {
    await new Promise((resolve) => setTimeout(resolve, pollMs));
    current = await webhooks.ask('webhooks.replay.get', { id: replay.webhookId, replayId: replay.id });
    progress(`${current.matched} matched, ${current.deliveries.success} delivered`);
  }
  return current;
}

const create: Command = {
  name: 'replays create',
  summary: 'Sends again what a webhook missed, or what failed; the job goes on by itself',
  flags: {
    ...ofWebhook,
    since: { value: 'ISO', required: true, description: 'what was committed from this moment on' },
    until: { value: 'ISO', description: 'and before this one; else until now' },
    status: { value: 'failed|missed|all', description: 'which of it; failed unless told' },
    events: { value: 'NAMES', description: 'of these events only, separated by commas: file.created, file.*' },
    rate: { value: 'N', field: 'ratePerSecond', description: 'deliveries a second at most' },
    url: { value: 'URL', description: "where to, instead of the webhook's own URL" },
    'dry-run': { description: 'only counts' },
    wait: { description: 'returns when it is over, as a dry run always does' },
  },
  async run(call) {
    const { flags, switches } = call;
    const dryRun = switches.has('dry-run');
    const input = given({
      since: moment(flags, 'since'),
      until: moment(flags, 'until'),
      status: flags['status'],
      events: listed(flags, 'events'),
      ratePerSecond: wholeNumber(flags, 'rate', 1, 1_000),
      url: flags['url'],
      dryRun,
    });
    const webhooks = await SpaceWebhooks.of(call);
    const started = await webhooks.carryOut(
      'webhooks.replay.create',
      { id: required(flags, 'webhook'), input },
      replayCard,
    );
    if (!dryRun && !switches.has('wait')) return started;
    const replay = await ended(webhooks, started.json as Replay, call);
    return { ...started, json: replay, text: replayCard(replay) };
  },
};

const list: Command = {
  name: 'replays list',
  summary: 'Shows the replays of a webhook, newest first',
  flags: {
    ...ofWebhook,
    status: { value: 'running|done|cancelled|failed', description: 'only those' },
    ...ofList,
  },
  async run(call) {
    const { flags } = call;
    const webhooks = await SpaceWebhooks.of(call);
    const of = { id: required(flags, 'webhook') };
    const page = await webhooks.list<'webhooks.replay.list', Replay>('webhooks.replay.list', replayList, of, flags, {
      status: flags['status'],
    });
    const rows = page.rows.map(({ deliveries, ...replay }) => [
      ...[replay.id, replay.status, replay.dryRun ? `${replay.selection} (dry)` : replay.selection],
      ...[replay.since, replay.until, `${replay.matched}`, deliveries.success],
      ...[deliveries.pending + deliveries.retrying, deliveries.failed, deliveries.cancelled],
    ]);
    const headings = [
      'ID',
      'STATUS',
      'SELECTION',
      'SINCE',
      'UNTIL',
      'MATCHED',
      'DELIVERED',
      'WAITING',
      'FAILED',
      'CANCELLED',
    ];
    return {
      json: { replays: page.rows, nextCursor: page.nextCursor },
      text: `${table(headings, rows)}${andMore(page.nextCursor)}`,
    };
  },
};

const get: Command = {
  name: 'replays get',
  summary: 'Shows how far a replay is',
  operands: ['ID'],
  flags: ofWebhook,
  async run(call) {
    const wanted = { id: required(call.flags, 'webhook'), replayId: call.operands[0] as string };
    const replay = await (await SpaceWebhooks.of(call)).ask('webhooks.replay.get', wanted);
    return { json: replay, text: replayCard(replay) };
  },
};

const cancel: Command = {
  name: 'replays cancel',
  summary: 'Ends a replay; what of it still waits is not sent',
  operands: ['ID'],
  flags: ofWebhook,
  async run(call) {
    const wanted = { id: required(call.flags, 'webhook'), replayId: call.operands[0] as string };
    return (await SpaceWebhooks.of(call)).carryOut('webhooks.replay.cancel', wanted, replayCard);
  },
};

export const replayCommands: readonly Command[] = [create, list, get, cancel];
