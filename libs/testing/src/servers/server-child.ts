import { spawn, type ChildProcess, type SpawnOptions } from 'node:child_process';
import { closeSync, openSync, readFileSync } from 'node:fs';
import { waitFor } from '../wait-for';
import { freePort } from './free-port';
import { ServerError } from './server-error';

/** The process of a server of ours, which outlives us unless it is stopped. */
export class ServerChild {
  /** Resolves when it has ended, whoever ended it. */
  readonly exited: Promise<void>;

  private constructor(private readonly child: ChildProcess) {
    this.exited = new Promise((resolve) => {
      child.once('exit', () => resolve());
      child.once('error', () => resolve());
    });
  }

  static spawn(
    file: string,
    args: readonly string[],
    { logFile, ...options }: Pick<SpawnOptions, 'cwd' | 'uid' | 'gid' | 'env'> & { readonly logFile: string },
  ): ServerChild {
    const log = openSync(logFile, 'a');
    // Detached: Ctrl-C in the terminal goes to the whole process group, and the servers are to be the last to stop.
    const child = spawn(file, [...args], { ...options, detached: true, stdio: ['ignore', log, log] });
    closeSync(log);
    child.unref();
    return new ServerChild(child);
  }

  /** Undefined where it could not be started at all. */
  get pid(): number | undefined {
    return this.child.pid;
  }

  get hasEnded(): boolean {
    return this.child.exitCode !== null || this.child.signalCode !== null || this.child.pid === undefined;
  }

  /** Asks, waits, and is plain with one that does not end. */
  async stop(ask: NodeJS.Signals, insist: NodeJS.Signals, patienceMs: number): Promise<void> {
    this.child.kill(ask);
    const timer = setTimeout(() => this.child.kill(insist), patienceMs);
    await this.ended();
    clearTimeout(timer);
  }

  async stopAtOnce(signal: NodeJS.Signals): Promise<void> {
    this.child.kill(signal);
    await this.ended();
  }

  /** Nothing else may keep this process alive, and then it would end, successfully, in the middle of waiting. */
  ended(): Promise<void> {
    this.child.ref();
    return this.exited;
  }
}

export interface ServerStart {
  readonly name: string;
  readonly logFile: string;
  /** Without it, a free one. */
  readonly port: number | undefined;
  readonly timeoutMs: number;
  launch(port: number): ServerChild;
  /** Whether it takes clients. */
  isReady(child: ServerChild, port: number): boolean | Promise<boolean>;
  /** What its log says of why it does not start. */
  complaint(log: string): string;
}

const attempts = 3;

/** Between finding a free port and listening on it somebody else may take it: then the next one is tried. */
export async function startServer(start: ServerStart): Promise<{ child: ServerChild; pid: number; port: number }> {
  const { name, logFile } = start;
  for (let attempt = 1; ; attempt += 1) {
    const port = start.port ?? (await freePort());
    const child = start.launch(port);
    try {
      await waitFor(
        `${name} to accept connections`,
        async () => child.hasEnded || (await start.isReady(child, port)),
        start.timeoutMs,
      );
    } catch (error) {
      await child.stopAtOnce('SIGKILL');
      throw new ServerError(`${name} does not become ready; its log is ${logFile}.`, { cause: error });
    }
    if (!child.hasEnded && child.pid !== undefined) return { child, pid: child.pid, port };
    const log = readFileSync(logFile, 'utf8').slice(-2000);
    const portWasTaken = /could not bind|address already in use/i.test(log);
    if (start.port === undefined && portWasTaken && attempt < attempts) continue;
    throw new ServerError(`${name} does not start: ${start.complaint(log)} (its log is ${logFile}).`);
  }
}
