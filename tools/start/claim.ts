import { end, isAlive, processIdentity, type ProcessIdentity, services } from '@keyturn/testing';
import { readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { readRunFile, removeRunFile } from '../home/run-file';
import { CannotStart, say } from './sentence';

/** Everything that one `npm start` runs, by name, written down the moment it runs: for the next one, should it be killed. */
interface Ledger {
  starter: ProcessIdentity;
  processes: Record<string, ProcessIdentity>;
}

/** A claim that is being written is this young at most. */
const WRITING_MS = 1_000;
/** A service promises to be gone within 30 s of a signal. */
const PATIENCE_MS = 32_000;

/** The right to run the system of one KEYTURN_HOME: one `npm start` has it at a time. */
export class Claim {
  private constructor(
    private readonly file: string,
    private readonly ledger: Ledger,
  ) {}

  /** Says where the first one runs, if there is one; ends what a killed one left behind. */
  static async take(home: string): Promise<Claim> {
    const file = path.join(home, 'start.json');
    const starter = processIdentity(process.pid);
    if (!starter) throw new CannotStart('This process cannot see itself in the list of processes.');
    const ledger: Ledger = { starter, processes: {} };
    for (;;) {
      try {
        writeFileSync(file, JSON.stringify(ledger), { mode: 0o600, flag: 'wx' });
        return new Claim(file, ledger);
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
      }
      const other = readLedger(file);
      if (other && isAlive(other.starter)) throw new CannotStart(whereItRuns(home, other.starter.pid));
      const age = Date.now() - (statSync(file, { throwIfNoEntry: false })?.mtimeMs ?? 0);
      if (!other && age < WRITING_MS) {
        await delay(50);
        continue;
      }
      // Only one of several that find the same dead claim can move it away.
      const taken = `${file}.${process.pid}`;
      try {
        renameSync(file, taken);
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code === 'ENOENT') continue;
        throw error;
      }
      if (other) await endLeftBehind(other);
      await removeRunFile(home);
      rmSync(taken, { force: true });
    }
  }

  record(name: string, pid: number): void {
    const identity = processIdentity(pid);
    if (identity) this.ledger.processes[name] = identity;
    this.write();
  }

  release(): void {
    rmSync(this.file, { force: true });
  }

  private write(): void {
    const draft = `${this.file}.draft`;
    writeFileSync(draft, JSON.stringify(this.ledger), { mode: 0o600 });
    renameSync(draft, this.file);
  }
}

function readLedger(file: string): Ledger | undefined {
  try {
    return JSON.parse(readFileSync(file, 'utf8')) as Ledger;
  } catch {
    return undefined;
  }
}

function whereItRuns(home: string, pid: number): string {
  const run = readRunFile(home);
  return run
    ? `Keyturn runs already at ${run.baseUrl} (process ${pid}, from ${home}); stop it there, or set KEYTURN_HOME and GATEWAY_PORT to run another.`
    : `Keyturn is just being started or stopped from ${home} (process ${pid}).`;
}

/** Services first: they still need their servers to finish what they hold. */
async function endLeftBehind({ processes }: Ledger): Promise<void> {
  const alive = Object.entries(processes).filter(([, identity]) => isAlive(identity));
  if (alive.length === 0) return;
  say(`Stopping what a killed start left behind (${alive.map(([name]) => name).join(', ')}) …`);
  const isService = ([name]: [string, unknown]): boolean => services.some((service) => service === name);
  await Promise.all(alive.filter(isService).map(([, identity]) => end(identity, 'SIGINT', PATIENCE_MS)));
  await Promise.all(
    alive.filter((entry) => !isService(entry)).map(([, identity]) => end(identity, 'SIGINT', PATIENCE_MS)),
  );
}
