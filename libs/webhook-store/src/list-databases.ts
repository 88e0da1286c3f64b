import { sessionSettings, type SessionKind } from '@keyturn/list-query';
import { makeDatabase, type Database, type DatabaseUrl } from '@keyturn/platform/database';

/** Connections for lists: what walks an index and what is planned for its Space keep apart. */
export type ListDatabases = Readonly<Record<SessionKind, Database>>;

export function makeListDatabases(url: DatabaseUrl, max: number, applicationName = 'keyturn lists'): ListDatabases {
  const make = (kind: SessionKind) =>
    makeDatabase(url, { max, applicationName: `${applicationName} ${kind}`, sessionSettings: sessionSettings[kind] });
  return { walk: make('walk'), scan: make('scan') };
}
