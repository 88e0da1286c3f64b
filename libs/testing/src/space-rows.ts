import type { Client } from 'pg';

/**
 * How many rows each table has of a Space, where it has any: of every table that names a Space, whatever tables there will be.
 * `spc_1` or `1`.
 */
export async function rowsOfSpace(client: Client, space: string): Promise<Record<string, number>> {
  const { rows: tables } = await client.query<{ name: string }>(
    `select format('%I.%I', nspname, relname) as name
     from pg_class c join pg_namespace n on n.oid = relnamespace join pg_attribute a on attrelid = c.oid
     where relkind in ('r', 'p') and not relispartition and attname = 'space_id' and not attisdropped
       and nspname in ('access', 'data', 'webhooks')
     order by 1`,
  );
  if (tables.length === 0) throw new Error('there is no table that names a Space');
  const found: Record<string, number> = {};
  for (const { name } of tables) {
    const { rows } = await client.query<{ count: number }>(
      `select count(*)::int as count from ${name} where space_id = $1`,
      [space.replace('spc_', '')],
    );
    if (rows[0]?.count) found[name] = rows[0].count;
  }
  return found;
}
