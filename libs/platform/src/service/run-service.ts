import 'reflect-metadata';
import { type DynamicModule, type INestApplicationContext, type LoggerService, type Type } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import type { MicroserviceOptions, NestMicroservice } from '@nestjs/microservices';
import type { FastifyAdapter, NestFastifyApplication } from '@nestjs/platform-fastify';
import {
  current,
  readSettings,
  settingsSummary,
  SettingsError,
  type CommonSettings,
  type SettingsSpec,
} from '../config';
import {
  makeDatabase,
  missingMigrations,
  poolUsage,
  type DatabaseOptions,
  type MigrationOptions,
  type Schema,
} from '../database';
import { Log } from '../logs';
import { Metrics } from '../metrics';
import { NatsLink } from '../nats';
import { RpcClient, RpcServer } from '../rpc';
import { startTracing } from '../tracing';
import { Drain } from './drain';
import { Health } from './health';
import { ManagementServer } from './management-server';
import { PassErrors } from './pass-errors';
import { PlatformModule, type PlatformParts } from './platform.module';
import { Startup } from './startup';

/** A service that also has a door for the outside, which opens before the database is there: its hooks do not need it. */
export interface HttpDefinition<S> {
  adapter(settings: S): FastifyAdapter;
  /** Everything that must be there before the first request. */
  configure(app: NestFastifyApplication, settings: S): Promise<void> | void;
  address(settings: S): { readonly port: number; readonly host: string };
}

export interface ServiceDefinition<S extends CommonSettings> {
  readonly name: string;
  readonly settings: SettingsSpec<S>;
  readonly database?: DatabaseOptions;
  /** What it reads and writes: it does nothing before the database has these migrations. */
  readonly schema: Schema;
  module(settings: S): DynamicModule | Type;
  /** `main.js migrate [--stopped]`: brings the service's own schema (and streams) to today's form, then exits. */
  migrate?(settings: S, options: Pick<MigrationOptions, 'log' | 'stopped'>): Promise<void>;
  readonly http?: HttpDefinition<S>;
}

/** Finished by then or cut: Kubernetes kills after 30 s (DESIGN §5). */
const hardStopMs = 28_000;
const readyPollMs = 25;
const schemaPollMs = 250;

/** The whole life of a service's process: settings, wiring, readiness, drain. Does not return before the service is up. */
export async function runService<S extends CommonSettings>(definition: ServiceDefinition<S>): Promise<void> {
  const settings = settingsOrExit(definition);
  const log = Log.create(definition.name, settings.logLevel);
  const fatal = (error: unknown) => {
    log.error({ error: error instanceof Error ? error.stack : String(error) }, 'stopped by an unexpected error');
    process.exit(1);
  };
  process.on('uncaughtException', fatal);
  process.on('unhandledRejection', fatal);
  try {
    if (process.argv[2] === 'migrate') {
      await definition.migrate?.(settings, { log, stopped: process.argv.includes('--stopped') });
      process.exit(0);
    }
    await serve(definition, settings, log);
  } catch (error) {
    fatal(error);
  }
}

function settingsOrExit<S extends CommonSettings>(definition: ServiceDefinition<S>): S {
  try {
    return readSettings(definition.settings);
  } catch (error) {
    if (!(error instanceof SettingsError)) throw error;
    process.stderr.write(`${definition.name}: ${error.message.replaceAll('\n', '\n  ')}\n`);
    process.exit(1);
  }
}

async function serve<S extends CommonSettings>(definition: ServiceDefinition<S>, settings: S, log: Log): Promise<void> {
  const started = performance.now();
  const tracing = await startTracing(definition.name, settings, log);
  const metrics = new Metrics(definition.name);
  const drain = new Drain();
  const health = new Health(drain);
  const startup = new Startup();
  const link = new NatsLink(settings, definition.name, log);
  const database = makeDatabase(current(settings, 'databaseUrl'), {
    applicationName: definition.name,
    ...definition.database,
  });
  const rpc = new RpcClient(link);
  const parts: PlatformParts = { settings, database, link, rpc, log, metrics, drain, health, startup };
  health.add('postgres', () => database.ping());
  health.add('nats', () => link.ping());
  health.add('schema', async () => {
    const missing = await missingMigrations(database, definition.schema);
    if (missing !== 'unknown' && missing.length) throw new Error(`waits for migrations: ${missing.join(', ')}`);
  });
  metrics.gauge(
    'db_client_connections',
    'Connections in use and idle, and requests that wait for one, by pool.',
    ['pool', 'state'],
    (gauge) => {
      for (const [pool, usage] of poolUsage())
        for (const [state, count] of Object.entries(usage)) gauge.set({ pool, state }, count);
    },
  );

  const management = new ManagementServer(health, metrics);
  const managementUrl = await management.listen(settings.managementPort, settings.managementHost);
  const operations = new RpcServer(definition.name, link, log, metrics, current(settings, 'adminToken'));
  const running: Running = { operations, parts, management, tracing, drainDelayMs: settings.drainDelayMs };
  health.add('start', () => (running.app ? Promise.resolve() : Promise.reject(new Error('starting'))));
  stopOnSignal(running);
  const url = await start(definition, settings, running);
  if (drain.draining) return;
  startup.finish();

  await untilReady(parts);
  const ready = { service: definition.name, pid: process.pid, managementUrl, ...(url ? { url } : {}) };
  log.info(
    {
      ...ready,
      startMs: Math.round(performance.now() - started),
      settings: settingsSummary(definition.settings, settings),
    },
    'ready',
  );
  process.send?.({ type: 'ready', ...ready });
}

