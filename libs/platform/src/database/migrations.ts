import type { MigrationInterface } from 'typeorm';
import type { Log } from '../logs';

export type MigrationClass = new () => MigrationInterface;

/**
 * Brings one schema to today's form. Forward only, each migration in a transaction of its own; two that start together are
 * a normal case, so an advisory lock makes the second wait and find nothing to do.
 * Refuses a database whose text functions do not know letters beyond ASCII: search folds case (DESIGN §3).
 */
export async function runMigrations(options: {
  url: string;
  schema: string;
  migrations: readonly MigrationClass[];
  log: Log;
}): Promise<void> {
  const { url, schema, migrations, log } = options;
  // Only here: a service that serves has no use for it, and it would cost each of them memory and time to start.
  const { DataSource } = await import('typeorm');
  const source = new DataSource({
    type: 'postgres',
    url,
    schema,
    migrations: [...migrations],
    migrationsTableName: 'migration',
    migrationsTransactionMode: 'each',
    applicationName: `keyturn migrate ${schema}`,
    extra: { max: 2 },
  });
  await source.initialize();
  const lock = source.createQueryRunner();
  try {
    await lock.query(`select pg_advisory_lock(hashtext('keyturn.migrate'))`);
    const [folds] = (await lock.query(`select lower('ÄÉØ') = 'äéø' as folds`)) as { folds: boolean }[];
    if (!folds?.folds)
      throw new Error(
        'the database does not fold the case of non-ASCII letters: create it with a UTF-8 locale such as C.UTF-8',
      );
    await lock.query(`create schema if not exists ${schema}`);
    const done = await source.runMigrations();
    log.info({ schema, migrations: done.map((migration) => migration.name) }, 'migrated');
  } finally {
    await lock.query(`select pg_advisory_unlock_all()`);
    await lock.release();
    await source.destroy();
  }
}
