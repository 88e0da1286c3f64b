import { existsSync, mkdirSync, readFileSync } from 'node:fs';
import { connect } from 'node:net';
import path from 'node:path';
import { commandLine, end, processIdentity } from './process-identity';
import { ServerChild, startServer } from './server-child';

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
    private readonly child: ServerChild,
  ) {}

  static async start(options: NatsOptions): Promise<NatsServer> {
    mkdirSync(options.storeDir, { recursive: true });
    await endPredecessor(options);
    const { child, pid, port } = await startServer({
      name: 'nats-server',
      logFile: options.logFile,
      port: options.port,
      timeoutMs: START_TIMEOUT_MS,
      launch: (candidate) => launch(options, candidate),
      isReady: (_child, candidate) => greets(candidate),
      complaint: lastComplaint,
    });
    return new NatsServer(pid, port, `nats://127.0.0.1:${port}`, child);
  }

  /** Resolves when the server has ended, whoever ended it. */
  get exited(): Promise<void> {
    return this.child.exited;
  }

  stop(): Promise<void> {
    return this.child.stop('SIGTERM', 'SIGKILL', STOP_TIMEOUT_MS);
  }

  /** Ends at once, as in a crash. */
  stopAtOnce(): Promise<void> {
    return this.child.stopAtOnce('SIGKILL');
  }
}

/** A server that a killed process of ours left running on this folder: two on one store would spoil it. */
async function endPredecessor({ pidFile, storeDir }: NatsOptions): Promise<void> {
  const pid = existsSync(pidFile) ? Number(readFileSync(pidFile, 'utf8')) : 0;
  const identity = pid > 0 ? processIdentity(pid) : undefined;
  if (identity && commandLine(identity.pid).includes(storeDir)) await end(identity, 'SIGTERM', STOP_TIMEOUT_MS);
}

function launch(options: NatsOptions, port: number): ServerChild {
  const args = ['--addr', '127.0.0.1', '--port', String(port), '--pid', options.pidFile];
  const config = options.configFile === undefined ? [] : ['--config', options.configFile];
  return ServerChild.spawn(options.program, [...args, ...config, '--jetstream', '--store_dir', options.storeDir], {
    cwd: path.dirname(options.storeDir),
    logFile: options.logFile,
  });
}

function lastComplaint(log: string): string {
  const complaints = log.split('\n').filter((line) => line.includes('[FTL]') || line.includes('[ERR]'));
  return complaints.at(-1)?.replace(/^.*\] /, '') ?? 'it says nothing';
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
