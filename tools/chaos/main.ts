import { randomInt } from 'node:crypto';
import { parseArgs } from 'node:util';
import { runChaos } from './chaos';
import { faultNames, type FaultName } from './faults';

/**
 * `npm run chaos`: a whole system that publishes and delivers while its processes are killed at random moments, and the proof
 * that nothing was lost. Exit code 1 when something was. Figures as JSON lines on stdout, progress and a summary on stderr.
 */
async function main(argv: readonly string[]): Promise<void> {
  const { values } = parseArgs({
    args: [...argv],
    options: {
      minutes: { type: 'string', default: '3' },
      seed: { type: 'string' },
      only: { type: 'string' },
      rate: { type: 'string', default: '50' },
      logs: { type: 'string' },
    },
  });
  const only = values.only?.split(',') ?? faultNames;
  const unknown = only.filter((name) => !faultNames.includes(name as FaultName));
  if (unknown.length) throw new Error(`there is no fault ${unknown.join(', ')}; there are ${faultNames.join(', ')}`);
  const ok = await runChaos({
    minutes: positive('minutes', values.minutes),
    perSecond: positive('rate', values.rate),
    seed: values.seed === undefined ? randomInt(2 ** 31) : positive('seed', values.seed),
    only: only as FaultName[],
    logFolder: values.logs,
  });
  process.exit(ok ? 0 : 1);
}

function positive(name: string, text: string): number {
  const number = Number(text);
  if (!(number > 0)) throw new Error(`--${name} is a number above 0`);
  return number;
}

main(process.argv.slice(2)).catch((error: unknown) => {
  process.stderr.write(`chaos: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}\n`);
  process.exit(1);
});
