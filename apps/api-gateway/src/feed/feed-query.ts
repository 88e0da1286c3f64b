import { eventNames, eventWildcards, loggedNames, validationError } from '@keyturn/contracts';
import type { CursorCodec } from '@keyturn/list-query';
import { defaultPageSize, maxPageSize } from '@keyturn/list-query';

/** A look into the feed after its parse. */
export interface FeedQuery {
  /** Sequence behind which to begin; 0 is the oldest event that is kept. */
  readonly after: number;
  /** Event names without wildcards; null for all. */
  readonly types: readonly string[] | null;
  readonly pageSize: number;
  /** How long to wait for the first event when there is none yet. */
  readonly waitMs: number;
}

const maxWaitSeconds = 30;
const parameters = ['after', 'types', 'pageSize', 'wait'] as const;
type Parameter = (typeof parameters)[number];

/** The feed has one order, so its cursors are bound to the Space alone: types may change from one look to the next. */
const walk = { filters: [], search: [], sort: 'sequence', order: 'asc' } as const;

export const feedCursor = (cursors: CursorCodec, spaceId: string, sequence: number): string =>
  cursors.encode([spaceId, 'events'], walk, { value: null, id: sequence });

export function parseFeedQuery(
  given: Iterable<readonly [string, string]>,
  cursors: CursorCodec,
  spaceId: string,
): FeedQuery {
  const values = new Map<Parameter, string>();
  for (const [name, value] of given) {
    const known = parameters.find((candidate) => candidate === name);
    if (!known)
      throw validationError(
        name.slice(0, 100),
        `Unknown parameter ${JSON.stringify(name.slice(0, 100))}. Allowed: ${parameters.join(', ')}`,
      );
    if (values.has(known)) throw validationError(known, `${known} may be given once`);
    values.set(known, value);
  }
  const after = values.get('after') ?? '';
  return {
    after: after === '' ? 0 : place(cursors, spaceId, after),
    types: parseTypes(values.get('types')),
    pageSize: Math.min(wholeNumber('pageSize', values.get('pageSize'), 1, Infinity) ?? defaultPageSize, maxPageSize),
    waitMs: (wholeNumber('wait', values.get('wait'), 0, maxWaitSeconds) ?? 0) * 1_000,
  };
}

function place(cursors: CursorCodec, spaceId: string, after: string): number {
  try {
    return cursors.decode([spaceId, 'events'], walk, after).id;
  } catch {
    throw validationError('after', 'after is not a cursor of this feed: begin again without it');
  }
}

function parseTypes(text: string | undefined): readonly string[] | null {
  if (text === undefined) return null;
  const names = text.split(',');
  const unknown = names.find((name) => loggedNames([name]).length === 0);
  if (unknown !== undefined)
    throw validationError(
      'types',
      `types names no event: ${JSON.stringify(unknown.slice(0, 100))}. Allowed: ${[...eventNames, ...eventWildcards].join(', ')}`,
    );
  return loggedNames(names);
}

function wholeNumber(name: Parameter, text: string | undefined, min: number, max: number): number | undefined {
  if (text === undefined) return undefined;
  const value = Number(text);
  if (!/^\d{1,9}$/.test(text) || value < min || value > max)
    throw validationError(name, `${name} must be a whole number from ${min}${max === Infinity ? '' : ` to ${max}`}`);
  return value;
}
