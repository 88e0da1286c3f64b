import { Inject, Injectable, type OnModuleDestroy } from '@nestjs/common';
import { sessionSettings, type SessionKind } from '@keyturn/list-query';
import { makeDatabase, type Database } from '@keyturn/platform/database';
import { Metrics } from '@keyturn/platform/metrics';
import { SETTINGS } from '@keyturn/platform/service';
import type { DataSettings } from '../settings';

/**
 * The connections that reads run on, apart from those that write: some held to walking indexes, some that plan each
 * statement for its Space. A slow filter can take all of the latter and no page by an index waits for it.
 */
@Injectable()
export class ReadPools implements OnModuleDestroy {
  private readonly pools: Readonly<Record<SessionKind, Database>>;

  constructor(@Inject(SETTINGS) settings: DataSettings, metrics: Metrics) {
    const pool = (kind: SessionKind, max: number) =>
      makeDatabase(settings.databaseUrl, {
        max,
        applicationName: `data-service ${kind}`,
        sessionSettings: sessionSettings[kind],
      });
    this.pools = { walk: pool('walk', settings.readConnections), scan: pool('scan', settings.scanConnections) };
    metrics.gauge(
      'data_read_connections',
      'Connections that reads run on, by pool and state.',
      ['pool', 'state'],
      (gauge) => {
        for (const [pool, database] of Object.entries(this.pools))
          for (const [state, count] of Object.entries(database.usage)) gauge.set({ pool, state }, count);
      },
    );
  }

  of(kind: SessionKind): Database {
    return this.pools[kind];
  }

  async onModuleDestroy(): Promise<void> {
    await Promise.all(Object.values(this.pools).map((pool) => pool.close()));
  }
}
