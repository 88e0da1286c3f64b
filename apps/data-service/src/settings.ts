import { commonSettings, setting, type SettingsOf } from '@keyturn/platform/config';

export const dataSettings = {
  ...commonSettings,
  /** A streaming replica for reads. */
  databaseReadUrl: setting.optionalDatabaseUrl('DATABASE_READ_URL'),
  /** Connections for requests that walk an index: short, and most of the traffic. */
  readConnections: setting.integer('READ_CONNECTIONS', 8, { min: 1, max: 200 }),
  /** Connections for filters, search and other lists whose cost depends on the Space. */
  scanConnections: setting.integer('SCAN_CONNECTIONS', 4, { min: 1, max: 200 }),
  /** How long what a deleted Space had is kept. */
  spacePurgeAfterMs: setting.duration('SPACE_PURGE_AFTER', '7d'),
} as const;

export type DataSettings = SettingsOf<typeof dataSettings>;
