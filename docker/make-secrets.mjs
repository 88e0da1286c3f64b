/** Makes the secrets of a laptop's system once, at random, so that none stands in the repository. */
import { randomBytes } from 'node:crypto';
import { existsSync, writeFileSync } from 'node:fs';
import path from 'node:path';

const folder = process.argv[2];
const password = randomBytes(24).toString('hex');
const secrets = {
  'postgres-password': password,
  'database-url': `postgres://keyturn:${password}@postgres:5432/keyturn`,
  'secrets-key': randomBytes(32).toString('base64'),
  'admin-token': randomBytes(32).toString('base64url'),
};
// All or none: the password stands in two of them, and Postgres has kept the first one it saw.
if (existsSync(path.join(folder, 'admin-token'))) process.exit(0);
for (const [name, value] of Object.entries(secrets)) writeFileSync(path.join(folder, name), value, { mode: 0o444 });
