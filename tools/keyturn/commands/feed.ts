import { eventNames, eventWildcards, loggedNames, type LoggedEvent } from '@keyturn/contracts';
import type { Cluster } from '../cluster';
import { type Call, type Command, listed, required, UsageError, wholeNumber } from '../command';
import { ofSpace } from '../space-webhooks';
import { table } from '../table';

/** While somebody follows: a look at least so often, should the news of an event get lost. */
const lookAgainMs = 1_000;

/** An event as the feed shows it. */
interface FeedEvent extends Pick<LoggedEvent, 'id' | 'sequence' | 'committedAt' | 'changed'> {
  readonly payload: { readonly event: string; readonly data: { readonly id: number } };
}

interface Wanted {
  readonly spaceId: string;
  readonly events: readonly string[] | null;
  readonly limit: number;
}

async function look(running: Cluster, wanted: Wanted, after: number) {
  const request = { ...wanted, after, since: null, until: null, payloads: true };
  const { head, body } = await running.askWhole('data.events', request);
  let at = 0;
  const events = head.events.map(({ id, sequence, committedAt, changed, bytes }): FeedEvent => {
    const payload = Buffer.from(body.subarray(at, (at += bytes))).toString('utf8');
    return { id, sequence, committedAt, changed, payload: JSON.parse(payload) as FeedEvent['payload'] };
  });
  return { events, next: head.last, more: head.more };
}

const cells = ({ sequence, committedAt, id, changed, payload }: FeedEvent) => [
  ...[sequence, committedAt, payload.event, payload.data.id, changed.join(',') || null, id],
];

/** Prints each event as it is committed, until Ctrl-C. */
async function follow(running: Cluster, wanted: Wanted, start: number, { json, print, signal, progress }: Call) {
  let wake: () => void = () => undefined;
  const subject = `events.${wanted.spaceId}.>`;
  // Subscribed before the first look, so that nothing falls between the two.
  const subscription = running.link.connection().subscribe(subject, { callback: () => wake() });
  signal.addEventListener('abort', () => wake(), { once: true });
  progress(`following the events behind ${start} – Ctrl-C ends it`);
  try {
    for (let after = start; !signal.aborted;) {
      let timer: NodeJS.Timeout | undefined;
      const news = new Promise<void>((resolve) => {
        wake = resolve;
        timer = setTimeout(resolve, lookAgainMs);
      });
      const { events, next, more } = await look(running, wanted, after);
      for (const event of events) print(json ? JSON.stringify(event) : cells(event).join('  '));
      after = next;
      if (!more && !signal.aborted) await news;
      clearTimeout(timer);
    }
  } finally {
    subscription.unsubscribe();
  }
}

function chosen(flags: Call['flags']): readonly string[] | null {
  const names = listed(flags, 'types');
  const unknown = names?.find((name) => loggedNames([name]).length === 0);
  if (unknown !== undefined)
    throw new UsageError(
      `--types names no event: "${unknown}"; allowed: ${[...eventWildcards, ...eventNames].join(', ')}`,
    );
  return names === undefined ? null : loggedNames(names);
}

const feed: Command = {
  name: 'events feed',
  summary: 'Shows the events of a Space in the order of their commits, with the payloads of their webhooks',
  flags: {
    ...ofSpace,
    after: { value: 'N', description: 'only events behind this place in the order, such as the "next" of an answer' },
    types: { value: 'NAMES', description: 'only these, separated by commas: file.*, contact.created' },
    limit: { value: '25', description: 'how many at most, up to 100' },
    follow: { description: 'prints what is committed from now on (or behind --after), a line each, until Ctrl-C' },
  },
  async run(call) {
    const { flags, switches } = call;
    const after = wholeNumber(flags, 'after', 0, Number.MAX_SAFE_INTEGER);
    const limit = wholeNumber(flags, 'limit', 1, 100) ?? 25;
    const events = chosen(flags);
    const running = await call.cluster();
    const { id: spaceId } = await running.space(required(flags, 'space'));
    const wanted = { spaceId, events, limit };
    if (switches.has('follow')) {
      const start = after ?? (await running.ask('data.space.position', { spaceId })).sequence;
      await follow(running, wanted, start, call);
      return undefined;
    }
    const seen = await look(running, wanted, after ?? 0);
    const rows = seen.events.map(cells);
    const rest = seen.more ? `\n\nThere are more: --after ${seen.next}` : '';
    const headings = ['#', 'COMMITTED', 'EVENT', 'RECORD', 'CHANGED', 'ID'];
    return { json: seen, text: `${table(headings, rows)}${rest}` };
  },
};

export const feedCommands: readonly Command[] = [feed];
