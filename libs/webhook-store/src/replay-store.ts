import * as sql from './replay-statements';
import type { Consent } from './consent';
import { eventColumns } from './event-columns';
import type { ListDatabases } from './list-databases';
import { RecordOrder } from './record-order';
import { ensureDays, isMissingDay } from './days';
import { lockSpace } from './space-life';
import { replayNumber, webhookNumber } from './wire-ids';
import {
  ApiError,
  loggedNames,
  replayList,
  type DeliveryStatus,
  type ListQuery,
  type ListReply,
  type LoggedEvent,
  type Replay,
  type ReplaySelection,
  type ReplayStatus,
} from '@keyturn/contracts';
import { listStatement, mapColumns, type ListRow, type TableMapping } from '@keyturn/list-query';
import { spaceId as spaceIdOf, type Database, type Transaction } from '@keyturn/platform/database';

export interface NewReplay {
  readonly since: string;
  readonly until: string;
  readonly events: readonly string[] | null;
  readonly selection: ReplaySelection;
  readonly ratePerSecond: number | null;
  readonly url: string | null;
  readonly dryRun: boolean;
}

/** A job in the hands of a worker. */
export interface ReplayJob {
  readonly id: string;
  readonly spaceId: string;
  /** The number of the endpoint that gets its deliveries. */
  readonly targetId: string;
  readonly since: string;
  readonly until: string;
  /** Names to read from the log; none where nothing could match any more. */
  readonly events: readonly string[];
  readonly position: number;
  readonly ratePerSecond: number | null;
  /** Its choice or its writing needs payloads. */
  readonly payloads: boolean;
  /** The log has been read to its end: what is left is in the queue. */
  readonly read: boolean;
  /** What it has brought and is not sent yet, up to a limit. */
  readonly waiting: number;
}

export interface LogPage {
  readonly events: readonly (LoggedEvent & { readonly payload: Uint8Array })[];
  readonly last: number;
  readonly more: boolean;
}

interface ReplayRow {
  id: string;
  space_id: string;
  endpoint_id: string;
  target_id: string;
  url: string | null;
  since: Date;
  until: Date;
  events: string[] | null;
  selection: ReplaySelection;
  rate_limit: number | null;
  dry_run: boolean;
  status: ReplayStatus;
  position: string;
  read: boolean;
  matched: string;
  error: string | null;
  created_at: Date;
  finished_at: Date | null;
}

interface JobRow extends ReplayRow {
  wanted_events: string[] | null;
  filtered: boolean | null;
  waiting: number;
}

interface EndedRow {
  endpoint_id: string;
  target_id: string;
}

interface ChosenRow {
  matched: number;
  last: string | null;
  ordered: boolean;
}

interface StepOutcome {
  readonly ordered: boolean;
  readonly read: boolean;
}

const replays: TableMapping = {
  table: 'webhooks.replay',
  parameters: [{ sql: 'r.endpoint_id', type: 'bigint' }],
  json: 'r.id::text',
  columns: mapColumns(replayList, { notNull: ['status', 'dryRun'] }),
};

const uniqueViolation = '23505';
/** A step takes milliseconds; what a worker that died had begun is another's within the 10 s of every takeover. */
const leaseMs = 6_000;
/** More than this waiting is enough: a job without a rate goes on when some of it is sent. */
export const maxReplayWaiting = 2_000;

/** Jobs that send again: durable, one step at a time, by whichever worker is there. */
export class ReplayStore {
  private readonly order: RecordOrder;

  constructor(
    private readonly database: Database,
    private readonly lists: ListDatabases,
    private readonly maxAttempts: number,
  ) {
    this.order = new RecordOrder(database.acrossSpaces('order is kept for all Spaces'));
  }

  /** The webhook is known to exist. A webhook has one running job at a time. */
  async create(spaceId: string, webhookId: string, replay: NewReplay, consent?: Consent): Promise<Replay> {
    const webhook = webhookNumber(webhookId) as string;
    try {
      return await this.database.transaction('a job and its target are made together', async (tx) => {
        const db = tx.inSpace(spaceId);
        // A target is an endpoint like others: it is suspended with its Space, and none is made when that has ended.
        await lockSpace(tx, spaceId);
        const apart = replay.url !== null && !replay.dryRun;
        const [target] = apart
          ? await db.query<{ id: string }>(sql.insertTarget, [
              webhook,
              replay.url,
              replay.ratePerSecond,
              consent !== undefined,
              consent?.allowedRate ?? null,
            ])
          : [{ id: webhook }];
        const [row] = await db.query<ReplayRow>(sql.insert, [
          webhook,
          target?.id,
          replay.url,
          replay.since,
          replay.until,
          replay.events,
          replay.selection,
          replay.ratePerSecond,
          replay.dryRun,
        ]);
        return replayView(row as ReplayRow, []);
      });
    } catch (error) {
      if ((error as { code?: unknown }).code === uniqueViolation)
        throw new ApiError('CONFLICT', 'This webhook has a replay running already: wait for its end or cancel it');
      throw error;
    }
  }

