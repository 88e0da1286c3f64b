import { Inject, Injectable } from '@nestjs/common';
import type { RetentionReport } from '@keyturn/contracts';
import { Database, purgeSpaces, statement, type PurgePlan } from '@keyturn/platform/database';
import { Log } from '@keyturn/platform/logs';
import { SETTINGS } from '@keyturn/platform/service';
import type { GatewaySettings } from '../settings';

const plan: PurgePlan = {
  due: statement(
    'access.purge.due',
    `select id as space_id from access.space
     where status = 'deleted' and purged_at is null and deleted_at < $1 order by deleted_at, id limit 1000`,
  ),
  lock: statement(
    'access.purge.lock',
    `select id from access.space where id = $1 and status = 'deleted' and purged_at is null for update skip locked`,
  ),
  steps: [
    statement(
      'access.purge.permits',
      `with gone as (
         delete from access.permit where (key_id, until) in (
           select p.key_id, p.until from access.permit p join access.api_key k on k.id = p.key_id
           where k.space_id = $1 limit $2)
         returning 1
       ) select count(*) as gone from gone`,
    ),
    statement(
      'access.purge.keys',
      `with gone as (
         delete from access.api_key where id in (select id from access.api_key where space_id = $1 limit $2) returning 1
       ) select count(*) as gone from gone`,
    ),
    // Who belongs to no other Space has nothing here any more.
    statement(
      'access.purge.members',
      `with gone as (
         delete from access.membership m
         using (select account_id from access.membership where space_id = $1 limit $2) leaving
         where m.space_id = $1 and m.account_id = leaving.account_id
         returning m.account_id
       ), lonely as (
         select account_id from gone
         where not exists (select from access.membership m where m.account_id = gone.account_id and m.space_id <> $1)
       ), signed_out as (
         delete from access.session s using lonely where s.account_id = lonely.account_id
       ), forgotten as (
         delete from access.account a using lonely where a.id = lonely.account_id
       )
       select count(*) as gone from gone`,
    ),
  ],
  end: statement(
    'access.purge.end',
    `update access.space set name = '', owner_email = '', purged_at = now() where id = $1 returning id`,
  ),
};

/** Only now, since the entries of the audit log name their Space. */
const forget = statement(
  'access.purge.forget',
  `delete from access.space s
   where s.purged_at is not null and not exists (select from access.audit a where a.space_id = s.id) returning id`,
);

/** Forgets keys and members of Spaces that have ended, and the accounts of who belonged to nothing else. */
@Injectable()
export class SpacePurge {
  constructor(
    private readonly database: Database,
    private readonly log: Log,
    @Inject(SETTINGS) private readonly settings: GatewaySettings,
  ) {}

  async run(now: Date, until: number): Promise<RetentionReport> {
    const before = new Date(now.getTime() - this.settings.spacePurgeAfterMs);
    const { spaces, rows, left } = await purgeSpaces(this.database, plan, before, until);
    if (rows || spaces.length || left) this.log.info({ spaces, rows, left }, 'Spaces that ended are purged');
    const forgotten = await this.database.acrossSpaces('Spaces that nothing names any more').query(forget);
    return {
      purgedSpaces: spaces.length,
      purgedRows: rows,
      spacesLeftToPurge: left,
      forgottenSpaces: forgotten.length,
    };
  }
}
