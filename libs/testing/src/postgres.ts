import { randomBytes } from 'node:crypto';
import { chmodSync } from 'node:fs';
import path from 'node:path';
import { LeashedFolder } from './servers/leash';
import { type PostgresOptions, PostgresServer } from './servers/postgres';

/** A PostgreSQL of its own for a test that kills it, or for a measurement; it syncs to disk as in production. */
export class FreshPostgres {
  private constructor(
    private server: PostgresServer,
    private readonly options: PostgresOptions,
    private readonly folder: LeashedFolder,
  ) {}

  static async start(more: Pick<PostgresOptions, 'tls'> = {}): Promise<FreshPostgres> {
    const folder = LeashedFolder.make('postgres');
    // As root, PostgreSQL runs under another account, which has to enter.
    chmodSync(folder.path, 0o755);
    const options = {
      ...more,
      dataDir: path.join(folder.path, 'data'),
      logFile: path.join(folder.path, 'postgres.log'),
      password: randomBytes(12).toString('hex'),
      durable: true,
    };
    return new FreshPostgres(await PostgresServer.start(options), options, folder);
  }

  get url(): string {
    return this.server.url;
  }

  get logFile(): string {
    return this.options.logFile;
  }

  /** `kill -9` of every process of the server: what it has committed stays on disk. */
  kill(): Promise<void> {
    return this.server.kill();
  }

  /** Nobody hears anything more from the server, until `thaw`. */
  freeze(): void {
    this.server.freeze();
  }

  thaw(): void {
    this.server.thaw();
  }

  /** Starts again after `kill`, on the same port and with the same data; returns when it has recovered. */
  async restart(): Promise<void> {
    this.server = await PostgresServer.start({ ...this.options, port: this.server.port });
  }

  async stop(): Promise<void> {
    await this.server.stopAtOnce();
    this.folder.remove();
  }
}
