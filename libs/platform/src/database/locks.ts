import { statement, type Database, type Transaction } from './database';
import { isUnavailable } from './failure';

const setLockTimeout = statement('locks.timeout', `select set_config('lock_timeout', '2s', true)`);
const tries = 5;

/** From here on a statement of the transaction is unavailable when it does not get its locks within a moment. */
export async function waitForLocksBriefly(tx: Transaction): Promise<void> {
  await tx.acrossSpaces('a setting of this transaction').query(setLockTimeout);
}

/**
 * Runs `work`, which takes strong locks, in a transaction. Whoever waits for one makes everybody else wait behind it, so it waits
 * for a moment only, and tries again when the others have had theirs.
 */
export async function withStrongLocks<T>(
  database: Database,
  reason: string,
  work: (tx: Transaction) => Promise<T>,
): Promise<T> {
  for (let tried = 1; ; tried++) {
    try {
      return await database.transaction(reason, async (tx) => {
        await waitForLocksBriefly(tx);
        return work(tx);
      });
    } catch (error) {
      if (tried === tries || !isUnavailable(error)) throw error;
    }
  }
}
