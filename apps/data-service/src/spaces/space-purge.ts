import { Inject, Injectable } from '@nestjs/common';
import type { RetentionReport } from '@keyturn/contracts';
import { Database, purgeSpaces, statement, type PurgePlan } from '@keyturn/platform/database';
import { Log } from '@keyturn/platform/logs';
import { NatsLink } from '@keyturn/platform/nats';
import { SETTINGS } from '@keyturn/platform/service';
import { recordTables } from '../records/record-table';
import type { DataSettings } from '../settings';

const rejectedStream = 'REJECTED';

const due = statement(
  'purge.due',
  `select space_id from data.space where status = 'deleted' and deleted_at < $1 order by deleted_at, space_id limit 1000`,
);
const lock = statement(
  'purge.lock',
  `select space_id from data.space where space_id = $1 and status = 'deleted' for update skip locked`,
);
const end = statement(
  'purge.end',
  `delete from data.space
   where space_id = $1 and not exists (select from data.event_log l where l.space_id = $1) returning space_id`,
);

const step = (name: string, table: string, key: string) =>
  statement(
    `purge.${name}`,
    `with gone as (
       delete from ${table} where space_id = $1 and ${key} in (select ${key.replace(/[()]/g, '')} from ${table} where space_id = $1 limit $2)
       returning 1
     ) select count(*) as gone from gone`,
  );

/** Of the log only what the relay has behind it: it reads on from where it is. */
const log = statement(
  'purge.log',
  `with gone as (
     delete from data.event_log l
     using (
       select id, committed_at from data.event_log
       where space_id = $1 and id <= (select sequence from data.position where name = 'relay')
       order by sequence limit $2
     ) old
     where l.space_id = $1 and l.id = old.id and l.committed_at = old.committed_at
     returning 1
   ) select count(*) as gone from gone`,
);

const steps = [
  ...recordTables.flatMap(({ name, qualified, stateTable, searchTable }) => [
    step(`${name}_search`, searchTable, 'id'),
    step(`${name}_state`, stateTable, 'id'),
    step(name, qualified, 'id'),
  ]),
  step('tombstones', 'data.tombstone', '(resource, record_id)'),
  step('totals', 'data.counter', 'collection'),
  log,
];

/**
 * Forgets Spaces that have ended, when they may not be wanted back any more: records, totals, tombstones, log, and what was refused of
 * theirs. What publishers sent, and what was relayed, stands in the other streams for as long as these keep anything.
 */
@Injectable()
export class SpacePurge {
  private readonly plan: PurgePlan;

  constructor(
    private readonly database: Database,
    private readonly link: NatsLink,
    private readonly log: Log,
    @Inject(SETTINGS) private readonly settings: Pick<DataSettings, 'spacePurgeAfterMs'>,
  ) {
    this.plan = { due, lock, steps, end, elsewhere: (space) => this.purgeRejected(space) };
  }

  async run(now: number, until: number): Promise<RetentionReport> {
    const before = new Date(now - this.settings.spacePurgeAfterMs);
    const { spaces, rows, left } = await purgeSpaces(this.database, this.plan, before, until);
    if (rows || spaces.length || left) this.log.info({ spaces, rows, left }, 'Spaces that ended are purged');
    return { purgedSpaces: spaces.length, purgedRows: rows, spacesLeftToPurge: left };
  }

  private async purgeRejected(space: string): Promise<void> {
    const manager = await this.link.manager();
    await this.link.whileConnected(manager.streams.purge(rejectedStream, { filter: `rejected.${space}` }));
  }
}
