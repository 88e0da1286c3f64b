import type { LeashedFolder } from './servers/leash';
import type { PostgresServer } from './servers/postgres';

export interface TestRun {
  postgres?: { server: PostgresServer; folder: LeashedFolder };
}

/** What the global set-up leaves for the global tear-down; Jest loads the two apart, so it hangs on the process. */
const holder = globalThis as { keyturnTestRun?: TestRun };
export const testRun: TestRun = (holder.keyturnTestRun ??= {});
