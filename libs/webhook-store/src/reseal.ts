import { secretContext, type SecretBox } from './secret-box';
import { statement, type Database, type Statement } from '@keyturn/platform/database';

const batch = 500;

/** Everything that is sealed, one column at a time: which rows another key has sealed, and the row that is written back. */
const sealedColumns = [
  ['webhooks.endpoint', 'secret_enc'],
  ['webhooks.endpoint', 'previous_secret_enc'],
  ['webhooks.endpoint', 'headers_enc'],
  ['webhooks.endpoint', 'signature_key_enc'],
  ['webhooks.endpoint', 'previous_signature_key_enc'],
  ['webhooks.idempotency', 'reply_enc'],
] as const;

interface SealedColumn {
  readonly find: Statement;
  /** Only where it is still what was read: a rotation at the same moment wins. */
  readonly write: Statement;
  readonly count: Statement;
}

/** $1 is what begins everything that the key of today has sealed. */
const columns: readonly SealedColumn[] = sealedColumns.map(([table, column]) => ({
  find: statement(
    `webhooks.reseal.find.${table.split('.')[1]}.${column}`,
    `select space_id, ${column} as sealed from ${table}
     where ${column} is not null and substring(${column} for length($1::bytea)) <> $1 limit $2`,
  ),
  write: statement(
    `webhooks.reseal.write.${table.split('.')[1]}.${column}`,
    `update ${table} set ${column} = $3 where space_id = $1 and ${column} = $2 returning space_id`,
  ),
  count: statement(
    `webhooks.reseal.count.${table.split('.')[1]}.${column}`,
    `select count(*)::int as left from ${table}
     where ${column} is not null and substring(${column} for length($1::bytea)) <> $1`,
  ),
}));

/**
 * Seals under the key of today what another one has sealed, while everything goes on: both keys open, and what is written is the
 * same secret. Called again until nothing is left, then the old key may go.
 */
export async function reseal(database: Database, box: SecretBox): Promise<{ resealed: number; left: number }> {
  const db = database.acrossSpaces('a key is the same for all Spaces');
  let resealed = 0;
  let left = 0;
  for (const column of columns) {
    const rows = await db.query<{ space_id: string; sealed: Buffer }>(column.find, [box.prefix, batch]);
    for (const { space_id, sealed } of rows) {
      const context = secretContext(space_id);
      const written = await db.query(column.write, [space_id, sealed, box.seal(box.open(sealed, context), context)]);
      resealed += written.length;
    }
    const [counted] = await db.query<{ left: number }>(column.count, [box.prefix]);
    left += counted?.left ?? 0;
  }
  return { resealed, left };
}
