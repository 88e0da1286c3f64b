import { commonSettings, setting, type SettingsOf } from '@keyturn/platform/config';
import { webhookSettings } from '@keyturn/webhook-store';

export const dispatcherSettings = {
  ...commonSettings,
  ...webhookSettings,
  /** Retries come up to a tenth later than scheduled, so that what failed together does not come back together. */
  retryJitter: setting.flag('WEBHOOK_RETRY_JITTER', true),
  connectTimeoutMs: setting.duration('WEBHOOK_CONNECT_TIMEOUT', '3s'),
  /** Certificates to trust beside the system's: a file in PEM. */
  caFile: setting.optionalText('WEBHOOK_CA_FILE'),
  /** `http[s]://[user:password@]host:port`; the guard stays, and the proxy is given addresses, never names. */
  proxy: setting.optionalUrl('WEBHOOK_PROXY', ['http', 'https']),
  /** Who asks and who sends, as a DNS name: what a receiver that is asked for its consent is told. */
  origin: setting.hostName('WEBHOOK_ORIGIN', 'keyturn'),
  /** `address[:port]` of DNS servers, in place of the machine's own. */
  dnsServers: setting.list('WEBHOOK_DNS_SERVERS'),
  /** Requests in flight, over all endpoints. */
  maxInFlight: setting.integer('WEBHOOK_MAX_IN_FLIGHT', 500, { min: 1, max: 10_000 }),
  /** What a dispatcher that died had in hand is taken over after so long. */
  leaseMs: setting.duration('WEBHOOK_LEASE', '6s'),
} as const;

export type DispatcherSettings = SettingsOf<typeof dispatcherSettings>;
