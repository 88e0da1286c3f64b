import { Global, Module, type DynamicModule } from '@nestjs/common';
import { Database } from '../database';
import { Log } from '../logs';
import { Metrics } from '../metrics';
import { NatsLink } from '../nats';
import { RpcClient } from '../rpc';
import { Drain } from './drain';
import { Health } from './health';
import { Startup } from './startup';

/** Inject the service's own settings with it: `@Inject(SETTINGS) private readonly settings: GatewaySettings`. */
export const SETTINGS = Symbol('settings');

export interface PlatformParts {
  readonly settings: object;
  readonly database: Database;
  readonly link: NatsLink;
  readonly rpc: RpcClient;
  readonly log: Log;
  readonly metrics: Metrics;
  readonly drain: Drain;
  readonly health: Health;
  readonly startup: Startup;
}

/** The parts that every service has, injectable everywhere by their class. */
@Global()
@Module({})
export class PlatformModule {
  static of(parts: PlatformParts): DynamicModule {
    const providers = [
      { provide: SETTINGS, useValue: parts.settings },
      { provide: Database, useValue: parts.database },
      { provide: NatsLink, useValue: parts.link },
      { provide: RpcClient, useValue: parts.rpc },
      { provide: Log, useValue: parts.log },
      { provide: Metrics, useValue: parts.metrics },
      { provide: Drain, useValue: parts.drain },
      { provide: Health, useValue: parts.health },
      { provide: Startup, useValue: parts.startup },
    ];
    return { module: PlatformModule, providers, exports: providers };
  }
}
