import { runMigrations } from '@keyturn/platform/database';
import { runService } from '@keyturn/platform/service';
import { webhookMigrations } from '@keyturn/webhook-store';
import { webhookServiceSettings } from './settings';
import { WebhookServiceModule } from './webhook-service.module';

void runService({
  name: 'webhook-service',
  settings: webhookServiceSettings,
  module: () => WebhookServiceModule,
  migrate: (settings, log) =>
    runMigrations({ url: settings.databaseUrl, schema: 'webhooks', migrations: webhookMigrations, log }),
});
