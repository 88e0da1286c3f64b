import { commonSettings, setting, type SettingsOf } from '@keyturn/platform/config';
import { webhookSettings } from '@keyturn/webhook-store';

export const webhookServiceSettings = {
  ...commonSettings,
  ...webhookSettings,
  /** Webhooks that a Space may have. */
  webhookQuota: setting.integer('WEBHOOK_QUOTA', 50, { min: 1 }),
  /** Test events that a Space may send in any minute. */
  testQuota: setting.integer('WEBHOOK_TEST_QUOTA', 10, { min: 1, max: 1_000 }),
  /** An endpoint without any success for so long goes off; warnings come at 50, 75 and 90 % of it. */
  disableAfterMs: setting.duration('WEBHOOK_DISABLE_AFTER', '5d'),
  /** So does one of whose attempts in 24 hours this share failed, … */
  disablePercent: setting.integer('WEBHOOK_DISABLE_PERCENT', 95, { min: 1, max: 100 }),
  /** … of at least so many. */
  disableMinAttempts: setting.integer('WEBHOOK_DISABLE_MIN_ATTEMPTS', 100, { min: 1 }),
  /** How often failing endpoints are looked at. */
  healthIntervalMs: setting.duration('WEBHOOK_HEALTH_INTERVAL', '10s'),
  /** Every receiver is asked for its consent before its URL is used; else those whose owner says so. */
  handshake: setting.flag('WEBHOOK_HANDSHAKE', false),
  /** How long deliveries and their attempts are kept (T-118). */
  retentionMs: setting.duration('WEBHOOK_RETENTION', '30d'),
  /** How long what a deleted Space had is kept. */
  spacePurgeAfterMs: setting.duration('SPACE_PURGE_AFTER', '7d'),
  /** Connections for lists, of each of the two kinds. */
  listConnections: setting.integer('WEBHOOK_LIST_CONNECTIONS', 4, { min: 1, max: 100 }),
} as const;

export type WebhookServiceSettings = SettingsOf<typeof webhookServiceSettings>;
