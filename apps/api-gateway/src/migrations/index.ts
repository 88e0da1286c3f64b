import type { MigrationClass } from '@keyturn/platform/database';
import { Access1763600000000 } from './1763600000000-access';
import { SpaceLife1763600800000 } from './1763600800000-space-life';

/** In order; listed, so that what is bundled is what runs. */
export const migrations: readonly MigrationClass[] = [Access1763600000000, SpaceLife1763600800000];
