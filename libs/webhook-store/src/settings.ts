import { setting } from '@keyturn/platform/config';

/** What webhook-service and dispatcher must agree on: both read these from their environment (DESIGN §5). */
export const webhookSettings = {
  /** Plain http to the addresses of `allowCidrs`. */
  allowHttp: setting.flag('WEBHOOK_ALLOW_HTTP', false),
  /** Ranges that may be reached although they are not public. */
  allowCidrs: setting.cidrs('WEBHOOK_ALLOW_CIDRS'),
  /** Offsets between attempts, each from the end of the attempt before (X3). */
  retryScheduleMs: setting.durations('WEBHOOK_RETRY_SCHEDULE', '30s,1m,15m,30m,1h,2h,4h,8h'),
  /** Keys before `SECRETS_KEY`, while something is still sealed under them. */
  secretsKeyPrevious: setting.secrets('SECRETS_KEY_PREVIOUS'),
  /** How long after a failed probe an endpoint that is off by failure is tried again. */
  probeIntervalMs: setting.duration('WEBHOOK_PROBE_INTERVAL', '5m'),
  /** The whole exchange with a receiver. */
  timeoutMs: setting.duration('WEBHOOK_TIMEOUT', '5s'),
} as const;