/**
 * A door for the outside opens at once: whoever comes is told to come back (`Startup`) instead of being turned away by nobody.
 * Operations and consumers wait for the schema: other instances answer meanwhile, and an operation that this one took would
 * fail for want of a table.
 */
async function start<S extends CommonSettings>(
  definition: ServiceDefinition<S>,
  settings: S,
  running: Running,
): Promise<string | undefined> {
  const { parts, operations } = running;
  const root: DynamicModule = {
    module: class Root {},
    imports: [PlatformModule.of(parts), definition.module(settings) as Type],
  };
  const isMigrated = () => untilMigrated(definition.schema, parts);
  if (!definition.http) {
    if (await isMigrated()) running.app = await startOperations(root, operations, parts.log);
    return undefined;
  }
  const app = await openDoor(root, definition.http, settings, operations, parts.log);
  running.app = app;
  const url = await app.getUrl();
  parts.log.info({ service: definition.name, pid: process.pid, url }, 'listening');
  if (await isMigrated()) await app.startAllMicroservices();
  return url;
}

async function startOperations(root: DynamicModule, strategy: RpcServer, log: Log): Promise<INestApplicationContext> {
  const app = await NestFactory.createMicroservice<MicroserviceOptions>(root, {
    strategy,
    logger: new NestLog(log),
    abortOnError: false,
  });
  app.useGlobalFilters(new PassErrors());
  await app.listen();
  return app;
}

async function openDoor<S extends CommonSettings>(
  root: DynamicModule,
  http: HttpDefinition<S>,
  settings: S,
  strategy: RpcServer,
  log: Log,
): Promise<NestFastifyApplication> {
  const app = await NestFactory.create<NestFastifyApplication>(root, http.adapter(settings), {
    logger: new NestLog(log),
    abortOnError: false,
    bodyParser: false,
  });
  // Set up when it starts, so that it takes our filter; the application runs the hooks of the modules they share.
  const operations = app.connectMicroservice<MicroserviceOptions>(
    { strategy },
    { deferInitialization: true },
  ) as NestMicroservice;
  operations.setIsInitHookCalled(true);
  operations.useGlobalFilters(new PassErrors());
  await http.configure(app, settings);
  const { port, host } = http.address(settings);
  await app.listen(port, host);
  return app;
}

/** False when the process is told to stop before the schema is there. */
async function untilMigrated(schema: Schema, { database, drain, health, log }: PlatformParts): Promise<boolean> {
  for (let said = ''; !drain.draining;) {
    // Also where there is no such database or login yet: whoever makes them may be slower than we are.
    const missing = await missingMigrations(database, schema).catch((error: unknown) => String(error));
    if (missing.length === 0) return true;
    const { checks } = missing === 'unknown' ? await health.report() : {};
    const now = JSON.stringify({ missing, checks });
    if (now !== said) log.info({ schema: schema.name, missing, checks }, 'waits for its schema');
    said = now;
    await new Promise((resolve) => setTimeout(resolve, schemaPollMs));
  }
  return false;
}

async function untilReady({ health, drain, log }: PlatformParts): Promise<void> {
  for (let said = ''; !drain.draining;) {
    const { ready, checks } = await health.report();
    if (ready) return;
    const now = JSON.stringify(checks);
    if (now !== said) log.info({ checks }, 'waits for what it needs');
    said = now;
    await new Promise((resolve) => setTimeout(resolve, readyPollMs));
  }
}

interface Running {
  /** Once it has started. */
  app?: { close(): Promise<void> };
  operations: RpcServer;
  parts: PlatformParts;
  management: ManagementServer;
  tracing: { stop(): Promise<void> };
  drainDelayMs: number;
}

/**
 * Unready at once, serving for the probe interval, then: operations, whose handlers may need what ends after them, consumers,
 * requests in hand, connections, exit 0.
 * Ctrl-C is a person at a terminal: nobody has to notice first, so it does not wait for the interval.
 */
function stopOnSignal(running: Running): void {
  const { operations, parts, management, tracing, drainDelayMs } = running;
  const { drain, database, link, log } = parts;
  const stop = async (signal: NodeJS.Signals) => {
    if (drain.draining) return;
    drain.begin();
    const waitMs = signal === 'SIGINT' ? 0 : drainDelayMs;
    log.info({ signal, waitMs }, 'draining');
    setTimeout(() => {
      log.error({}, 'not finished in time, stopped');
      process.exit(1);
    }, hardStopMs).unref();
    await new Promise((resolve) => setTimeout(resolve, waitMs));
    await operations.close();
    const failures = await drain.run();
    for (const { what, error } of failures) log.error({ what, error: String(error) }, 'could not finish');
    await running.app?.close();
    await database.close();
    await link.close();
    await management.close();
    await tracing.stop();
    log.info({}, 'stopped');
    process.exit(failures.length ? 1 : 0);
  };
  for (const signal of ['SIGTERM', 'SIGINT'] as const) process.on(signal, () => void stop(signal));
}

/** Nest's own messages in our logs: what went wrong, without the start-up chatter. */
class NestLog implements LoggerService {
  constructor(private readonly target: Log) {}

  log(): void {
    return;
  }

  warn(message: unknown, context?: string): void {
    this.target.warn({ context }, String(message));
  }

  error(message: unknown, stack?: string, context?: string): void {
    this.target.error({ stack, context }, String(message));
  }
}
