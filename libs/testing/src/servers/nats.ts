import { spawn, type ChildProcess } from 'node:child_process';
import { closeSync, existsSync, mkdirSync, openSync, readFileSync } from 'node:fs';
import { connect } from 'node:net';
import path from 'node:path';
import { waitFor } from '../wait-for';
import { freePort } from './free-port';
import { commandLine, end, processIdentity } from './process-identity';
import { ServerError } from './server-error';

const START_TIMEOUT_MS = 15_000;
const STOP_TIMEOUT_MS = 10_000;

export interface NatsOptions {
  /** The `nats-server` program. */
  readonly program: string;
  /** JetStream's files. */
  readonly storeDir: string;
  readonly logFile: string;
  /** Where it writes its pid. */
  readonly pidFile: string;
  /** Without it, a free one. */
  readonly port?: number;
  /** Accounts and permissions, for example; the addresses and folders above hold beside it. */
  readonly configFile?: string;
}

/** A nats-server of ours with JetStream on disk, as a child process that outlives us unless it is stopped. */
export class NatsServer {
  private constructor(
    readonly pid: number,
    readonly port: number,
    readonly url: string,
    /** Resolves when the server has ended, whoever ended it. */
    readonly exited: Promise<void>,
    private readonly child: ChildProcess,
  ) {}

  static async start(options: NatsOptions): Promise<NatsServer> {
    mkdirSync(options.storeDir, { recursive: true });
    await endPredecessor(options);
    for (let attempt = 1; ; attempt += 1) {
      const port = options.port ?? (await freePort());
      const { child, exited } = launch(options, port);
      const ended = (): boolean => child.exitCode !== null || child.signalCode !== null || child.pid === undefined;
      try {
        await waitFor('nats-server to accept connections', async () => ended() || greets(port), START_TIMEOUT_MS);
      } catch (error) {
        child.kill('SIGKILL');
        throw new ServerError(`nats-server does not become ready; its log is ${options.logFile}.`, { cause: error });
      }
      if (!ended() && child.pid !== undefined)
        return new NatsServer(child.pid, port, `nats://127.0.0.1:${port}`, exited, child);
      const log = readFileSync(options.logFile, 'utf8').slice(-2000);
      if (options.port === undefined && log.includes('address already in use') && attempt < 3) continue;
      const complaint = log.split('\n').filter((line) => line.includes('[FTL]') || line.includes('[ERR]'));
      throw new ServerError(
        `nats-server does not start: ${complaint.at(-1)?.replace(/^.*\] /, '') ?? 'it says nothing'} (its log is ${options.logFile}).`,
      );
    }
  }

  async stop(): Promise<void> {
    this.child.kill('SIGTERM');
    const timer = setTimeout(() => this.child.kill('SIGKILL'), STOP_TIMEOUT_MS);
    await this.ended();
    clearTimeout(timer);
  }

  /** Ends at once, as in a crash. */
  async stopAtOnce(): Promise<void> {
    this.child.kill('SIGKILL');
    await this.ended();
  }

  /** Nothing else may keep this process alive, and then it would end, successfully, in the middle of waiting. */
  private ended(): Promise<void> {
    this.child.ref();
    return this.exited;
  }
}

/** A server that a killed process of ours left running on this folder: two on one store would spoil it. */
async function endPredecessor({ pidFile, storeDir }: NatsOptions): Promise<void> {
  const pid = existsSync(pidFile) ? Number(readFileSync(pidFile, 'utf8')) : 0;
  const identity = pid > 0 ? processIdentity(pid) : undefined;
  if (identity && commandLine(identity.pid).includes(storeDir)) await end(identity, 'SIGTERM', STOP_TIMEOUT_MS);
}

function launch(options: NatsOptions, port: number): { child: ChildProcess; exited: Promise<void> } {
  const log = openSync(options.logFile, 'a');
  const args = ['--addr', '127.0.0.1', '--port', String(port), '--pid', options.pidFile];
  const config = options.configFile === undefined ? [] : ['--config', options.configFile];
  const child = spawn(options.program, [...args, ...config, '--jetstream', '--store_dir', options.storeDir], {
    cwd: path.dirname(options.storeDir),
    detached: true,
    stdio: ['ignore', log, log],
  });
  closeSync(log);
  child.unref();
  const exited = new Promise<void>((resolve) => {
    child.once('exit', () => resolve());
    child.once('error', () => resolve());
  });
  return { child, exited };
}

/** A nats-server speaks first: its `INFO` line says that it takes clients. */
function greets(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ port, host: '127.0.0.1' });
    const done = (answer: boolean): void => {
      socket.destroy();
      resolve(answer);
    };
    socket.once('data', (data) => done(data.includes('INFO ')));
    socket.once('error', () => done(false));
    socket.setTimeout(1000, () => done(false));
  });
}
