// Jest runs this file without the aliases of its configuration, so its imports are relative all the way down.
import { randomBytes } from 'node:crypto';
import { chmodSync } from 'node:fs';
import path from 'node:path';
import { LeashedFolder } from './servers/leash';
import { natsProgram } from './servers/nats-program';
import { PostgresServer } from './servers/postgres';
import { testRun } from './test-run';

/** Once per Jest run: a PostgreSQL (unless `DATABASE_URL` names one) and the way to nats-server. */
const globalSetup = async (): Promise<void> => {
  const say = (sentence: string): void => void process.stderr.write(`${sentence}\n`);
  process.env['KEYTURN_TEST_RUN'] = randomBytes(4).toString('hex');
  process.env['KEYTURN_TEST_NATS_SERVER'] = await natsProgram(say);
  const given = process.env['DATABASE_URL'];
  if (given) {
    process.env['KEYTURN_TEST_DATABASE_URL'] = given;
    return;
  }
  const folder = LeashedFolder.make('postgres');
  // As root, PostgreSQL runs under another account, which has to enter.
  chmodSync(folder.path, 0o755);
  const server = await PostgresServer.start({
    dataDir: path.join(folder.path, 'data'),
    logFile: path.join(folder.path, 'postgres.log'),
    password: randomBytes(12).toString('hex'),
    durable: false,
  });
  testRun.postgres = { server, folder };
  process.env['KEYTURN_TEST_DATABASE_URL'] = server.url;
};

module.exports = globalSetup;
