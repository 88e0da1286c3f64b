import type { MigrationClass } from '@keyturn/platform/database';
import { EventsIn1763640000002 } from '../apply/events-in.migration';
import { Partitions1763640000003 } from '../apply/partitions.migration';
import { Records1763640000001 } from '../records/records.migration';
import { SpaceLife1763640000004 } from '../spaces/space-life.migration';

/** Schema `data`, in the order in which it grew. */
export const migrations: readonly MigrationClass[] = [
  Records1763640000001,
  EventsIn1763640000002,
  Partitions1763640000003,
  SpaceLife1763640000004,
];
