import { runService } from '@keyturn/platform/service';
import { DispatcherModule } from './dispatcher.module';
import { dispatcherSettings, type DispatcherSettings } from './dispatcher.settings';

void runService<DispatcherSettings>({
  name: 'dispatcher',
  settings: dispatcherSettings,
  database: { max: 10 },
  module: (settings) => DispatcherModule.with(settings),
});
