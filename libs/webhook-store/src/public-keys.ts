import type { WebhookPublicKey } from '@keyturn/contracts';
import { statement, type Database } from '@keyturn/platform/database';

/** What verifies signatures that are made now: the current key, and one that is on its way out. $1 names the endpoint's set. */
const read = statement(
  'webhooks.endpoint.public_keys',
  `select signature_public_key, case when signature_scheme = 'v1' then previous_scheme_until end as until,
          case when previous_secret_until > now() then previous_signature_public_key end as previous_public_key,
          least(previous_secret_until, case when signature_scheme = 'v1' then previous_scheme_until end) as previous_until
   from webhooks.endpoint
   where public_keys_id = $1 and deleted_at is null and (signature_scheme = 'v1a' or previous_scheme_until > now())`,
);

interface PublicKeysRow {
  signature_public_key: string;
  until: Date | null;
  previous_public_key: string | null;
  previous_until: Date | null;
}

const publicKeysIdPattern = /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

/** The public keys that are good now, of the endpoint whose set has this name; undefined where there is none. */
export async function publicKeys(database: Database, keysId: string): Promise<WebhookPublicKey[] | undefined> {
  if (!publicKeysIdPattern.test(keysId)) return undefined;
  const [row] = await database
    .acrossSpaces('a receiver knows the name of a set of public keys and no Space')
    .query<PublicKeysRow>(read, [keysId]);
  if (!row) return undefined;
  const keys = [{ publicKey: row.signature_public_key, until: row.until?.toISOString() ?? null }];
  if (row.previous_public_key !== null)
    keys.push({ publicKey: row.previous_public_key, until: row.previous_until?.toISOString() ?? null });
  return keys;
}