  async get(spaceId: string, webhookId: string, replayId: string): Promise<Replay | undefined> {
    const number = replayNumber(replayId);
    if (!number) return undefined;
    const [row] = await this.database.inSpace(spaceId).query<ReplayRow>(sql.get, [webhookNumber(webhookId), number]);
    return row && (await this.views(spaceId, [row]))[0];
  }

  async list(
    spaceId: string,
    webhookId: string,
    query: ListQuery,
    until?: number,
  ): Promise<{ head: ListReply; rows: Replay[] }> {
    const list = listStatement(replays, query, [webhookNumber(webhookId)]);
    const [row] = await this.lists[list.sessions].inSpace(spaceId, until).query<ListRow>(list.statement, list.values);
    const { head, rows } = list.reply(row as ListRow);
    const numbers = rows === '' ? [] : rows.split(',');
    const found = await this.database.inSpace(spaceId, until).query<ReplayRow>(sql.readAll, [numbers]);
    const byNumber = new Map((await this.views(spaceId, found, until)).map((replay) => [replay.id, replay]));
    return {
      head,
      rows: numbers.map((number) => byNumber.get(`rpl_${number}`)).filter((found) => found !== undefined),
    };
  }

  /** What has been sent stays sent. Undefined when the webhook has no such job. */
  async cancel(spaceId: string, webhookId: string, replayId: string): Promise<Replay | undefined> {
    const number = replayNumber(replayId);
    if (!number) return undefined;
    await this.database.transaction('a job ends and what it has brought', (tx) =>
      cancelReplays(tx, spaceId, webhookNumber(webhookId) as string, number),
    );
    return this.get(spaceId, webhookId, replayId);
  }

  /** Jobs whose next step is due; they are this worker's for a while. */
  async take(limit: number): Promise<ReplayJob[]> {
    const rows = await this.database
      .acrossSpaces('a worker takes the jobs of all Spaces')
      .query<JobRow>(sql.take, [limit, leaseMs, maxReplayWaiting]);
    return rows.map((row) => ({
      id: row.id,
      spaceId: spaceIdOf(row.space_id),
      targetId: row.target_id,
      since: row.since.toISOString(),
      until: row.until.toISOString(),
      events: chosenNames(row),
      position: Number(row.position),
      ratePerSecond: row.rate_limit,
      payloads: !row.dry_run || row.filtered === true,
      read: row.read,
      waiting: row.waiting,
    }));
  }

  /** Handles a page of the log, or as much of it as the job's rate allows now. True when the job has ended. */
  async step(job: ReplayJob, page: LogPage): Promise<boolean> {
    let outcome: StepOutcome | undefined;
    try {
      outcome = await this.handle(job, page);
    } catch (error) {
      if (!isMissingDay(error)) throw error;
      await ensureDays(
        this.database,
        page.events.map(({ committedAt }) => committedAt.slice(0, 'YYYY-MM-DD'.length)),
      );
      outcome = await this.handle(job, page);
    }
    if (outcome?.ordered) await this.order.releaseAll();
    return outcome !== undefined && outcome.read && this.finish(job);
  }

  private handle(job: ReplayJob, page: LogPage): Promise<StepOutcome | undefined> {
    const { ratePerSecond } = job;
    const budget = ratePerSecond ?? page.events.length;
    return this.database.transaction('a page and the position behind it', async (tx) => {
      const db = tx.inSpace(job.spaceId);
      if (!(await db.query(sql.lock, [job.id, job.position])).length) return undefined;
      const [chosen] = await db.query<ChosenRow>(sql.step, [
        job.id,
        ...eventColumns(page.events),
        this.maxAttempts,
        budget,
      ]);
      const { matched, last, ordered } = chosen as ChosenRow;
      // Where the rate cut the page, the rest of it is read again with the next one.
      const cut = ratePerSecond !== null && matched === budget;
      const waitMs = ratePerSecond === null ? 0 : (matched / ratePerSecond) * 1_000;
      const read = !cut && !page.more;
      await db.query(sql.advance, [job.id, cut ? last : page.last, matched, read, waitMs]);
      return { ordered, read };
    });
  }

