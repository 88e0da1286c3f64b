import {
  migrateAll,
  NatsServer,
  natsProgram,
  portIsTaken,
  PostgresServer,
  type ServiceName,
  ServiceProcess,
  services,
} from '@keyturn/testing';
import { mkdirSync, renameSync, statSync } from 'node:fs';
import path from 'node:path';
import { loopbackReceivers, writeServiceSettings } from '../home/environment';
import { changeRunFile, removeRunFile, type RunFile, writeRunFile } from '../home/run-file';
import { ensureSecrets, type Secrets } from '../home/secrets';
import { Cluster } from '../keyturn/cluster';
import type { Claim } from './claim';
import { demoSpace } from './demo';
import { checkNats, checkPostgres } from './given-servers';
import { Keeper, type Member } from './keeper';
import { CannotStart, say, Stopped } from './sentence';

/** A log that has grown past this is put aside at the next start. */
const LOG_BYTES = 50 * 1024 * 1024;

/** The whole of Keyturn on this machine: servers, schemas, services, demo Space, run file. */
export class System {
  private readonly secrets: Secrets;
  private readonly env: NodeJS.ProcessEnv;
  private readonly halt = new AbortController();
  /** In the order in which they were started. */
  private readonly servers: Keeper<Member>[] = [];
  private readonly services = new Map<ServiceName, Keeper<ServiceMember>>();
  private run: RunFile | undefined;
  private starting: Promise<RunFile> | undefined;

  constructor(
    private readonly home: string,
    private readonly claim: Claim,
    given: NodeJS.ProcessEnv,
  ) {
    this.secrets = ensureSecrets(home);
    this.env = {
      ...loopbackReceivers,
      ...given,
      SECRETS_KEY: given['SECRETS_KEY'] || this.secrets.SECRETS_KEY,
      ADMIN_TOKEN: given['ADMIN_TOKEN'] || this.secrets.ADMIN_TOKEN,
    };
  }

  /** Brings everything up and returns what scripts may read; rejects with the reason, as one sentence. */
  start(): Promise<RunFile> {
    this.starting = this.bringUp();
    return this.starting;
  }

  /** In order: the door first, so that nothing new comes in; the servers last, once nobody needs them any more. */
  async stop(): Promise<void> {
    this.halt.abort();
    await this.services.get('api-gateway')?.stop();
    await Promise.all([...this.services.values()].map((keeper) => keeper.stop()));
    for (const server of [...this.servers].reverse()) await server.stop();
    // What was just being started has seen by now that it is not wanted any more.
    await this.starting?.catch(() => undefined);
    removeRunFile(this.home);
    this.claim.release();
  }

  /** For somebody who does not want to wait: nothing is finished, but nothing is left running either. */
  async stopAtOnce(): Promise<void> {
    this.halt.abort();
    await Promise.all([...this.services.values(), ...this.servers].map((keeper) => keeper.stopAtOnce()));
    await this.starting?.catch(() => undefined);
    removeRunFile(this.home);
    this.claim.release();
  }

  private async bringUp(): Promise<RunFile> {
    await this.checkPorts();
    writeServiceSettings(this.home, this.env);
    const [postgres, nats] = await this.startServers();
    await this.migrate();
    const run: RunFile = {
      baseUrl: '',
      natsUrl: this.env['NATS_URL'] ?? '',
      databaseUrl: this.env['DATABASE_URL'] ?? '',
      services: {},
      servers: {
        ...(postgres ? { postgres: { pid: postgres.pid } } : {}),
        ...(nats ? { nats: { pid: nats.pid } } : {}),
      },
      demo: { spaceId: '', slug: '', ownerEmail: '', ownerPassword: '', apiKey: '' },
    };
    await this.startServices(run);
    await this.makeDemo(run);
    this.goOn();
    writeRunFile(this.home, run);
    this.run = run;
    return run;
  }

  private goOn(): void {
    if (this.halt.signal.aborted) throw new Stopped();
  }

  private logFile(name: string): string {
    return path.join(this.home, 'logs', `${name}.log`);
  }

  /** Management ports are four in a row when the environment names the first, and any free ones otherwise. */
  private managementPort(service: ServiceName): number {
    const first = Number(this.env['MANAGEMENT_PORT'] || 0);
    return first === 0 ? 0 : first + [...services].reverse().indexOf(service);
  }

  private async checkPorts(): Promise<void> {
    const wanted: [string, number][] = [
      ['GATEWAY_PORT', Number(this.env['GATEWAY_PORT'] || 3000)],
      ...services.map((service): [string, number] => ['MANAGEMENT_PORT', this.managementPort(service)]),
    ];
    for (const [setting, port] of wanted) {
      if (!Number.isInteger(port) || port < 0 || port > 65_535)
        throw new CannotStart(`${setting} must be a port number, not "${this.env[setting]}".`);
      if (port !== 0 && (await taken(port, setting)))
        throw new CannotStart(`Port ${port} is taken by another program; set ${setting} to a free one.`);
    }
  }

