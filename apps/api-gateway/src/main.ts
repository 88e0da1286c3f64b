import { runMigrations } from '@keyturn/platform/database';
import { runService } from '@keyturn/platform/service';
import { gatewayHttp } from './gateway.http';
import { GatewayModule } from './gateway.module';
import { migrations } from './migrations';
import { openApiText } from './openapi/document';
import { gatewaySettings } from './settings';

if (process.argv[2] === 'openapi')
  // For `npm run openapi`: the document alone, without settings or anything that runs.
  process.stdout.write(openApiText());
else
  void runService({
    name: 'api-gateway',
    schema: { name: 'access', migrations },
    settings: gatewaySettings,
    module: (settings) => GatewayModule.of(settings),
    http: gatewayHttp,
    migrate: ({ databaseUrl }, options) =>
      runMigrations({ ...options, url: databaseUrl, schema: 'access', migrations }),
  });
