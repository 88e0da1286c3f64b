import { NestFactory } from '@nestjs/core';
import type { MicroserviceOptions, NestMicroservice } from '@nestjs/microservices';
import type { NestFastifyApplication } from '@nestjs/platform-fastify';
import type { ApiKeySummary, OperationName, ReplyOf, RequestOf, SpaceSummary } from '@keyturn/contracts';
import { readSettings } from '@keyturn/platform/config';
import { makeDatabase, runMigrations } from '@keyturn/platform/database';
import { Log } from '@keyturn/platform/logs';
import { Metrics } from '@keyturn/platform/metrics';
import { NatsLink } from '@keyturn/platform/nats';
import { RpcClient, RpcServer, type RpcCall, type RpcReply } from '@keyturn/platform/rpc';
import { Drain, Health, PassErrors, PlatformModule, Startup } from '@keyturn/platform/service';
import { gatewayHttp } from './gateway.http';
import { GatewayModule } from './gateway.module';
import { migrations } from './migrations';
import { gatewaySettings, type GatewaySettings } from './settings';

/**
 * For the tests of this app: the whole gateway in this process, on a real Postgres and a real NATS. What stands behind it
 * answers over the real transport ({@link StandIn}).
 */

const log = Log.create('test', 'silent');
const adminToken = 'a'.repeat(40);

/** Schema `access` in an empty database. */
export const accessTemplate = {
  name: 'access',
  migrate: (url: string) => runMigrations({ url, schema: 'access', migrations, log }),
};

export type Handler<N extends OperationName> = (call: RpcCall<N>) => RpcReply<N> | Promise<RpcReply<N>>;

/** Answers operations in the place of the services that own them. */
export class StandIn {
  private constructor(
    private readonly link: NatsLink,
    private readonly server: RpcServer,
  ) {}

  static async start(natsUrl: string, handlers: { readonly [N in OperationName]?: Handler<N> }): Promise<StandIn> {
    const link = new NatsLink({ natsUrl }, 'stand-in', log);
    const server = new RpcServer('stand-in', link, log, new Metrics('stand-in'), adminToken);
    for (const [operation, handler] of Object.entries(handlers))
      server.addHandler(operation, async (call) => (handler as Handler<OperationName>)(call as RpcCall<OperationName>));
    server.listen(() => undefined);
    const connection = await link.whenConnected();
    await connection.flush();
    return new StandIn(link, server);
  }

  async close(): Promise<void> {
    await this.server.close();
    await this.link.close();
  }
}

/** One replica. */
export class RunningGateway {
  private constructor(
    readonly url: string,
    readonly drain: Drain,
    private readonly app: NestFastifyApplication,
    private readonly rpc: RpcClient,
    private readonly stop: () => Promise<void>,
  ) {}

  static async start(
    databaseUrl: string,
    natsUrl: string,
    overrides: Partial<GatewaySettings> = {},
  ): Promise<RunningGateway> {
    const settings: GatewaySettings = {
      ...readSettings(gatewaySettings, {
        DATABASE_URL: databaseUrl,
        NATS_URL: natsUrl,
        SECRETS_KEY: 's'.repeat(40),
        ADMIN_TOKEN: adminToken,
        GATEWAY_PORT: '0',
      }),
      ...overrides,
    };
    const metrics = new Metrics('api-gateway');
    const drain = new Drain();
    const startup = new Startup();
    startup.finish();
    const link = new NatsLink({ natsUrl }, 'api-gateway', log);
    const database = makeDatabase(databaseUrl, { applicationName: 'api-gateway' });
    const rpc = new RpcClient(link);
    const parts = { settings, database, link, rpc, log, metrics, drain, health: new Health(drain), startup };
    const root = { module: class Root {}, imports: [PlatformModule.of(parts), GatewayModule.of(settings)] };
    const app = await NestFactory.create<NestFastifyApplication>(root, gatewayHttp.adapter(settings), {
      logger: false,
      bodyParser: false,
    });
    const strategy = new RpcServer('api-gateway', link, log, metrics, adminToken);
    const operations = app.connectMicroservice<MicroserviceOptions>(
      { strategy },
      { deferInitialization: true },
    ) as NestMicroservice;
    operations.setIsInitHookCalled(true);
    operations.useGlobalFilters(new PassErrors());
    await gatewayHttp.configure(app, settings);
    await app.startAllMicroservices();
    await app.listen(0, '127.0.0.1');
    const connection = await link.whenConnected();
    await connection.flush();
    return new RunningGateway(await app.getUrl(), drain, app, rpc, async () => {
      await app.close();
      await database.close();
      await link.close();
    });
  }

  /** The injected part of that class. */
  part<T>(type: abstract new (...args: never[]) => T): T {
    return this.app.get<T>(type);
  }

  async admin<N extends OperationName>(operation: N, request: RequestOf<N>): Promise<ReplyOf<N>> {
    return (await this.rpc.request(operation, request, { adminToken, deadlineMs: 10_000 })).head;
  }

  createSpace(slug: string, more: Partial<RequestOf<'admin.spaces.create'>> = {}): Promise<SpaceSummary> {
    return this.admin('admin.spaces.create', { name: slug, slug, ownerEmail: `owner@${slug}.example`, ...more });
  }

  createKey(
    space: string,
    more: Partial<RequestOf<'admin.keys.create'>> = {},
  ): Promise<ApiKeySummary & { key: string }> {
    return this.admin('admin.keys.create', { space, name: 'test', ...more });
  }

  close(): Promise<void> {
    return this.stop();
  }
}
