import type { ApiKeySummary, RequestOf, SpaceSummary } from '@keyturn/contracts';
import { Log } from '@keyturn/platform/logs';
import { ensureStreams, NatsLink } from '@keyturn/platform/nats';
import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { connect, headers, type NatsConnection } from 'nats';
import { Administration } from './administration';
import { type FreshNats, freshNats } from './brokers';
import { type FreshDatabase, freshDatabase } from './databases';
import { FreshPostgres } from './postgres';
import { freePort } from './servers/free-port';
import { LeashedFolder } from './servers/leash';
import { migrateAll, type Ready, type ServiceName, ServiceProcess, services } from './servers/service-process';
import { waitFor } from './wait-for';

export interface SystemOptions {
  readonly gateways?: number;
  readonly dispatchers?: number;
  readonly dataServices?: number;
  readonly webhookServices?: number;
  /** A PostgreSQL of its own, durable as in production, in place of a database on the server of this run. */
  readonly ownPostgres?: boolean;
  /** For the nats-server, beside the addresses and folders of a test's. */
  readonly natsConfigFile?: string;
  /** Settings of all services, beside those that make a system on this machine work. */
  readonly env?: Readonly<Record<string, string>>;
  /**
   * Readies an empty database for roles with less rights than the one that made it, and says as whom each service and the
   * migration come in.
   */
  readonly logins?: (databaseUrl: string) => Promise<Readonly<Record<ServiceName | 'migrate', string>>>;
}

/** What a publisher sends, with the parts that are the same in every test left out. */
export interface PublishedEvent {
  readonly type: string;
  readonly data: object;
  readonly id?: string;
  readonly source?: string;
  readonly time?: string;
  readonly entityversion?: number;
  readonly backfill?: boolean;
  readonly traceparent?: string;
}

/** An instance's name, as the run file has it: `api-gateway`, `api-gateway#2`. */
export type InstanceName = ServiceName | `${ServiceName}#${number}`;

const PUBLISH_TIMEOUT_MS = 10_000;
const START_TIMEOUT_MS = 30_000;

/**
 * All services as processes, on a database and a NATS of their own: the public door of end-to-end tests.
 * Nothing is shared with another test, so a test may kill what it likes.
 */
export class TestSystem {
  private readonly processes = new Map<InstanceName, ServiceProcess>();
  private readonly readiness = new Map<InstanceName, Ready>();
  private readonly folder = LeashedFolder.make('system');
  private administration: Administration | undefined;
  private publisher: NatsConnection | undefined;
  private ownPostgres: FreshPostgres | undefined;
  private freshDatabase: FreshDatabase | undefined;
  private events = 0;
  private lastEventTime = 0;

  private constructor(
    readonly nats: FreshNats,
    readonly adminToken: string,
    private readonly env: NodeJS.ProcessEnv,
  ) {}

  private logins: Readonly<Partial<Record<ServiceName, string>>> = {};

  static async start(options: SystemOptions = {}): Promise<TestSystem> {
    const nats = await freshNats(options.natsConfigFile === undefined ? {} : { configFile: options.natsConfigFile });
    const adminToken = randomBytes(24).toString('base64url');
    const system = new TestSystem(nats, adminToken, {
      ...process.env,
      NATS_URL: nats.url,
      ADMIN_TOKEN: adminToken,
      SECRETS_KEY: randomBytes(32).toString('base64'),
      GATEWAY_PORT: '0',
      MANAGEMENT_PORT: '0',
      WEBHOOK_ALLOW_HTTP: 'true',
      WEBHOOK_ALLOW_CIDRS: '127.0.0.0/8,::1/128',
      DRAIN_DELAY: '0s',
      ...options.env,
    });
    try {
      await system.bringUp(options);
      return system;
    } catch (error) {
      await system.stop();
      throw error;
    }
  }

  get databaseUrl(): string {
    if (!this.freshDatabase) throw new Error('The system is not running.');
    return this.freshDatabase.url;
  }

  /** What tells the command line where this system is, and lets it in. */
  get adminEnv(): NodeJS.ProcessEnv {
    return { NATS_URL: this.nats.url, ADMIN_TOKEN: this.adminToken };
  }

  /** Only of a system with `ownPostgres`. */
  get postgres(): FreshPostgres {
    if (!this.ownPostgres) throw new Error('The system shares the PostgreSQL of this run: ask for ownPostgres.');
    return this.ownPostgres;
  }

  /** Of the first gateway. */
  get baseUrl(): string {
    return this.gatewayUrl('api-gateway');
  }

  gatewayUrl(instance: InstanceName): string {
    const { url } = this.ready(instance);
    if (!url) throw new Error(`${instance} has no door for the outside.`);
    return url;
  }

