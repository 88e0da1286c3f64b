import type { Database, Statement, Transaction } from './database';
import { isUnavailable } from './failure';
import { waitForLocksBriefly } from './locks';
import { spaceId, spaceNumber } from './space-id';

/** How a schema forgets the Spaces that have ended. `$1` is the Space's number, but for `due`. */
export interface PurgePlan {
  /** Spaces that ended before `$1`, as `space_id`. */
  readonly due: Statement;
  /** The Space's own row, locked, where it is still to be purged; nothing where another run has it. */
  readonly lock: Statement;
  /** Each removes at most `$2` rows, and says how many it has found: `gone`. In the order in which they may go. */
  readonly steps: readonly Statement[];
  /** What is kept elsewhere than in tables, before the Space itself goes. */
  readonly elsewhere?: (space: string) => Promise<void>;
  /** The Space itself, which comes back where nothing else of it was left. */
  readonly end: Statement;
}

export interface Purged {
  /** Spaces of which nothing is left. */
  readonly spaces: readonly string[];
  readonly rows: number;
  /** Spaces of which the next run has to remove more. */
  readonly left: number;
}

/** Rows a transaction: it holds its locks for a moment only. */
const batch = 1_000;

/**
 * Removes what is left of the Spaces that ended before `before`, until `until` (by `performance.now()`). Each batch commits by
 * itself, so that a run that breaks off has not been for nothing, and of two runs at once one leaves a Space to the other.
 */
export async function purgeSpaces(database: Database, plan: PurgePlan, before: Date, until: number): Promise<Purged> {
  const due = await database
    .acrossSpaces('Spaces that have ended are forgotten one after the other')
    .query<{ space_id: string }>(plan.due, [before]);
  const spaces: string[] = [];
  let rows = 0;
  for (const { space_id } of due) {
    const space = spaceId(space_id);
    try {
      const purge = await purgeSpace(database, plan, space, until);
      rows += purge.rows;
      if (purge.ended) spaces.push(space);
    } catch (error) {
      if (!isUnavailable(error)) throw error;
    }
    if (performance.now() >= until) break;
  }
  return { spaces, rows, left: due.length - spaces.length };
}

async function purgeSpace(database: Database, plan: PurgePlan, space: string, until: number) {
  let rows = 0;
  for (const step of plan.steps) {
    for (let gone = batch; gone >= batch;) {
      if (performance.now() >= until) return { rows, ended: false };
      const removed = await inLockedSpace(database, plan, space, (tx) => tx.inSpace(space).query(step, [batch]));
      if (removed === undefined) return { rows, ended: false };
      gone = Number((removed[0] as { gone?: unknown } | undefined)?.gone ?? 0);
      rows += gone;
    }
  }
  await plan.elsewhere?.(space);
  const ended = await inLockedSpace(database, plan, space, (tx) =>
    tx.acrossSpaces('a Space’s own row').query(plan.end, [spaceNumber(space)]),
  );
  return { rows, ended: Boolean(ended?.length) };
}

/** Undefined where another run has the Space in its hands, or is done with it. */
function inLockedSpace<T>(database: Database, plan: PurgePlan, space: string, work: (tx: Transaction) => Promise<T>) {
  return database.transaction('of two runs at once one has the Space', async (tx) => {
    // Who works on the rows of a Space that has ended is about to leave; the next run takes what it kept us from.
    await waitForLocksBriefly(tx);
    const queries = tx.acrossSpaces('a Space’s own row');
    return (await queries.query(plan.lock, [spaceNumber(space)])).length === 0 ? undefined : work(tx);
  });
}
