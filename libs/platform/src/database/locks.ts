import { statement, type Database, type Transaction } from './database';
import { isUnavailable } from './failure';

/**
 * Whoever waits for a strong lock makes everybody else wait behind it, so it waits for a moment only, and tries again when the
 * others have had theirs.
 */
const setLockTimeout = statement('locks.timeout', `select set_config('lock_timeout', '2s', true)`);
const tries = 5;

/** Runs `work`, which takes locks that those at work may hold, in a transaction: again where a lock was not to be had in time. */
export async function withStrongLocks<T>(
  database: Database,
  reason: string,
  work: (tx: Transaction) => Promise<T>,
): Promise<T> {
  for (let tried = 1; ; tried++) {
    try {
      return await database.transaction(reason, async (tx) => {
        await tx.acrossSpaces(reason).query(setLockTimeout);
        return work(tx);
      });
    } catch (error) {
      if (tried === tries || !isUnavailable(error)) throw error;
    }
  }
}
