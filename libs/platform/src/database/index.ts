export {
  Database,
  makeDatabase,
  statement,
  type DatabaseOptions,
  type Queries,
  type Session,
  type SpaceScope,
  type Statement,
  type Transaction,
} from './database';
export { isUnavailable, isStatementTimeout } from './failure';
export { runMigrations, type MigrationClass } from './migrations';
export { spaceId, spaceNumber } from './space-id';
