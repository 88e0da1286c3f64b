import type { Client } from 'pg';

/** In which tables of our schemas a text stands, in whatever column, whatever its case. */
export async function tablesWith(sql: Client, text: string): Promise<string[]> {
  const found: string[] = [];
  const { rows } = await sql.query<{ table: string; bytes: string[] }>(
    `select c.oid::regclass::text as table,
            array(select quote_ident(attname) from pg_attribute a
                  where a.attrelid = c.oid and a.attnum > 0 and not attisdropped and atttypid = 'bytea'::regtype) as bytes
     from pg_class c join pg_namespace n on n.oid = relnamespace
     where relkind = 'r' and nspname in ('access', 'data', 'webhooks')`,
  );
  for (const { table, bytes } of rows) {
    const texts = ['r::text', ...bytes.map((column) => `encode(r.${column}, 'escape')`)].join(', ');
    const hit = await sql.query(
      `select from ${table} r where position(lower($1) in lower(concat(${texts}))) > 0 limit 1`,
      [text],
    );
    if (hit.rowCount) found.push(table);
  }
  return found;
}
