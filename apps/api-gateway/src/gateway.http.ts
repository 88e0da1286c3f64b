import type { HttpDefinition } from '@keyturn/platform/service';
import { FailureResponder } from './http/failure-responder';
import { Gate } from './http/gate';
import { GatewayAdapter } from './http/gateway-adapter';
import { RequestMetrics } from './http/request-metrics';
import type { GatewaySettings } from './settings';

/** The door for the outside. */
export const gatewayHttp: HttpDefinition<GatewaySettings> = {
  adapter: (settings) => new GatewayAdapter(settings.trustProxy),
  configure(app) {
    const adapter = app.getHttpAdapter() as unknown as GatewayAdapter;
    adapter.connect({
      gate: app.get(Gate),
      failures: app.get(FailureResponder),
      metrics: app.get(RequestMetrics),
    });
  },
  address: ({ port, host }) => ({ port, host }),
};
