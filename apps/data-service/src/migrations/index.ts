import type { MigrationClass } from '@keyturn/platform/database';
import { Records1763640000001 } from '../records/records.migration';

/** Schema `data`, in the order in which it grew. */
export const migrations: readonly MigrationClass[] = [Records1763640000001];
