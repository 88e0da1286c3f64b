export {
  Database,
  makeDatabase,
  poolUsage,
  statement,
  type DatabaseOptions,
  type DatabaseUrl,
  type Queries,
  type Session,
  type SpaceScope,
  type Statement,
  type Transaction,
} from './database';
export { isFaultOfData, isFaultOfServer, isMissingPartition, isStatementTimeout, isUnavailable } from './failure';
export {
  missingMigrations,
  runMigrations,
  type Migration,
  type MigrationClass,
  type MigrationOptions,
  type Schema,
} from './migrations';
export { withStrongLocks } from './locks';
export { purgeSpaces, type Purged, type PurgePlan } from './purge';
export { spaceId, spaceNumber } from './space-id';
