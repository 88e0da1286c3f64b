import path from 'node:path';
import { LeashedFolder } from './servers/leash';
import { NatsServer, type NatsOptions } from './servers/nats';
import { natsProgram } from './servers/nats-program';

/** Set by the global set-up, so that each worker need not look for the program again. */
const PROGRAM = 'KEYTURN_TEST_NATS_SERVER';

/** A nats-server of its own for one test file: the streams' names are fixed, so two tests cannot share one. */
export class FreshNats {
  private constructor(
    private server: NatsServer,
    private readonly options: NatsOptions,
    private readonly folder: LeashedFolder,
  ) {}

  static async start(more: Pick<NatsOptions, 'configFile'> = {}): Promise<FreshNats> {
    const program = process.env[PROGRAM] ?? (await natsProgram());
    const folder = LeashedFolder.make('nats');
    const options = {
      ...more,
      program,
      storeDir: path.join(folder.path, 'jetstream'),
      logFile: path.join(folder.path, 'nats.log'),
      pidFile: path.join(folder.path, 'nats.pid'),
    };
    return new FreshNats(await NatsServer.start(options), options, folder);
  }

  get url(): string {
    return this.server.url;
  }

  /** Where JetStream keeps its files. */
  get storeDir(): string {
    return this.options.storeDir;
  }

  get pid(): number {
    return this.server.pid;
  }

  /** `kill -9`: what it has acknowledged stays on disk. */
  async kill(): Promise<void> {
    await this.server.stopAtOnce();
    this.folder.letGo('nats');
  }

  /** Starts again after `kill`, on the same port and with the same data. */
  async restart(): Promise<void> {
    this.server = await NatsServer.start({ ...this.options, port: this.server.port });
  }

  async stop(): Promise<void> {
    await this.kill();
    this.folder.remove();
  }
}

export function freshNats(options: Pick<NatsOptions, 'configFile'> = {}): Promise<FreshNats> {
  return FreshNats.start(options);
}