  managementUrl(instance: InstanceName): string {
    return this.ready(instance).managementUrl;
  }

  pid(instance: InstanceName): number {
    return this.instance(instance).pid;
  }

  get admin(): Administration {
    if (!this.administration) throw new Error('The system is not running.');
    return this.administration;
  }

  async createSpace(input: Partial<RequestOf<'admin.spaces.create'>> = {}): Promise<SpaceSummary> {
    const slug = input.slug ?? `space-${randomBytes(4).toString('hex')}`;
    return this.admin.request('admin.spaces.create', {
      name: slug,
      ownerEmail: `owner@${slug}.example`,
      ...input,
      slug,
    });
  }

  /** The limit is out of the way unless the test asks for one. */
  createKey(
    spaceSlug: string,
    input: Partial<RequestOf<'admin.keys.create'>> = {},
  ): Promise<ApiKeySummary & { key: string }> {
    return this.admin.request('admin.keys.create', { space: spaceSlug, name: 'test', rateLimit: 1_000_000, ...input });
  }

  /** Publishes to a Space's stream, as an internal service does; returns when the broker has taken them. */
  async publish(spaceId: string, events: readonly PublishedEvent[]): Promise<void> {
    this.publisher ??= await connect({ servers: this.nats.url, maxReconnectAttempts: -1, reconnectTimeWait: 50 });
    const stream = this.publisher.jetstream({ timeout: PUBLISH_TIMEOUT_MS });
    await Promise.all(
      events.map((event) => {
        const whole = this.completed(spaceId, event);
        const messageHeaders = headers();
        messageHeaders.set('Nats-Msg-Id', `${whole.source}|${whole.id}`);
        const subject = `${event.backfill ? 'backfill' : 'domain'}.${spaceId}.${event.type}`;
        return stream.publish(subject, JSON.stringify(whole), { headers: messageHeaders });
      }),
    );
  }

  /** Publishes, and returns once reading shows it. */
  async publishAndApply(spaceId: string, events: readonly PublishedEvent[]): Promise<void> {
    await this.publish(spaceId, events);
    await this.applied();
  }

  /** Waits until everything that the broker has taken so far has had its effects. */
  async applied(timeoutMs = 20_000): Promise<void> {
    const last = await this.lastSequences();
    await waitFor(
      `everything published to be applied (${JSON.stringify(last)})`,
      async () => {
        const position = await this.admin.request('data.streams.position', {});
        return position.DOMAIN >= last.DOMAIN && position.BACKFILL >= last.BACKFILL;
      },
      timeoutMs,
    );
  }

  /** `kill -9`. */
  async kill(instance: InstanceName): Promise<void> {
    await this.instance(instance).stopAtOnce();
    this.forget(instance);
  }

  /** SIGTERM, as a rollout does; returns when it has exited, and how. */
  async terminate(instance: InstanceName): Promise<{ exitCode: number | null; ms: number }> {
    const process = this.instance(instance);
    const started = performance.now();
    await process.stop('SIGTERM');
    this.forget(instance);
    return { exitCode: process.exitCode, ms: performance.now() - started };
  }

  /** Starts an instance that is not running (any more), and waits until it is ready. */
  async startInstance(instance: InstanceName, env: Readonly<Record<string, string>> = {}): Promise<void> {
    this.readiness.set(instance, await this.launch(instance, env).ready());
  }

  /** Starts an instance whose dependencies may be away, and waits until it is alive. */
  async startUnready(instance: InstanceName): Promise<void> {
    const [port, managementPort] = [await freePort(), await freePort()];
    const { pid } = this.launch(instance, { GATEWAY_PORT: String(port), MANAGEMENT_PORT: String(managementPort) });
    const [url, managementUrl] = [port, managementPort].map((each) => `http://127.0.0.1:${each}`) as [string, string];
    const isAlive = async (): Promise<boolean> => (await fetch(`${managementUrl}/livez`)).status === 200;
    await waitFor(`${instance} to be alive`, isAlive, START_TIMEOUT_MS);
    this.readiness.set(instance, { pid, managementUrl, ...(serviceOf(instance) === 'api-gateway' ? { url } : {}) });
  }

  private launch(instance: InstanceName, env: Readonly<Record<string, string>>): ServiceProcess {
    const service = serviceOf(instance);
    const login = this.logins[service];
    const whole = { ...this.env, ...(login === undefined ? {} : { DATABASE_URL: login }), ...env };
    const launched = ServiceProcess.launch(service, { env: whole, logFile: this.logFile(instance) });
    this.folder.hold(instance, launched.pid);
    this.processes.set(instance, launched);
    return launched;
  }

