import { Module, type DynamicModule } from '@nestjs/common';
import { Database } from '@keyturn/platform/database';
import { AddressPolicy, PostgresDispatchStore, SecretBox } from '@keyturn/webhook-store';
import { DispatchEngine, readCa } from './delivery/dispatch-engine';
import { DispatchMetrics } from './delivery/dispatch-metrics';
import { TestEventRpc } from './delivery/test-event.rpc';
import type { DispatcherSettings } from './dispatcher.settings';
import { Connections } from './outbound/connections';
import { AddressGuard } from './outbound/destination';
import { Dialler } from './outbound/dial';
import { Exchange } from './outbound/exchange';
import { NameResolver } from './outbound/name-resolver';

@Module({})
export class DispatcherModule {
  static with(settings: DispatcherSettings): DynamicModule {
    return {
      module: DispatcherModule,
      controllers: [TestEventRpc],
      providers: [
        DispatchEngine,
        DispatchMetrics,
        {
          provide: PostgresDispatchStore,
          inject: [Database],
          useFactory: (database: Database) =>
            new PostgresDispatchStore(database, new SecretBox(settings.secretsKey), {
              maxAttempts: settings.retryScheduleMs.length + 1,
              probeIntervalMs: settings.probeIntervalMs,
            }),
        },
        { provide: Exchange, useValue: exchangeWith(settings) },
      ],
    };
  }
}

function exchangeWith(settings: DispatcherSettings): Exchange {
  const policy = new AddressPolicy(settings);
  const names = new NameResolver({ servers: settings.dnsServers });
  const dialler = new Dialler({
    ...readCa(settings.caFile),
    ...(settings.proxy === undefined ? {} : { proxy: settings.proxy }),
  });
  return new Exchange(new AddressGuard(policy, names), new Connections(dialler), settings);
}
