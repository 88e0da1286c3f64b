import { keyturnHome } from '@keyturn/testing';
import { readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { readRunFile } from './run-file';
import { readSecrets } from './secrets';

/** A receiver on this machine without TLS is what somebody trying the system has; the services' own defaults forbid both. */
export const loopbackReceivers = {
  WEBHOOK_ALLOW_HTTP: 'true',
  WEBHOOK_ALLOW_CIDRS: '127.0.0.0/8,::1/128',
} as const;

/**
 * The environment for a command or a further instance: what the caller set, and for what is missing the running system of
 * KEYTURN_HOME. So the same command works against a cluster, with nothing but its environment.
 */
export function environmentOfHome(env: NodeJS.ProcessEnv = process.env): NodeJS.ProcessEnv {
  const home = keyturnHome(env);
  const run = readRunFile(home);
  const secrets = readSecrets(home);
  const found = {
    ...(run ? { NATS_URL: run.natsUrl, DATABASE_URL: run.databaseUrl } : {}),
    ...(secrets ? { SECRETS_KEY: secrets.SECRETS_KEY, ADMIN_TOKEN: secrets.ADMIN_TOKEN } : {}),
  };
  const missing = Object.fromEntries(Object.entries(found).filter(([name]) => !given(env, name)));
  return { ...readServiceSettings(home), ...env, ...missing };
}

/** Set, or in a file that `<NAME>_FILE` names. */
const given = (env: NodeJS.ProcessEnv, name: string): boolean =>
  Boolean(env[name]?.trim()) || Boolean(env[`${name}_FILE`]?.trim());

const settingsFile = (home: string): string => path.join(home, 'settings.json');

/** What `npm start` gives its services beyond their defaults, so that a further instance behaves like the first. */
export function writeServiceSettings(home: string, env: NodeJS.ProcessEnv): void {
  const settings = Object.entries(env).filter(([name]) => name.startsWith('WEBHOOK_'));
  writeFileSync(settingsFile(home), `${JSON.stringify(Object.fromEntries(settings), null, 2)}\n`, { mode: 0o600 });
}

function readServiceSettings(home: string): Record<string, string> {
  try {
    return JSON.parse(readFileSync(settingsFile(home), 'utf8')) as Record<string, string>;
  } catch {
    return loopbackReceivers;
  }
}
