import { runMigrations } from '@keyturn/platform/database';
import { ensureStreams, NatsLink } from '@keyturn/platform/nats';
import { runService } from '@keyturn/platform/service';
import { DataModule } from './data.module';
import { migrations } from './migrations';
import { dataSettings } from './settings';

void runService({
  name: 'data-service',
  settings: dataSettings,
  module: () => DataModule,
  async migrate(settings, log) {
    await runMigrations({ url: settings.databaseUrl, schema: 'data', migrations, log });
    const link = new NatsLink(settings, 'data-service', log);
    await link.whenConnected();
    await ensureStreams(link, settings.streamReplicas);
    await link.close();
  },
});
