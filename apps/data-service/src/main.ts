import { runMigrations } from '@keyturn/platform/database';
import { ensureStreams, NatsLink } from '@keyturn/platform/nats';
import { runService } from '@keyturn/platform/service';
import { DataModule } from './data.module';
import { migrations } from './migrations';
import { dataSettings } from './settings';

const schema = { name: 'data', migrations };

void runService({
  name: 'data-service',
  schema,
  settings: dataSettings,
  module: () => DataModule,
  async migrate(settings, options) {
    const { log } = options;
    await runMigrations({ ...options, url: settings.databaseUrl, schema: 'data', migrations });
    const link = new NatsLink(settings, 'data-service', log);
    await link.whenConnected();
    await ensureStreams(link, settings.streamReplicas);
    await link.close();
  },
});
