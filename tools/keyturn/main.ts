import { environmentOfHome } from '../home/environment';
import { runCommandLine } from './command-line';

const stopped = new AbortController();
for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.once(signal, () => {
    stopped.abort();
    // A command that does not listen for it ends like any other program.
    setTimeout(() => process.exit(130), 500).unref();
  });
}

void runCommandLine(process.argv.slice(2), {
  env: environmentOfHome(),
  stdin: process.stdin,
  out: (text) => void process.stdout.write(text),
  err: (text) => void process.stderr.write(text),
  isInteractive: process.stderr.isTTY === true,
  signal: stopped.signal,
}).then((code) => {
  // What is still on its way to a pipe is written first; a connection that still tries to open holds nothing up.
  process.stdout.write('', () => process.stderr.write('', () => process.exit(code)));
});
