import { spawn } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { onDatabase } from '../on-database';
import { waitFor } from '../wait-for';
import { postgresAccount, type PostgresAccount } from './postgres-account';
import { postgresBinaries } from './postgres-binaries';
import { childrenOf, commandLine, end, processIdentity } from './process-identity';
import { ServerChild, startServer } from './server-child';
import { ServerError } from './server-error';

/** The one account and database of an embedded server. */
const NAME = 'keyturn';

/** A backend needs a while to close; past that the cluster is left to crash recovery. */
const STOP_TIMEOUT_MS = 20_000;
const START_TIMEOUT_MS = 60_000;

const durable = {
  shared_buffers: '256MB',
  max_connections: '200',
  // Checkpoints are what disturbs a small machine most; a few hundred megabytes of log more make them rare.
  max_wal_size: '2GB',
  checkpoint_timeout: '15min',
  random_page_cost: '1.1',
};

/** A test's data need not outlive a power cut, nor even the test. */
const disposable = {
  shared_buffers: '128MB',
  max_connections: '300',
  fsync: 'off',
  synchronous_commit: 'off',
  full_page_writes: 'off',
  max_wal_size: '2GB',
  random_page_cost: '1.1',
};

export interface PostgresOptions {
  /** Made and initialised when it is not there yet. */
  readonly dataDir: string;
  readonly password: string;
  /** Without it, a free one. */
  readonly port?: number;
  /** Where the server writes its log. */
  readonly logFile: string;
  /** Whether data must survive a power cut. */
  readonly durable: boolean;
  /** Offers TLS with this certificate; a client that shows one has to be known to `clientAuthority`. All in PEM. */
  readonly tls?: { readonly certificate: string; readonly key: string; readonly clientAuthority?: string };
}

/** A PostgreSQL server of ours, as a child process that outlives us unless it is stopped. */
export class PostgresServer {
  private constructor(
    readonly pid: number,
    readonly port: number,
    readonly url: string,
    private readonly child: ServerChild,
  ) {}

  static async start(options: PostgresOptions): Promise<PostgresServer> {
    const binaries = postgresBinaries();
    mkdirSync(path.dirname(options.dataDir), { recursive: true });
    const account = postgresAccount(path.dirname(options.dataDir));
    await endPredecessor(options.dataDir);
    if (!existsSync(options.dataDir)) await initialise(binaries.initdb, account, options);

    const { child, pid, port } = await startServer({
      name: 'PostgreSQL',
      logFile: options.logFile,
      port: options.port,
      timeoutMs: START_TIMEOUT_MS,
      launch: (candidate) => launch(binaries.postgres, account, options, candidate),
      isReady: (candidate) => {
        const said = readyFile(options.dataDir);
        return said?.ready === true && said.pid === candidate.pid;
      },
      complaint: lastComplaint,
    });
    const url = `postgres://${NAME}:${options.password}@127.0.0.1:${port}/${NAME}`;
    await ensureDatabase(url);
    return new PostgresServer(pid, port, url, child);
  }

  /** Resolves when the server has ended, whoever ended it. */
  get exited(): Promise<void> {
    return this.child.exited;
  }

  /** Lets open transactions go ("fast" shutdown), writes a checkpoint, ends. */
  stop(): Promise<void> {
    return this.child.stop('SIGINT', 'SIGQUIT', STOP_TIMEOUT_MS);
  }

  /** Ends at once and without a checkpoint, as a test's server may. */
  stopAtOnce(): Promise<void> {
    return this.child.stopAtOnce('SIGQUIT');
  }

  /** `kill -9` of the server with all of its processes: nobody is left to end a transaction or to tell a client. */
  async kill(): Promise<void> {
    const children = this.freeze().filter((pid) => pid !== this.pid);
    for (const pid of [this.pid, ...children]) signal(pid, 'SIGKILL');
    await this.child.ended();
    await waitFor('all processes of PostgreSQL to be gone', () => children.every((pid) => !processIdentity(pid)));
  }

  /** Every process stands still: clients hear nothing more, not even that their connection has ended. */
  freeze(): number[] {
    // The server first, so that no child is born between the list and its halt.
    signal(this.pid, 'SIGSTOP');
    const children = childrenOf(this.pid);
    for (const pid of children) signal(pid, 'SIGSTOP');
    return [this.pid, ...children];
  }

  /** Undoes {@link freeze}. */
  thaw(): void {
    for (const pid of [...childrenOf(this.pid), this.pid]) signal(pid, 'SIGCONT');
  }
}

