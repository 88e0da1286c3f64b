import { runMigrations } from '@keyturn/platform/database';
import { runService } from '@keyturn/platform/service';
import { webhookMigrations } from '@keyturn/webhook-store';
import { webhookServiceSettings } from './settings';
import { WebhookServiceModule } from './webhook-service.module';

void runService({
  name: 'webhook-service',
  schema: { name: 'webhooks', migrations: webhookMigrations },
  settings: webhookServiceSettings,
  module: () => WebhookServiceModule,
  migrate: (settings, options) =>
    runMigrations({ ...options, url: settings.databaseUrl, schema: 'webhooks', migrations: webhookMigrations }),
});
