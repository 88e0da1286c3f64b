import { Inject, Injectable, type OnModuleDestroy } from '@nestjs/common';
import { sessionSettings, type SessionKind } from '@keyturn/list-query';
import { current } from '@keyturn/platform/config';
import { makeDatabase, type Database, type DatabaseOptions, type DatabaseUrl } from '@keyturn/platform/database';
import { SETTINGS } from '@keyturn/platform/service';
import type { DataSettings } from '../settings';

/** Connections of each kind to one server. */
export function makeReadPools(
  url: DatabaseUrl,
  settings: Pick<DataSettings, 'readConnections' | 'scanConnections'>,
  name = '',
  options: DatabaseOptions = {},
): Readonly<Record<SessionKind, Database>> {
  const pool = (kind: SessionKind, max: number) =>
    makeDatabase(url, {
      ...options,
      max,
      applicationName: `data-service ${name}${kind}`,
      sessionSettings: sessionSettings[kind],
    });
  return { walk: pool('walk', settings.readConnections), scan: pool('scan', settings.scanConnections) };
}

/**
 * The connections that reads run on, apart from those that write: some held to walking indexes, some that plan each
 * statement for its Space. A slow filter can take all of the latter and no page by an index waits for it.
 */
@Injectable()
export class ReadPools implements OnModuleDestroy {
  private readonly pools: Readonly<Record<SessionKind, Database>>;

  constructor(@Inject(SETTINGS) settings: DataSettings) {
    this.pools = makeReadPools(current(settings, 'databaseUrl'), settings);
  }

  of(kind: SessionKind): Database {
    return this.pools[kind];
  }

  async onModuleDestroy(): Promise<void> {
    await Promise.all(Object.values(this.pools).map((pool) => pool.close()));
  }
}
