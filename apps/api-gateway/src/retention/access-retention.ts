import { Inject, Injectable } from '@nestjs/common';
import type { RetentionReport } from '@keyturn/contracts';
import { Database, statement, type Statement } from '@keyturn/platform/database';
import { SETTINGS } from '@keyturn/platform/service';
import type { GatewaySettings } from '../settings';

const day = 24 * 60 * 60 * 1000;

/** Rows a statement: none of them runs long. */
const batch = 5_000;

const sweep = (name: string, table: string, key: string, condition: string) =>
  statement(
    `access.retention.${name}`,
    `with gone as (
       delete from access.${table} where ${key} in (select ${key.replace(/[()]/g, '')} from access.${table} where ${condition} limit ${batch})
       returning 1
     ) select count(*) as gone from gone`,
  );

/** What is dropped, and from which moment back. */
const sweeps = {
  sessions: sweep('sessions', 'session', 'sha256', 'expires_at < $1'),
  loginAttempts: sweep('login', 'login_attempt', 'id', 'at < $1'),
  // A key that opens nothing any more needs no limit; the permits of living keys come back by themselves.
  permits: sweep(
    'permits',
    'permit',
    '(key_id, until)',
    'key_id in (select id from access.api_key where revoked_at < $1 or expires_at < $1)',
  ),
  audit: sweep('audit', 'audit', 'id', 'at < $1'),
} as const;

/** Forgets what schema `access` no longer needs. */
@Injectable()
export class AccessRetention {
  constructor(
    private readonly database: Database,
    @Inject(SETTINGS) private readonly settings: GatewaySettings,
  ) {}

  async run(now: Date): Promise<RetentionReport> {
    const before = (ms: number) => new Date(now.getTime() - ms);
    const limits = {
      sessions: now,
      loginAttempts: before(day),
      permits: before(day),
      audit: before(this.settings.auditRetentionMs),
    };
    const report: RetentionReport = {};
    for (const [kind, limit] of Object.entries(limits))
      report[kind] = await this.drop(sweeps[kind as keyof typeof limits], limit);
    return report;
  }

  private async drop(sweepOnce: Statement, limit: Date): Promise<number> {
    const queries = this.database.acrossSpaces('retention is the same for every Space');
    for (let total = 0; ;) {
      const [{ gone } = { gone: '0' }] = await queries.query<{ gone: string }>(sweepOnce, [limit]);
      total += Number(gone);
      if (Number(gone) < batch) return total;
    }
  }
}