  /** Nothing to do now; the job is looked at again later. */
  async wait(job: ReplayJob, ms: number): Promise<void> {
    await this.database.inSpace(job.spaceId).query(sql.advance, [job.id, job.position, 0, job.read, ms]);
  }

  /** True when everything that it brought has ended. */
  async finish(job: ReplayJob): Promise<boolean> {
    return this.end(job.spaceId, (tx) => tx.inSpace(job.spaceId).query<EndedRow>(sql.finish, [job.id]));
  }

  async fail(job: ReplayJob, error: string): Promise<void> {
    await this.end(job.spaceId, async (tx) => {
      const rows = await tx.inSpace(job.spaceId).query<EndedRow>(sql.fail, [job.id, error]);
      if (rows.length) await tx.inSpace(job.spaceId).query(sql.cancelWaiting, [job.id]);
      return rows;
    });
  }

  private end(spaceId: string, work: (tx: Transaction) => Promise<EndedRow[]>): Promise<boolean> {
    return this.database.transaction('a job ends, and a target of its own with it', async (tx) => {
      const [ended] = await work(tx);
      if (ended) await removeTarget(tx, spaceId, ended);
      return ended !== undefined;
    });
  }

  private async views(spaceId: string, rows: readonly ReplayRow[], until?: number): Promise<Replay[]> {
    if (rows.length === 0) return [];
    const counts = await this.database
      .inSpace(spaceId, until)
      .query<CountRow>(sql.countDeliveries, [rows.map(({ id }) => id)]);
    return rows.map((row) =>
      replayView(
        row,
        counts.filter(({ replay_id }) => replay_id === row.id),
      ),
    );
  }
}

/** Ends one running job of a webhook, or all of them. */
export async function cancelReplays(tx: Transaction, spaceId: string, webhook: string, replay: string | null = null) {
  const db = tx.inSpace(spaceId);
  for (const ended of await db.query<EndedRow & { id: string }>(sql.cancel, [webhook, replay])) {
    await db.query(sql.cancelWaiting, [ended.id]);
    await removeTarget(tx, spaceId, ended);
  }
}

/** Ends the job that sends to a URL of its own: nobody will take anything there. */
export async function failReplayTo(tx: Transaction, spaceId: string, target: string, error: string) {
  const db = tx.inSpace(spaceId);
  for (const ended of await db.query<EndedRow & { id: string }>(sql.failTo, [target, error])) {
    await db.query(sql.cancelWaiting, [ended.id]);
    await removeTarget(tx, spaceId, ended);
  }
}

async function removeTarget(tx: Transaction, spaceId: string, { endpoint_id, target_id }: EndedRow): Promise<void> {
  if (target_id !== endpoint_id) await tx.inSpace(spaceId).query(sql.removeTarget, [target_id]);
}

function chosenNames(row: JobRow): string[] {
  const wanted = loggedNames(row.wanted_events ?? []);
  return row.events === null ? wanted : loggedNames(row.events).filter((name) => wanted.includes(name));
}

interface CountRow {
  replay_id: string;
  status: DeliveryStatus;
  deliveries: number;
}

function replayView(row: ReplayRow, counts: readonly CountRow[]): Replay {
  const of = (status: DeliveryStatus) => counts.find((count) => count.status === status)?.deliveries ?? 0;
  return {
    id: `rpl_${row.id}`,
    webhookId: `wh_${row.endpoint_id}`,
    status: row.status,
    selection: row.selection,
    since: row.since.toISOString(),
    until: row.until.toISOString(),
    events: row.events,
    ratePerSecond: row.rate_limit,
    url: row.url,
    dryRun: row.dry_run,
    matched: Number(row.matched),
    deliveries: {
      pending: of('pending'),
      retrying: of('retrying'),
      success: of('success'),
      failed: of('failed'),
      cancelled: of('cancelled'),
    },
    createdAt: row.created_at.toISOString(),
    finishedAt: row.finished_at?.toISOString() ?? null,
    error: row.error,
  };
}
