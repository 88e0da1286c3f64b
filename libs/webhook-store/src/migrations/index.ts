import type { MigrationClass } from '@keyturn/platform/database';
import { Webhooks1763600000000 } from './1763600000000-webhooks';
import { RecordOrder1763600100000 } from './1763600100000-record-order';

/** In order; forward only. */
export const webhookMigrations: readonly MigrationClass[] = [Webhooks1763600000000, RecordOrder1763600100000];