  private async startServers(): Promise<(Member | undefined)[]> {
    mkdirSync(path.join(this.home, 'logs'), { recursive: true });
    for (const name of ['postgres', 'nats', ...services]) putAside(this.logFile(name));
    // One after the other where something may have to be fetched; otherwise both at once.
    const program = this.env['NATS_URL'] ? undefined : await natsProgram(say, this.halt.signal);
    this.goOn();
    return together([this.startPostgres(), this.startNats(program)]);
  }

  private async startPostgres(): Promise<Member | undefined> {
    const given = this.env['DATABASE_URL'];
    if (given) {
      await checkPostgres(given);
      return undefined;
    }
    say('Starting PostgreSQL …');
    let port: number | undefined;
    return this.keepServer('postgres', async () => {
      const server = await PostgresServer.start({
        dataDir: path.join(this.home, 'postgres'),
        logFile: this.logFile('postgres'),
        password: this.secrets.postgresPassword,
        durable: true,
        ...(port ? { port } : {}),
      });
      // The services know this address, so a server that takes its place listens on it too.
      port = server.port;
      this.env['DATABASE_URL'] = server.url;
      return server;
    });
  }

  private async startNats(program: string | undefined): Promise<Member | undefined> {
    if (program === undefined) {
      await checkNats(this.env['NATS_URL'] ?? '');
      return undefined;
    }
    say('Starting nats-server …');
    let port: number | undefined;
    return this.keepServer('nats', async () => {
      const server = await NatsServer.start({
        program,
        storeDir: path.join(this.home, 'nats'),
        pidFile: path.join(this.home, 'nats.pid'),
        logFile: this.logFile('nats'),
        ...(port ? { port } : {}),
      });
      port = server.port;
      this.env['NATS_URL'] = server.url;
      return server;
    });
  }

  private keepServer(name: 'postgres' | 'nats', launch: () => Promise<Member>): Promise<Member> {
    const keeper = new Keeper(name, launch, ({ pid }) => {
      this.claim.record(name, pid);
      if (this.run) changeRunFile(this.home, (run) => (run.servers[name] = { pid }));
    });
    this.servers.push(keeper);
    return keeper.start();
  }

  private async migrate(): Promise<void> {
    say('Bringing the schemas up to date …');
    this.goOn();
    await migrateAll((service) => ({ env: this.env, logFile: this.logFile(service), signal: this.halt.signal }));
  }

  private async startServices(run: RunFile): Promise<void> {
    this.goOn();
    say('Starting the services …');
    const ready = (name: ServiceName, member: ServiceMember): Promise<void> => this.serviceIsReady(run, name, member);
    await together(
      services.map((name) => {
        const keeper = new Keeper(
          name,
          () => this.launchService(name),
          (member) => ready(name, member),
        );
        this.services.set(name, keeper);
        return keeper.start();
      }),
    );
  }

  private launchService(name: ServiceName): ServiceMember {
    const env = { ...this.env, MANAGEMENT_PORT: String(this.managementPort(name)) };
    const service = ServiceProcess.launch(name, { env, logFile: this.logFile(name) });
    this.claim.record(name, service.pid);
    return service;
  }

  private async serviceIsReady(run: RunFile, name: ServiceName, service: ServiceMember): Promise<void> {
    const { pid, managementUrl, url } = await service.ready();
    if (url) {
      run.baseUrl = onLoopback(url);
      // Whoever knows this address finds a gateway there again, also when any free port was asked for at first.
      this.env['GATEWAY_PORT'] = new URL(run.baseUrl).port || '80';
    }
    run.services[name] = { pid, managementUrl };
    if (this.run) changeRunFile(this.home, (written) => (written.services[name] = { pid, managementUrl }));
  }

  private async makeDemo(run: RunFile): Promise<void> {
    this.goOn();
    const cluster = await Cluster.connect(this.env);
    try {
      run.demo = await demoSpace({
        home: this.home,
        baseUrl: run.baseUrl,
        cluster,
        loading: () => say('Loading the demo Space …'),
      });
    } catch (error) {
      throw new CannotStart(`The demo Space cannot be made: ${(error as Error).message}.`, { cause: error });
    } finally {
      await cluster.close();
    }
  }
}

type ServiceMember = Member & Pick<ServiceProcess, 'ready'>;

/** Like `Promise.all`, but a failure is told only once the others are over too: what they have started is known then. */
async function together<T>(parts: readonly Promise<T>[]): Promise<T[]> {
  const failed = (await Promise.allSettled(parts)).find((result) => result.status === 'rejected');
  if (failed) throw failed.reason;
  return Promise.all(parts);
}

/** A gateway that listens on every address is reached by this one too. */
function onLoopback(url: string): string {
  return `http://127.0.0.1:${new URL(url).port || 80}`;
}

async function taken(port: number, setting: string): Promise<boolean> {
  try {
    return await portIsTaken(port, '127.0.0.1');
  } catch (error) {
    throw new CannotStart(`Port ${port} cannot be used (${(error as Error).message}); set ${setting} to another.`);
  }
}

function putAside(logFile: string): void {
  const size = statSync(logFile, { throwIfNoEntry: false })?.size ?? 0;
  if (size > LOG_BYTES) renameSync(logFile, `${logFile}.old`);
}
