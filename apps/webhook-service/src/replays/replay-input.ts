import { checkDatetime, eventNames, eventWildcards, validationError, type ReplaySelection } from '@keyturn/contracts';
import type { AddressPolicy, NewReplay } from '@keyturn/webhook-store';
import { parseRateLimit, parseUrl } from '../webhooks/webhook-input';
import { InputProblem } from '../webhooks/input-problem';

const selections: readonly string[] = ['failed', 'missed', 'all'] satisfies ReplaySelection[];

export interface ReplayRules {
  readonly now: Date;
  /** Deliveries older than this are forgotten, so nobody can say any more what was missed. */
  readonly retentionMs: number;
  readonly policy: AddressPolicy;
}

type Fields = { -readonly [K in keyof NewReplay]?: NewReplay[K] };

const fail = (problem: string): never => {
  throw new InputProblem(problem);
};

function parseMoment(value: unknown): string {
  const moment = checkDatetime(value);
  return moment.ok ? moment.value : fail(moment.problem);
}

function parseNames(value: unknown): string[] | null {
  if (value === null) return null;
  if (!Array.isArray(value) || value.length === 0) return fail('must be null or an array of event names');
  for (const name of value as unknown[])
    if (typeof name !== 'string' || !(eventNames.includes(name) || eventWildcards.includes(name)))
      fail(`must not contain ${JSON.stringify(name)?.slice(0, 100)}: there is no such event of a record`);
  return [...new Set(value as string[])];
}

const fields: { readonly [field: string]: (value: unknown, rules: ReplayRules) => Fields } = {
  since: (value) => ({ since: parseMoment(value) }),
  until: (value) => ({ until: parseMoment(value) }),
  events: (value) => ({ events: parseNames(value) }),
  status: (value) =>
    typeof value === 'string' && selections.includes(value)
      ? { selection: value as ReplaySelection }
      : fail(`must be one of ${selections.join(', ')}`),
  ratePerSecond: (value) => ({ ratePerSecond: parseRateLimit(value) }),
  url: (value, { policy }) => ({ url: value === null ? null : parseUrl(value, policy) }),
  dryRun: (value) => ({ dryRun: typeof value === 'boolean' ? value : fail('must be true or false') }),
};

/** What to send again: everything but `since` may be left out. */
export function parseReplay(input: unknown, rules: ReplayRules): NewReplay {
  if (typeof input !== 'object' || input === null || Array.isArray(input))
    throw validationError('body', 'The body must be a JSON object');
  const chosen: Fields = {};
  for (const [field, value] of Object.entries(input)) {
    const parse = Object.hasOwn(fields, field) ? fields[field] : undefined;
    if (!parse) throw validationError(field, `${JSON.stringify(field.slice(0, 100))} is no field of a replay`);
    try {
      Object.assign(chosen, parse(value, rules));
    } catch (error) {
      if (error instanceof InputProblem) throw validationError(field, `${field} ${error.message}`);
      throw error;
    }
  }
  if (chosen.since === undefined) throw validationError('since', 'since is required');
  const now = rules.now.toISOString();
  const until = chosen.until === undefined || chosen.until > now ? now : chosen.until;
  const oldest = new Date(rules.now.getTime() - rules.retentionMs).toISOString();
  if (chosen.since < oldest)
    throw validationError('since', `since must not lie before ${oldest}: older deliveries are not kept`);
  if (until <= chosen.since) throw validationError('until', 'until must lie after since');
  return {
    since: chosen.since,
    until,
    events: chosen.events ?? null,
    selection: chosen.selection ?? 'failed',
    ratePerSecond: chosen.ratePerSecond ?? null,
    url: chosen.url ?? null,
    dryRun: chosen.dryRun ?? false,
  };
}
