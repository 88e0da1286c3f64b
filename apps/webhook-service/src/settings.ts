import { commonSettings, setting, type SettingsOf } from '@keyturn/platform/config';
import { webhookSettings } from '@keyturn/webhook-store';

export const webhookServiceSettings = {
  ...commonSettings,
  ...webhookSettings,
  /** Webhooks that a Space may have. */
  webhookQuota: setting.integer('WEBHOOK_QUOTA', 50, { min: 1 }),
  /** Test events that a Space may send in any minute. */
  testQuota: setting.integer('WEBHOOK_TEST_QUOTA', 10, { min: 1, max: 1_000 }),
  /** How long deliveries and their attempts are kept (T-118). */
  retentionMs: setting.duration('WEBHOOK_RETENTION', '30d'),
  /** Connections for lists, of each of the two kinds. */
  listConnections: setting.integer('WEBHOOK_LIST_CONNECTIONS', 4, { min: 1, max: 100 }),
} as const;

export type WebhookServiceSettings = SettingsOf<typeof webhookServiceSettings>;
