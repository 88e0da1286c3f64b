import { randomBytes } from 'node:crypto';
import { onDatabase } from './on-database';

/** Set by the global set-up: the server of this run. */
const SERVER_URL = 'KEYTURN_TEST_DATABASE_URL';

export interface DatabaseTemplate {
  /** The template is made once per run under this name. */
  readonly name: string;
  /** Brings an empty database up to date. */
  migrate(url: string): Promise<void>;
}

export interface FreshDatabase {
  readonly url: string;
  drop(): Promise<void>;
}

/**
 * A database of its own for one test file: a copy of a migrated template, or an empty one without a template; on the server
 * of this run unless told.
 */
export async function freshDatabase(template?: DatabaseTemplate, server = testServerUrl()): Promise<FreshDatabase> {
  const source = template ? await templateDatabase(server, template) : 'template0';
  const name = `${runPrefix()}${randomBytes(6).toString('hex')}`;
  // A checkpoint per copy ("file_copy") costs more than the few hundred pages of a fresh schema.
  await onDatabase(server, (client) => client.query(`create database ${name} template ${source}`));
  return {
    url: withDatabase(server, name),
    drop: () =>
      onDatabase(server, (client) => client.query(`drop database if exists ${name} with (force)`)).then(
        () => undefined,
      ),
  };
}

/** From now on this file's databases are made on another server; undone by what it returns. */
export function useServer(url: string): () => void {
  const before = process.env[SERVER_URL];
  process.env[SERVER_URL] = url;
  return () => {
    process.env[SERVER_URL] = before;
  };
}

/** Drops what this run has made, on a server that outlives it. */
export async function dropRunDatabases(): Promise<void> {
  await onDatabase(testServerUrl(), async (client) => {
    const { rows } = await client.query<{ datname: string }>(
      'select datname from pg_database where starts_with(datname, $1)',
      [runPrefix()],
    );
    for (const { datname } of rows) await client.query(`drop database if exists ${datname} with (force)`);
  });
}

async function templateDatabase(server: string, template: DatabaseTemplate): Promise<string> {
  const name = `${runPrefix()}template_${template.name.replace(/\W/g, '_')}`;
  await onDatabase(server, async (client) => {
    // Two workers may want the same template at once: the second waits and finds it made.
    await client.query('select pg_advisory_lock(hashtext($1))', [name]);
    const made = await client.query('select 1 from pg_database where datname = $1', [name]);
    if (made.rowCount) return;
    const draft = `${name}_draft`;
    await client.query(`drop database if exists ${draft} with (force)`);
    await client.query(`create database ${draft} template template0`);
    await template.migrate(withDatabase(server, draft));
    // Only a whole template gets the name; and nobody may be connected while it is renamed or copied.
    await client.query('select pg_terminate_backend(pid) from pg_stat_activity where datname = $1', [draft]);
    await client.query(`alter database ${draft} rename to ${name}`);
  });
  return name;
}

function testServerUrl(): string {
  const url = process.env[SERVER_URL];
  if (!url) throw new Error(`${SERVER_URL} is not set: run the tests through Jest with this workspace's preset.`);
  return url;
}

/** What every database of this run begins with. */
function runPrefix(): string {
  return `kt_${process.env['KEYTURN_TEST_RUN'] ?? 'run'}_`;
}

function withDatabase(url: string, name: string): string {
  const changed = new URL(url);
  changed.pathname = `/${name}`;
  return changed.href;
}
