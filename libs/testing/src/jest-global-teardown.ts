import { dropRunDatabases } from './databases';
import { testRun } from './test-run';

const globalTeardown = async (): Promise<void> => {
  if (!testRun.postgres) return dropRunDatabases();
  const { server, folder } = testRun.postgres;
  await server.stopAtOnce();
  folder.remove();
};

module.exports = globalTeardown;
