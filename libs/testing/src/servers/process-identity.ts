import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';

/** A process, told apart from a later one that happens to get the same pid. */
export interface ProcessIdentity {
  readonly pid: number;
  /** When it started, in the system's own words; opaque. */
  readonly started: string;
}

/** The identity of a living process; undefined when there is none (a zombie counts as none). */
export function processIdentity(pid: number): ProcessIdentity | undefined {
  const started = process.platform === 'linux' ? startedOnLinux(pid) : startedElsewhere(pid);
  return started === undefined ? undefined : { pid, started };
}

export function isAlive(identity: ProcessIdentity): boolean {
  return processIdentity(identity.pid)?.started === identity.started;
}

/** The pids of a process's own children. */
export function childrenOf(parent: number): number[] {
  if (process.platform === 'linux')
    return readdirSync('/proc')
      .map(Number)
      .filter((pid) => pid > 0 && statOnLinux(pid)?.[1] === String(parent));
  const processes = execFileSync('ps', ['-A', '-o', 'pid=,ppid='], { encoding: 'utf8', stdio: 'pipe' });
  return processes
    .split('\n')
    .map((line) => line.trim().split(/\s+/).map(Number))
    .flatMap(([pid, ppid]) => (pid !== undefined && ppid === parent ? [pid] : []));
}

/** What the kernel says of a process, from its state on; undefined when there is none. */
function statOnLinux(pid: number): string[] | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
    // The second field is the command's name in parentheses and may hold anything, so the fields are counted behind it.
    return stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  } catch {
    return undefined;
  }
}

function startedOnLinux(pid: number): string | undefined {
  const fields = statOnLinux(pid);
  const state = fields?.[0];
  return state === 'Z' || state === 'X' ? undefined : fields?.[19];
}

function startedElsewhere(pid: number): string | undefined {
  try {
    return (
      execFileSync('ps', ['-o', 'lstart=', '-p', String(pid)], { encoding: 'utf8', stdio: 'pipe' }).trim() || undefined
    );
  } catch {
    return undefined;
  }
}

/** The whole command line of a living process, to see whether it is one of ours; empty when there is none. */
export function commandLine(pid: number): string {
  if (!processIdentity(pid)) return '';
  try {
    if (process.platform === 'linux') return readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ');
    return execFileSync('ps', ['-o', 'command=', '-p', String(pid)], { encoding: 'utf8', stdio: 'pipe' });
  } catch {
    return '';
  }
}

/** Ends a process that is not our child: orderly, and by force once `patienceMs` are over. */
export async function end(identity: ProcessIdentity, signal: NodeJS.Signals, patienceMs: number): Promise<void> {
  const deadline = Date.now() + patienceMs;
  for (let next = signal; isAlive(identity); next = 'SIGKILL') {
    try {
      process.kill(identity.pid, next);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
    }
    while (isAlive(identity) && (next === 'SIGKILL' || Date.now() < deadline)) await delay(20);
  }
}