/** It may have ended meanwhile. */
function signal(pid: number, name: NodeJS.Signals): void {
  try {
    process.kill(pid, name);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
}

async function ensureDatabase(url: string): Promise<void> {
  const maintenance = new URL(url);
  maintenance.pathname = '/postgres';
  await onDatabase(maintenance.href, async (client) => {
    const found = await client.query('select 1 from pg_database where datname = $1', [NAME]);
    if (found.rowCount === 0) await client.query(`create database ${NAME}`);
  });
}

/** What a server that runs on this data folder says of itself; undefined when there is none. */
function readyFile(dataDir: string): { pid: number; ready: boolean } | undefined {
  try {
    const lines = readFileSync(path.join(dataDir, 'postmaster.pid'), 'utf8').split('\n');
    return { pid: Number(lines[0]), ready: lines[7]?.trim() === 'ready' };
  } catch {
    return undefined;
  }
}

/** A server that a killed process of ours left running on this folder: no second one may start beside it. */
async function endPredecessor(dataDir: string): Promise<void> {
  const pid = readyFile(dataDir)?.pid;
  const identity = pid ? processIdentity(pid) : undefined;
  if (identity && commandLine(identity.pid).includes(dataDir)) await end(identity, 'SIGINT', STOP_TIMEOUT_MS);
}

/** Makes the cluster beside its place and moves it there whole, so that an interrupted start leaves none that is half made. */
async function initialise(initdb: string, account: PostgresAccount, options: PostgresOptions): Promise<void> {
  const parent = path.dirname(options.dataDir);
  const draftName = `${path.basename(options.dataDir)}.draft-`;
  for (const name of readdirSync(parent))
    if (name.startsWith(draftName)) rmSync(path.join(parent, name), { recursive: true, force: true });
  const draft = path.join(parent, `${draftName}${process.pid}`);
  mkdirSync(draft, { mode: 0o700 });
  account.own(draft);
  const passwordFile = `${draft}.password`;
  writeFileSync(passwordFile, options.password, { mode: 0o600 });
  account.own(passwordFile);
  const { file, args, ...as } = account.command(initdb, [
    ...['--pgdata', draft, '--username', NAME, '--pwfile', passwordFile],
    ...['--auth=scram-sha-256', '--encoding=UTF8', '--locale=C.UTF-8', '--no-instructions'],
    ...(options.durable ? [] : ['--no-sync']),
  ]);
  try {
    // Detached for the same reason as the server: a Ctrl-C is ours to handle.
    const child = spawn(file, args, { ...as, cwd: parent, detached: true, stdio: ['ignore', 'ignore', 'pipe'] });
    let complaints = '';
    child.stderr.setEncoding('utf8').on('data', (text: string) => (complaints += text));
    const code = await new Promise<number | null>((resolve, reject) => {
      child.once('error', reject);
      child.once('close', resolve);
    });
    if (code !== 0) throw new Error(lastComplaint(complaints));
    renameSync(draft, options.dataDir);
  } catch (error) {
    rmSync(draft, { recursive: true, force: true });
    throw new ServerError(`PostgreSQL cannot make its data folder ${options.dataDir}: ${(error as Error).message}.`, {
      cause: error,
    });
  } finally {
    rmSync(passwordFile, { force: true });
  }
}

function launch(postgres: string, account: PostgresAccount, options: PostgresOptions, port: number): ServerChild {
  const settings = {
    listen_addresses: '127.0.0.1',
    port: String(port),
    // Over TCP only: a socket's path may be too long, and its folder may not be the account's to write.
    unix_socket_directories: '',
    log_line_prefix: '%m [%p] %a ',
    ...(options.durable ? durable : disposable),
    ...tlsSettings(account, options),
  };
  const { file, args, ...as } = account.command(postgres, [
    ...['-D', options.dataDir],
    ...Object.entries(settings).flatMap(([name, value]) => ['-c', `${name}=${value}`]),
  ]);
  return ServerChild.spawn(file, args, { ...as, cwd: path.dirname(options.dataDir), logFile: options.logFile });
}

/** The server reads certificates from files, and its key from one that nobody else may read. */
function tlsSettings(account: PostgresAccount, { tls, dataDir }: PostgresOptions): Record<string, string> {
  if (!tls) return {};
  const fileOf = (name: string, text: string): string => {
    const file = path.join(dataDir, name);
    writeFileSync(file, text, { mode: 0o600 });
    account.own(file);
    return file;
  };
  return {
    ssl: 'on',
    ssl_cert_file: fileOf('tls.crt', tls.certificate),
    ssl_key_file: fileOf('tls.key', tls.key),
    ...(tls.clientAuthority === undefined ? {} : { ssl_ca_file: fileOf('clients.crt', tls.clientAuthority) }),
  };
}

function lastComplaint(text: string): string {
  const complaints = text.split('\n').filter((line) => /FATAL|PANIC|error:/.test(line));
  return (complaints.at(-1) ?? text.trim().split('\n').at(-1) ?? '').replace(/^.*?(FATAL|PANIC|error): */, '').trim();
}
