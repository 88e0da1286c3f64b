import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { chmodSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { useServer } from './databases';
import { onDatabase } from './on-database';
import { LeashedFolder } from './servers/leash';
import { PostgresServer, type PostgresOptions } from './servers/postgres';
import { postgresAccount } from './servers/postgres-account';

/** A copy of a server's data as it was at one moment. */
export interface Backup {
  readonly folder: string;
}

/**
 * A PostgreSQL of its own for one test file: one that may be killed, copied while it runs, replicated, and set back to an
 * earlier copy. As long as it runs, `freshDatabase` and whole systems of this file live on it.
 */
export class OwnPostgres {
  private copies = 0;
  private readonly standbys: { server: PostgresServer; folder: LeashedFolder }[] = [];

  private constructor(
    private server: PostgresServer,
    private readonly options: PostgresOptions,
    private readonly folder: LeashedFolder,
    private readonly letGo: () => void,
  ) {}

  static async start(): Promise<OwnPostgres> {
    const folder = LeashedFolder.make('own-postgres');
    // As root, PostgreSQL runs under another account, which has to enter.
    chmodSync(folder.path, 0o755);
    const options = {
      dataDir: path.join(folder.path, 'data'),
      logFile: path.join(folder.path, 'postgres.log'),
      password: randomBytes(12).toString('hex'),
      durable: false,
    };
    const server = await PostgresServer.start(options);
    return new OwnPostgres(server, options, folder, useServer(server.url));
  }

  /** Copies the data of the running server; changes go on meanwhile. */
  async backup(): Promise<Backup> {
    const folder = path.join(this.folder.path, `copy-${++this.copies}`);
    await this.copyTo(folder);
    return { folder };
  }

  /** The server dies and comes back, on the same port, with the data of a backup. */
  async restore({ folder }: Backup): Promise<void> {
    await this.server.stopAtOnce();
    rmSync(this.options.dataDir, { recursive: true });
    renameSync(folder, this.options.dataDir);
    this.server = await PostgresServer.start({ ...this.options, port: this.server.port });
  }

  /** A streaming replica that takes reads. */
  async replicate(): Promise<PostgresServer> {
    const folder = LeashedFolder.make('standby');
    chmodSync(folder.path, 0o755);
    const dataDir = path.join(folder.path, 'data');
    await this.copyTo(dataDir);
    const { port } = this.server;
    const { password } = this.options;
    const own = (name: string, text: string) => {
      writeFileSync(path.join(dataDir, name), text, { mode: 0o600 });
      postgresAccount(folder.path).own(path.join(dataDir, name));
    };
    own('standby.signal', '');
    own(
      'postgresql.auto.conf',
      `primary_conninfo = 'host=127.0.0.1 port=${port} user=keyturn password=${password}'\nhot_standby = on\n`,
    );
    const server = await PostgresServer.start({
      ...this.options,
      dataDir,
      logFile: path.join(folder.path, 'postgres.log'),
    });
    this.standbys.push({ server, folder });
    return server;
  }

  async stop(): Promise<void> {
    this.letGo();
    for (const { server, folder } of this.standbys) {
      await server.stopAtOnce();
      folder.remove();
    }
    await this.server.stopAtOnce();
    this.folder.remove();
  }

  private copyTo(folder: string): Promise<void> {
    return onDatabase(this.server.url, async (client) => {
      await client.query(`select pg_backup_start('test', fast => true)`);
      // Files that change or go while they are copied are what the backup's label is for; cp says so and goes on.
      execFileSync('sh', ['-c', 'cp -a "$1" "$2" || [ -f "$2/PG_VERSION" ]', 'copy', this.options.dataDir, folder], {
        stdio: 'ignore',
      });
      const { rows } = await client.query<{ labelfile: string }>(
        'select labelfile from pg_backup_stop(wait_for_archive => false)',
      );
      // The log goes on to the backup's end, which was written just now.
      execFileSync('cp', ['-a', `${this.options.dataDir}/pg_wal/.`, path.join(folder, 'pg_wal')]);
      writeFileSync(path.join(folder, 'backup_label'), rows[0]?.labelfile ?? '', { mode: 0o600 });
      postgresAccount(this.folder.path).own(path.join(folder, 'backup_label'));
      rmSync(path.join(folder, 'postmaster.pid'), { force: true });
    });
  }
}
