import { runService } from '@keyturn/platform/service';
import { webhookMigrations } from '@keyturn/webhook-store';
import { DispatcherModule } from './dispatcher.module';
import { dispatcherSettings, type DispatcherSettings } from './dispatcher.settings';

void runService<DispatcherSettings>({
  name: 'dispatcher',
  schema: { name: 'webhooks', migrations: webhookMigrations },
  settings: dispatcherSettings,
  database: { max: 10 },
  module: (settings) => DispatcherModule.with(settings),
});