  /** What an instance has written so far, lines of its log and all else. */
  output(instance: InstanceName): string {
    return readFileSync(this.logFile(instance), 'utf8');
  }

  /** What an instance has logged so far, one parsed line each. */
  logs(instance: InstanceName): Record<string, unknown>[] {
    const lines = this.output(instance).split('\n');
    return lines.filter((line) => line.startsWith('{')).map((line) => JSON.parse(line) as Record<string, unknown>);
  }

  async stop(): Promise<void> {
    await this.publisher?.close();
    await this.administration?.close();
    await Promise.all([...this.processes.values()].map((process) => process.stopAtOnce()));
    this.processes.clear();
    await this.nats.stop();
    if (this.ownPostgres) await this.ownPostgres.stop();
    else await this.freshDatabase?.drop();
    this.folder.remove();
  }

  private async bringUp(options: SystemOptions): Promise<void> {
    if (options.ownPostgres) this.ownPostgres = await FreshPostgres.start();
    const server = this.ownPostgres?.url;
    if (options.logins) {
      this.freshDatabase = await freshDatabase(undefined, server);
      const { migrate, ...logins } = await options.logins(this.freshDatabase.url);
      await this.migrate(migrate);
      this.logins = logins;
    } else this.freshDatabase = await freshDatabase({ name: 'system', migrate: (url) => this.migrate(url) }, server);
    this.env['DATABASE_URL'] = this.freshDatabase.url;
    await makeStreams(this.nats.url);
    const wanted: Record<ServiceName, number> = {
      'data-service': options.dataServices ?? 1,
      'webhook-service': options.webhookServices ?? 1,
      dispatcher: options.dispatchers ?? 1,
      'api-gateway': options.gateways ?? 1,
    };
    const instances = services.flatMap((service) =>
      Array.from({ length: wanted[service] }, (_, index) => instanceName(service, index + 1)),
    );
    await Promise.all(instances.map((instance) => this.startInstance(instance)));
    this.administration = await Administration.connect(this.nats.url, this.adminToken);
  }

  private async migrate(url: string): Promise<void> {
    const options = { env: { ...this.env, DATABASE_URL: url }, logFile: path.join(this.folder.path, 'migrate.log') };
    await migrateAll(() => options);
  }

  private instance(instance: InstanceName): ServiceProcess {
    const found = this.processes.get(instance);
    if (!found) throw new Error(`${instance} is not running.`);
    return found;
  }

  private ready(instance: InstanceName): Ready {
    const found = this.readiness.get(instance);
    if (!found) throw new Error(`${instance} is not running.`);
    return found;
  }

  private forget(instance: InstanceName): void {
    this.processes.delete(instance);
    this.readiness.delete(instance);
    this.folder.letGo(instance);
  }

  private logFile(instance: InstanceName): string {
    return path.join(this.folder.path, `${instance}.log`);
  }

  private completed(spaceId: string, event: PublishedEvent): PublishedEvent & { id: string; source: string } {
    this.events += 1;
    // Each later than the one before, so that events without a version keep their order.
    this.lastEventTime = Math.max(Date.now(), this.lastEventTime + 1);
    return {
      ...{ specversion: '1.0', spaceid: spaceId, datacontenttype: 'application/json' },
      id: `${process.pid}-${this.events}`,
      source: '/tests',
      time: new Date(this.lastEventTime).toISOString(),
      ...event,
    };
  }

  private async lastSequences(): Promise<{ DOMAIN: number; BACKFILL: number }> {
    this.publisher ??= await connect({ servers: this.nats.url, maxReconnectAttempts: -1, reconnectTimeWait: 50 });
    const { streams } = await this.publisher.jetstreamManager();
    const last = async (stream: string): Promise<number> => (await streams.info(stream)).state.last_seq;
    return { DOMAIN: await last('DOMAIN'), BACKFILL: await last('BACKFILL') };
  }
}

export function startSystem(options: SystemOptions = {}): Promise<TestSystem> {
  return TestSystem.start(options);
}

/** The migration makes them too, but it runs once per template, and each system has a NATS of its own. */
async function makeStreams(natsUrl: string): Promise<void> {
  const link = new NatsLink({ natsUrl }, 'test', Log.create('test', 'silent'));
  await link.whenConnected();
  await ensureStreams(link, 1);
  await link.close();
}

function instanceName(service: ServiceName, number: number): InstanceName {
  return number === 1 ? service : `${service}#${number}`;
}

function serviceOf(instance: InstanceName): ServiceName {
  const name = instance.replace(/#\d+$/, '');
  const service = services.find((candidate) => candidate === name);
  if (!service) throw new Error(`There is no service ${name}.`);
  return service;
}
