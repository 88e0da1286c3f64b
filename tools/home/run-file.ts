import { closeSync, openSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import path from 'node:path';

/** What scripts may rely on while the system runs: `run.json` of KEYTURN_HOME (DESIGN §5). */
export interface RunFile {
  baseUrl: string;
  natsUrl: string;
  databaseUrl: string;
  /** By app; further instances of one as `api-gateway#2`. */
  services: Record<string, RunningService>;
  /** Only those that `npm start` started. */
  servers: { postgres?: { pid: number }; nats?: { pid: number } };
  demo: Demo;
}

export interface RunningService {
  pid: number;
  managementUrl: string;
}

export interface Demo {
  spaceId: string;
  slug: string;
  ownerEmail: string;
  ownerPassword: string;
  apiKey: string;
}

const LOCK_RETRY_MS = 5;
/** A change takes a millisecond, so waiting for it may block; a lock older than this belongs to somebody who was killed. */
const LOCK_STALE_MS = 3_000;

const fileOf = (home: string): string => path.join(home, 'run.json');

export function readRunFile(home: string): RunFile | undefined {
  try {
    return JSON.parse(readFileSync(fileOf(home), 'utf8')) as RunFile;
  } catch {
    return undefined;
  }
}

export function writeRunFile(home: string, run: RunFile): void {
  underLock(home, () => replace(home, run));
}

/** Changes the file of a running system; without one there is nothing to change. Several processes may do so at once. */
export function changeRunFile(home: string, change: (run: RunFile) => void): void {
  underLock(home, () => {
    const run = readRunFile(home);
    if (!run) return;
    change(run);
    replace(home, run);
  });
}

export function removeRunFile(home: string): void {
  underLock(home, () => rmSync(fileOf(home), { force: true }));
}

/** By rename, so that nobody ever reads half a file. */
function replace(home: string, run: RunFile): void {
  const draft = `${fileOf(home)}.${process.pid}`;
  writeFileSync(draft, `${JSON.stringify(run, null, 2)}\n`, { mode: 0o600 });
  renameSync(draft, fileOf(home));
}

function underLock(home: string, work: () => void): void {
  const lock = `${fileOf(home)}.lock`;
  while (!acquire(lock)) Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, LOCK_RETRY_MS);
  try {
    work();
  } finally {
    rmSync(lock, { force: true });
  }
}

function acquire(lock: string): boolean {
  try {
    closeSync(openSync(lock, 'wx'));
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
    const made = statSync(lock, { throwIfNoEntry: false })?.mtimeMs;
    if (made !== undefined && Date.now() - made > LOCK_STALE_MS) rmSync(lock, { force: true });
    return false;
  }
}
