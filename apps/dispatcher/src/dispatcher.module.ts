import { readFileSync } from 'node:fs';
import { Module, type DynamicModule } from '@nestjs/common';
import { Database } from '@keyturn/platform/database';
import { AddressPolicy, PostgresDispatchStore, SecretBox } from '@keyturn/webhook-store';
import { DispatchEngine } from './delivery/dispatch-engine';
import { DispatchMetrics } from './delivery/dispatch-metrics';
import { IntakeKeeper } from './delivery/intake-keeper';
import { TestEventRpc } from './delivery/test-event.rpc';
import type { DispatcherSettings } from './dispatcher.settings';
import { Connections } from './outbound/connections';
import { AddressGuard } from './outbound/destination';
import { Dialler } from './outbound/dial';
import { Exchange } from './outbound/exchange';
import { Handshake } from './outbound/handshake';
import { HandshakeRpc } from './outbound/handshake.rpc';
import { NameResolver } from './outbound/name-resolver';

@Module({})
export class DispatcherModule {
  static with(settings: DispatcherSettings): DynamicModule {
    return {
      module: DispatcherModule,
      controllers: [TestEventRpc, HandshakeRpc],
      providers: [
        DispatchEngine,
        IntakeKeeper,
        DispatchMetrics,
        {
          provide: PostgresDispatchStore,
          inject: [Database],
          useFactory: (database: Database) =>
            new PostgresDispatchStore(database, new SecretBox(settings.secretsKey, settings.secretsKeyPrevious), {
              maxAttempts: settings.retryScheduleMs.length + 1,
              probeIntervalMs: settings.probeIntervalMs,
            }),
        },
        { provide: Exchange, useValue: exchangeWith(settings).exchange },
        {
          provide: Handshake,
          inject: [Exchange],
          useFactory: (exchange: Exchange) => new Handshake(exchange, settings.origin),
        },
      ],
    };
  }
}

/** The one way out of this system, and the connections it keeps. */
export function exchangeWith(settings: DispatcherSettings): { exchange: Exchange; connections: Connections } {
  const policy = new AddressPolicy(settings);
  const names = new NameResolver({ servers: settings.dnsServers });
  const connections = new Connections(
    new Dialler({
      ...(settings.caFile === undefined ? {} : { extraCa: readFileSync(settings.caFile, 'utf8') }),
      ...(settings.proxy === undefined ? {} : { proxy: settings.proxy }),
    }),
  );
  return { exchange: new Exchange(new AddressGuard(policy, names), connections, settings), connections };
}
