import { Injectable, type OnApplicationShutdown } from '@nestjs/common';
import { current } from '@keyturn/platform/config';
import { makeDatabase, type Database } from '@keyturn/platform/database';
import type { GatewaySettings } from '../settings';

/**
 * Connections for admissions alone. Their commits do not wait for the disk: what a crash of Postgres may lose is the count of
 * the last fraction of a second, and a disk write for each request would be the price of keeping it.
 */
@Injectable()
export class AdmitDatabase implements OnApplicationShutdown {
  readonly database: Database;

  constructor(settings: GatewaySettings) {
    this.database = makeDatabase(current(settings, 'databaseUrl'), {
      applicationName: 'api-gateway admit',
      max: settings.admitConnections,
      statementTimeoutMs: 1_500,
      giveUpMs: 1_600,
      sessionSettings: { synchronous_commit: 'off' },
    });
  }

  /** After the last request has been answered. */
  onApplicationShutdown(): Promise<void> {
    return this.database.close();
  }
}
