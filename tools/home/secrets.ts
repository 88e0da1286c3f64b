import { randomBytes } from 'node:crypto';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';

/** Made once per KEYTURN_HOME and kept there (mode 600): with another `SECRETS_KEY` stored signing secrets are lost. */
export interface Secrets {
  readonly SECRETS_KEY: string;
  readonly ADMIN_TOKEN: string;
  readonly postgresPassword: string;
}

const fileOf = (home: string): string => path.join(home, 'secrets.json');

export function readSecrets(home: string): Secrets | undefined {
  try {
    return JSON.parse(readFileSync(fileOf(home), 'utf8')) as Secrets;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}

export function ensureSecrets(home: string): Secrets {
  const kept = readSecrets(home);
  if (kept) return kept;
  const secrets: Secrets = {
    SECRETS_KEY: randomBytes(32).toString('base64'),
    ADMIN_TOKEN: randomBytes(32).toString('base64url'),
    postgresPassword: randomBytes(18).toString('base64url'),
  };
  mkdirSync(home, { recursive: true });
  writeFileSync(fileOf(home), `${JSON.stringify(secrets, null, 2)}\n`, { mode: 0o600, flag: 'wx' });
  return secrets;
}
