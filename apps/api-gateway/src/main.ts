import { runMigrations } from '@keyturn/platform/database';
import { runService } from '@keyturn/platform/service';
import { gatewayHttp } from './gateway.http';
import { GatewayModule } from './gateway.module';
import { migrations } from './migrations';
import { gatewaySettings } from './settings';

void runService({
  name: 'api-gateway',
  settings: gatewaySettings,
  module: (settings) => GatewayModule.of(settings),
  http: gatewayHttp,
  migrate: ({ databaseUrl }, log) => runMigrations({ url: databaseUrl, schema: 'access', migrations, log }),
});
