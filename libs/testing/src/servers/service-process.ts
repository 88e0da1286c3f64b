import { fork, type ChildProcess } from 'node:child_process';
import { closeSync, existsSync, mkdirSync, openSync, readFileSync, statSync } from 'node:fs';
import path from 'node:path';
import { workspaceRoot } from '../workspace';
import { ServerError } from './server-error';

/** The four deployables. A system is started in this order, and stopped in the reverse. */
export const services = ['data-service', 'webhook-service', 'dispatcher', 'api-gateway'] as const;
export type ServiceName = (typeof services)[number];

/** What a service tells its parent once it is ready. */
export interface Ready {
  readonly pid: number;
  readonly managementUrl: string;
  /** Only of a service with a door for the outside. */
  readonly url?: string;
}

export interface ServiceOptions {
  readonly env: NodeJS.ProcessEnv;
  /** Where its output goes. */
  readonly logFile: string;
}

const START_TIMEOUT_MS = 30_000;
/** A service promises to be gone within 30 s of SIGTERM. */
const STOP_TIMEOUT_MS = 32_000;

/** The built program of a service. */
export function serviceProgram(name: ServiceName): string {
  const program = path.join(workspaceRoot(), 'dist/apps', name, 'main.js');
  if (!existsSync(program)) throw new ServerError(`${name} is not built; run npm run build.`);
  return program;
}

/** One instance of a built service, as a child process that outlives us unless it is stopped. */
export class ServiceProcess {
  readonly pid: number;
  /** Resolves when the process has ended, whoever ended it. */
  readonly exited: Promise<void>;
  private readonly readiness: Promise<Ready>;

  private constructor(
    readonly name: ServiceName,
    private readonly child: ChildProcess,
    private readonly logFile: string,
    logStart: number,
  ) {
    this.pid = child.pid ?? 0;
    this.exited = new Promise((resolve) => {
      child.once('exit', () => resolve());
      child.once('error', () => resolve());
    });
    this.readiness = new Promise((resolve, reject) => {
      child.on('message', (message) => {
        if (isReady(message)) resolve(message);
      });
      void this.exited.then(() =>
        reject(new ServerError(`${name} does not start: ${lastWords(logFile, logStart)} (its log is ${logFile}).`)),
      );
    });
    // Whoever waits for it hears of the failure; a process that is stopped before it is ready has nobody waiting.
    this.readiness.catch(() => undefined);
  }

  /** Starts it and returns at once, so that the caller knows the pid from the first moment; see {@link ready}. */
  static launch(name: ServiceName, options: ServiceOptions): ServiceProcess {
    const program = serviceProgram(name);
    const { log, start } = openLog(options.logFile);
    // Detached: Ctrl-C goes to a terminal's whole process group, but services are stopped in order.
    const child = fork(program, [], {
      cwd: workspaceRoot(),
      env: options.env,
      execArgv: ['--enable-source-maps'],
      detached: true,
      stdio: ['ignore', log, log, 'ipc'],
    });
    closeSync(log);
    return new ServiceProcess(name, child, options.logFile, start);
  }

  /** Null while it runs, and where a signal ended it. */
  get exitCode(): number | null {
    return this.child.exitCode;
  }

  /** Ends the process if it is not ready within so long from now. */
  async ready(): Promise<Ready> {
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<never>((_resolve, reject) => {
      timer = setTimeout(() => {
        reject(
          new ServerError(`${this.name} is not ready within ${START_TIMEOUT_MS / 1000} s; its log is ${this.logFile}.`),
        );
        this.child.kill('SIGKILL');
      }, START_TIMEOUT_MS);
    });
    try {
      return await Promise.race([this.readiness, late]);
    } finally {
      clearTimeout(timer);
    }
  }

  signal(signal: NodeJS.Signals): void {
    this.child.kill(signal);
  }

  /** Orderly, with `signal`; by force when it does not keep its promise. */
  async stop(signal: 'SIGTERM' | 'SIGINT' = 'SIGINT'): Promise<void> {
    this.child.kill(signal);
    const timer = setTimeout(() => this.child.kill('SIGKILL'), STOP_TIMEOUT_MS);
    await this.exited;
    clearTimeout(timer);
  }

  /** `kill -9`. */
  async stopAtOnce(): Promise<void> {
    this.child.kill('SIGKILL');
    await this.exited;
  }
}

export interface MigrationOptions extends ServiceOptions {
  readonly signal?: AbortSignal;
}

/** Whoever migrates by these runs no service meanwhile. */
const migrateWords = ['migrate', '--stopped'];

/** Brings every schema (and the streams) to today's form. All at once: the services see to it that only one migrates. */
export async function migrateAll(optionsOf: (name: ServiceName) => MigrationOptions): Promise<void> {
  const results = await Promise.allSettled(services.map((name) => migrate(name, optionsOf(name))));
  for (const result of results) if (result.status === 'rejected') throw result.reason;
}

/** `main.js migrate`. */
function migrate(name: ServiceName, { env, logFile, signal }: MigrationOptions): Promise<void> {
  const { log, start } = openLog(logFile);
  const child = fork(serviceProgram(name), migrateWords, {
    cwd: workspaceRoot(),
    env,
    execArgv: ['--enable-source-maps'],
    stdio: ['ignore', log, log, 'ipc'],
    ...(signal ? { signal } : {}),
  });
  closeSync(log);
  return new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('exit', (code) => {
      if (code === 0) resolve();
      else
        reject(
          new ServerError(`The migration of ${name} failed: ${lastWords(logFile, start)} (its log is ${logFile}).`),
        );
    });
  });
}

function openLog(logFile: string): { log: number; start: number } {
  mkdirSync(path.dirname(logFile), { recursive: true });
  const log = openSync(logFile, 'a');
  return { log, start: statSync(logFile).size };
}

function isReady(message: unknown): message is Ready {
  return typeof message === 'object' && message !== null && (message as { type?: unknown }).type === 'ready';
}

/** The last thing a process said, as a sentence for people: log lines are JSON, wrong settings plain text. */
function lastWords(logFile: string, start: number): string {
  const text = readFileSync(logFile).subarray(start).toString('utf8').trim();
  const line = text.split('\n').at(-1) ?? '';
  try {
    const { error, message } = JSON.parse(line) as { error?: string; message?: string };
    return [message, error?.split('\n')[0]].filter(Boolean).join(': ');
  } catch {
    return line || 'it says nothing';
  }
}
