import { commonSettings, setting, type Setting, type SettingsOf } from '@keyturn/platform/config';

/** Which forwarded addresses are believed: none, those of so many proxies in front, or those of proxies in these ranges. */
export type TrustProxy = false | number | string;

const trustProxy: Setting<TrustProxy> = (() => {
  const raw = setting.text('TRUST_PROXY', 'off');
  const ranges = setting.cidrs('TRUST_PROXY');
  return {
    ...raw,
    read(text) {
      const value = raw.read(text).toLowerCase();
      if (['off', 'false', 'no', '0'].includes(value)) return false;
      if (['on', 'true', 'yes'].includes(value)) return 1;
      if (/^\d{1,2}$/.test(value)) return Number(value);
      return ranges.read(text).join(',');
    },
  };
})();

export const gatewaySettings = {
  ...commonSettings,
  port: setting.port('GATEWAY_PORT', 3000),
  host: setting.text('GATEWAY_HOST', '127.0.0.1'),
  trustProxy,
  /** Requests a minute without a valid key, by client address. */
  addressLimit: setting.integer('ADDRESS_RATE_LIMIT', 600, { min: 1, max: 60_000 }),
  /** Statements that admit requests run on connections of their own: a slow query elsewhere must not hold up the door. */
  admitConnections: setting.integer('ADMIT_CONNECTIONS', 8, { min: 1, max: 100 }),
  sessionLifetimeMs: setting.duration('SESSION_LIFETIME', '12h'),
  auditRetentionMs: setting.duration('AUDIT_RETENTION', '365d'),
  /** How long what a deleted Space had is kept. */
  spacePurgeAfterMs: setting.duration('SPACE_PURGE_AFTER', '7d'),
} as const;

export type GatewaySettings = SettingsOf<typeof gatewaySettings>;
