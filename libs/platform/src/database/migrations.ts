import type { MigrationInterface } from 'typeorm';
import type { Log } from '../logs';
import { statement, type Database } from './database';
import { isUnavailable } from './failure';

/** One step of a schema, forward only. */
export interface Migration extends MigrationInterface {
  /**
   * Whether the version before this one goes on working while this runs and afterwards: it adds, and takes nothing away that
   * an older statement names, nor makes a write fail that was allowed. What removes is a later release's (expand, contract).
   */
  readonly safeForRunningVersion: boolean;
}

export type MigrationClass = new () => Migration;

/** A schema as a version of a service needs it. */
export interface Schema {
  readonly name: string;
  /** In order. */
  readonly migrations: readonly MigrationClass[];
}

export interface MigrationOptions {
  readonly url: string;
  readonly schema: string;
  readonly migrations: readonly MigrationClass[];
  readonly log: Log;
  /** Nothing of the version before runs, so that what is not safe for it may be done. */
  readonly stopped?: boolean;
}

interface Queries {
  query(sql: string): Promise<unknown>;
}

/**
 * A migration that waits for a lock makes everybody else wait behind it, so it waits for a moment only, and tries again when
 * the others have had theirs.
 */
const lockTimeoutMs = 2_000;
const lockTries = 30;
const lockPauseMs = 500;
const lockNotAvailable = '55P03';

/**
 * Brings one schema to today's form. Forward only, each migration in a transaction of its own; two that start together are
 * a normal case, so an advisory lock makes the second wait and find nothing to do.
 * Refuses a database whose text functions do not know letters beyond ASCII: search folds case (DESIGN §3).
 */
export async function runMigrations(options: MigrationOptions): Promise<void> {
  const { url, schema, migrations, log, stopped = false } = options;
  // Only here: a service that serves has no use for it, and it would cost each of them memory and time to start.
  const { DataSource } = await import('typeorm');
  const source = new DataSource({
    type: 'postgres',
    url,
    schema,
    migrations: [...migrations],
    migrationsTableName: 'migration',
    migrationsTransactionMode: 'each',
    // Its own words would go to the console beside our log lines.
    logger: 'debug',
    applicationName: `keyturn migrate ${schema}`,
    extra: { max: 2, options: `-c lock_timeout=${lockTimeoutMs}` },
  });
  await source.initialize();
  const lock = source.createQueryRunner();
  try {
    await lock.query('set lock_timeout = 0');
    await lock.query(`select pg_advisory_lock(hashtext('keyturn.migrate'))`);
    const [folds] = (await lock.query(`select lower('ÄÉØ') = 'äéø' as folds`)) as { folds: boolean }[];
    if (!folds?.folds)
      throw new Error(
        'the database does not fold the case of non-ASCII letters: create it with a UTF-8 locale such as C.UTF-8',
      );
    await lock.query(`create schema if not exists ${schema}`);
    const applied = await appliedNames(lock, schema);
    const pending = migrations.map((migration) => new migration()).filter((one) => !applied.has(nameOf(one)));
    for (const one of pending)
      log.info(
        { schema, migration: nameOf(one), safeForRunningVersion: one.safeForRunningVersion },
        'migration is pending',
      );
    // In an empty schema nothing of an older version can be at work.
    const unsafe = pending.filter((one) => !one.safeForRunningVersion).map(nameOf);
    if (unsafe.length && applied.size && !stopped)
      throw new Error(
        `${unsafe.join(', ')} would break the version that runs now: stop its services, then migrate with --stopped`,
      );
    for (let tries = 1; ; tries++) {
      try {
        const done = await source.runMigrations();
        await lock.query(readOnly(schema));
        log.info({ schema, migrations: done.map((migration) => migration.name) }, 'migrated');
        return;
      } catch (error) {
        if ((error as { code?: unknown }).code !== lockNotAvailable || tries === lockTries) throw error;
        log.warn({ schema, tries }, 'a migration waits for a lock that others hold');
        await new Promise((resolve) => setTimeout(resolve, lockPauseMs));
      }
    }
  } finally {
    await lock.query(`select pg_advisory_unlock_all()`);
    await lock.release();
    await source.destroy();
  }
}

/** Who may write the rows of a schema may not write what it has been through. */
const readOnly = (schema: string) => `
  do $$
  declare
    role text;
  begin
    for role in
      select distinct grantee from information_schema.role_table_grants
      where table_schema = '${schema}' and table_name = 'migration' and privilege_type <> 'SELECT' and grantee <> current_user
    loop
      execute format('revoke insert, update, delete, truncate on ${schema}.migration from %I', role);
    end loop;
  end $$`;

const nameOf = (migration: Migration): string => migration.name ?? migration.constructor.name;

async function appliedNames(queries: Queries, schema: string): Promise<ReadonlySet<string>> {
  const [found] = (await queries.query(`select to_regclass('${schema}.migration') is not null as made`)) as {
    made: boolean;
  }[];
  if (!found?.made) return new Set();
  const rows = (await queries.query(`select name from ${schema}.migration`)) as { name: string }[];
  return new Set(rows.map(({ name }) => name));
}

const missingObject = new Set(['42P01', '3F000']);
/** A role may see a schema only once it has been made and given to it. */
const insufficientPrivilege = '42501';

/**
 * The migrations that a version needs and the database has not had; more than it needs is fine. `unknown` while Postgres is
 * out of reach.
 */
export async function missingMigrations(database: Database, schema: Schema): Promise<readonly string[] | 'unknown'> {
  const needed = schema.migrations.map((migration) => nameOf(new migration()));
  try {
    const rows = await database
      .acrossSpaces('a schema is one for all Spaces')
      .query<{ name: string }>(
        statement(`schema.${schema.name}`, `select name from ${schema.name}.migration where name = any($1::text[])`),
        [needed],
      );
    const applied = new Set(rows.map(({ name }) => name));
    return needed.filter((name) => !applied.has(name));
  } catch (error) {
    if (isUnavailable(error)) return 'unknown';
    const { code } = error as { code?: unknown };
    if (missingObject.has(String(code)) || code === insufficientPrivilege) return needed;
    throw error;
  }
}
