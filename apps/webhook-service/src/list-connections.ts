import { Inject, Injectable, type OnModuleDestroy } from '@nestjs/common';
import { current } from '@keyturn/platform/config';
import type { Database } from '@keyturn/platform/database';
import { SETTINGS } from '@keyturn/platform/service';
import { makeListDatabases, type ListDatabases } from '@keyturn/webhook-store';
import type { WebhookServiceSettings } from './settings';

/** Connections for lists; they close when the last request has been answered. */
@Injectable()
export class ListConnections implements ListDatabases, OnModuleDestroy {
  readonly walk: Database;
  readonly scan: Database;

  constructor(@Inject(SETTINGS) settings: WebhookServiceSettings) {
    const databases = makeListDatabases(
      current(settings, 'databaseUrl'),
      settings.listConnections,
      'webhook-service lists',
    );
    this.walk = databases.walk;
    this.scan = databases.scan;
  }

  async onModuleDestroy(): Promise<void> {
    await Promise.all([this.walk.close(), this.scan.close()]);
  }
}
