import { keyturnHome, ServerError } from '@keyturn/testing';
import { accessSync, constants, mkdirSync } from 'node:fs';
import type { RunFile } from '../home/run-file';
import { Claim } from './claim';
import { CannotStart, say, Stopped } from './sentence';
import { System } from './system';

const ONE_CTRL_C_MS = 1_000;

/** `npm start`: brings Keyturn up and keeps it up until Ctrl-C. */
async function main(): Promise<void> {
  const home = writableHome();
  const system = new System(home, await Claim.take(home), process.env);
  const asked = signalled(() => system.stopAtOnce());
  const starting = system.start();
  try {
    const run = await Promise.race([starting, asked]);
    if (run) {
      welcome(run);
      await asked;
    }
    say('Stopping …');
  } finally {
    await system.stop();
  }
  say('Stopped.');
}

function writableHome(): string {
  const home = keyturnHome();
  try {
    mkdirSync(home, { recursive: true });
    accessSync(home, constants.W_OK);
    return home;
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    throw new CannotStart(`Cannot write to ${home} (${code}); set KEYTURN_HOME to a folder that you may write to.`);
  }
}

/**
 * Resolves at the first signal to stop; the second one does not wait. The services and servers are in sessions of their
 * own, so Ctrl-C reaches only us.
 */
function signalled(atOnce: () => Promise<void>): Promise<undefined> {
  return new Promise((resolve) => {
    let first = 0;
    const hear = (): void => {
      // npm passes on a Ctrl-C that the terminal has given us already: that is still the first.
      if (first === 0) first = Date.now();
      else if (Date.now() - first > ONE_CTRL_C_MS) void atOnce().then(() => process.exit(130));
      resolve(undefined);
    };
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, hear);
  });
}

function welcome({ baseUrl, demo }: RunFile): void {
  const curl = `curl -H 'X-API-Key: ${demo.apiKey}'`;
  process.stdout.write(
    `
Keyturn runs at ${baseUrl} (Ctrl-C stops it).
Demo key of the Space "${demo.slug}": ${demo.apiKey}

${curl} '${baseUrl}/api/v1/files?pageSize=2&sort=closingDate&order=desc'
${curl} '${baseUrl}/api/v1/contacts?search=smith'
${curl} -H 'Content-Type: application/json' -d '{"name":"Try","url":"http://127.0.0.1:4000/","events":["file.updated"]}' ${baseUrl}/api/v1/webhooks

`,
  );
}

// A terminal that has gone away is no reason to leave the servers behind.
process.stdout.on('error', () => undefined);
process.stderr.on('error', () => undefined);

main().then(
  () => process.exit(0),
  (error: unknown) => {
    const known = error instanceof CannotStart || error instanceof ServerError || error instanceof Stopped;
    say(known ? error.message : String(error instanceof Error ? error.stack : error));
    process.exit(1);
  },
);
