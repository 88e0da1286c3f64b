import { run } from 'jest';
import { workspaceRoot } from '@keyturn/testing';

/**
 * `npm test`: every test of every project, on servers that Jest's set-up starts. The door of all commands has built the
 * services by now, which the end-to-end tests run as processes. Arguments go to Jest.
 */
process.chdir(workspaceRoot());

// A process that ends before Jest has said how it went must not pass for a success.
let isOver = false;
process.on('exit', () => {
  if (!isOver) process.exitCode = 1;
});
void run(['--maxWorkers=2', ...process.argv.slice(2)]).then(() => (isOver = true));
