import { existsSync, readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { runMigrations, type Schema } from '@keyturn/platform/database';
import { Log } from '@keyturn/platform/logs';
import { Client } from 'pg';
import { freshDatabase } from './databases';

/** A schema's migrations, and what versions that ended with one of them did. */
export interface MigrationChain extends Schema {
  /** What a version with this migration writes beyond what one without it does: SQL, by the migration's name, `n` makes it anew. */
  readonly writes: Readonly<Record<string, (n: number) => string>>;
  /** Holds `<migration>.json`, as `npm run statements` made it. */
  readonly statementsFolder: string;
}

export const namesOf = ({ migrations }: Schema): string[] =>
  migrations.map((migration) => new migration().name ?? migration.name);

/**
 * Takes a database as the version left it whose newest migration is `point`, with its data, through every later migration,
 * and says what is wrong afterwards: data that is not as it was, and, as long as every step was called safe for a running
 * version, statements of that version that no longer stand and writes that are refused.
 */
export async function problemsFrom(point: string, chain: MigrationChain): Promise<string[]> {
  const names = namesOf(chain);
  const start = names.indexOf(point);
  const database = await freshDatabase();
  const client = new Client({ connectionString: database.url });
  const migrateTo = (index: number) =>
    runMigrations({
      url: database.url,
      schema: chain.name,
      migrations: chain.migrations.slice(0, index + 1),
      log: Log.create('test', 'silent'),
      stopped: true,
    });
  const write = async (n: number) => {
    for (const name of names.slice(0, start + 1)) await client.query(chain.writes[name]?.(n) ?? '');
  };
  try {
    await migrateTo(start);
    await client.connect();
    await write(1);
    let before = await contents(client, chain.name);
    const problems = Object.values(before).some((rows) => rows !== '[]') ? [] : [`${point}: nothing is written`];
    let safe = true;
    for (let index = start + 1; index < names.length; index++) {
      const step = names[index] as string;
      await migrateTo(index);
      safe &&= new (chain.migrations[index] as Schema['migrations'][number])().safeForRunningVersion;
      const after = await contents(client, chain.name, Object.keys(before));
      for (const [columns, rows] of Object.entries(before))
        if (after[columns] !== rows && (safe || after[columns] !== undefined))
          problems.push(`${step}: ${columns} is not as ${point} left it`);
      if (!safe) continue;
      for (const [name, text] of Object.entries(statementsOf(chain, point)))
        await client.query(`prepare older as ${text}`).then(
          () => client.query('deallocate older'),
          (error: Error) => problems.push(`${step}: ${name} of ${point}: ${error.message}`),
        );
      await write(index + 1).catch((error: Error) => problems.push(`${step}: ${point} cannot write: ${error.message}`));
      before = await contents(client, chain.name, Object.keys(before));
    }
    return problems;
  } finally {
    await client.end();
    await database.drop();
  }
}

/** The rows of every table, by its name and columns; of those that are given, where they are still there. */
async function contents(client: Client, schema: string, wanted?: readonly string[]): Promise<Record<string, string>> {
  const { rows: tables } = await client.query<{ name: string; columns: string[] }>(
    `select format('%I.%I', nspname, relname) as name,
            array_agg(quote_ident(attname)::text order by attnum) as columns
     from pg_class c join pg_namespace n on n.oid = relnamespace join pg_attribute a on attrelid = c.oid
     where nspname = $1 and relkind in ('r', 'p') and not relispartition and relname <> 'migration'
       and attnum > 0 and not attisdropped
     group by 1`,
    [schema],
  );
  const asked = wanted ?? tables.map(({ name, columns }) => `${name} (${columns.join(', ')})`);
  const found: Record<string, string> = {};
  for (const text of asked) {
    const [, name = '', list = ''] = /^(\S+) \((.*)\)$/.exec(text) ?? [];
    const there = tables.find((table) => table.name === name)?.columns ?? [];
    if (!list.split(', ').every((column) => there.includes(column))) continue;
    const { rows } = await client.query<{ content: string }>(
      `select coalesce(jsonb_agg(to_jsonb(r) order by to_jsonb(r)::text), '[]')::text as content
       from (select ${list} from ${name}) r`,
    );
    found[text] = rows[0]?.content ?? '';
  }
  return found;
}

/** The statements of a version, where they were written down; utility statements stand in no table's way. */
export function statementsOf({ statementsFolder }: MigrationChain, point: string): Record<string, string> {
  const file = path.join(statementsFolder, `${point}.json`);
  if (!existsSync(file)) return {};
  const all = JSON.parse(readFileSync(file, 'utf8')) as Record<string, string>;
  return Object.fromEntries(
    Object.entries(all).filter(([, text]) => /^\s*(with|select|insert|update|delete|merge|values)\b/i.test(text)),
  );
}

/** Migrations for which statements have been written down. */
export const writtenDown = ({ statementsFolder }: MigrationChain): string[] =>
  readdirSync(statementsFolder).map((file) => path.basename(file, '.json'));
