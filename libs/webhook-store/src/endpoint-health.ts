import { emitOperationalEvent } from './operational-events';
import type { FailureReason, WebhookInTrouble, WebhookNamed } from '@keyturn/contracts';
import { statement, type Database, type Queries, type Transaction } from '@keyturn/platform/database';

/** When a failing endpoint goes off (DESIGN §4): whichever comes first. */
export interface HealthThresholds {
  /** So long without any success. */
  readonly withoutSuccessMs: number;
  /** This share of the attempts of the last 24 hours failed, … */
  readonly failurePercent: number;
  /** … of at least so many. */
  readonly minAttempts: number;
}

export interface HealthFigures {
  readonly failingSince: Date | null;
  /** Of the last 24 hours. */
  readonly attempts: number;
  readonly failures: number;
}

/** How near an endpoint is to going off, in percent of the threshold it is nearest to. */
export interface Pressure {
  readonly percent: number;
  readonly reason: FailureReason;
}

export function pressureOf(figures: HealthFigures, thresholds: HealthThresholds, now: Date): Pressure {
  const { failingSince, attempts, failures } = figures;
  const silence = failingSince ? (now.getTime() - failingSince.getTime()) / thresholds.withoutSuccessMs : 0;
  const share = attempts ? (failures / attempts / thresholds.failurePercent) * 100 : 0;
  // Too few attempts are a part of the way: who fails from the first one on is warned before the last one that is needed.
  const rate = attempts < thresholds.minAttempts ? Math.min(share, attempts / thresholds.minAttempts) : share;
  return silence >= rate
    ? { percent: Math.floor(silence * 100), reason: 'no_success' }
    : { percent: Math.floor(rate * 100), reason: 'failure_rate' };
}

/** An owner hears of it at these percentages, once each. */
export const warningPercents = [50, 75, 90] as const;
/** Below it, what was said of trouble is taken back. */
const calmPercent = 40;

export const warningLevel = (percent: number): number => warningPercents.filter((step) => percent >= step).length;

/** The target of a replay is left alone: it ends with its job, and its owner knows it by no name. */
const suspects = statement(
  'webhooks.health.suspects',
  `select s.endpoint_id, s.failing_since, s.warned, s.consecutive_failures,
          coalesce(h.attempts, 0)::int as attempts, coalesce(h.failures, 0)::int as failures
   from webhooks.endpoint_state s
   join webhooks.endpoint e on e.id = s.endpoint_id and e.status = 'active' and not e.suspended and e.parent_id is null
   cross join lateral (
     select sum(attempts) as attempts, sum(failures) as failures from webhooks.endpoint_hour
     where endpoint_id = s.endpoint_id and hour > now() - interval '24 hours'
   ) h
   where s.failing_since is not null or s.warned > 0
   order by s.endpoint_id`,
);

/** One of several judges at once gets the row back, and speaks. */
const warn = statement(
  'webhooks.health.warn',
  `update webhooks.endpoint_state s set warned = $2
   from webhooks.endpoint e
   where s.endpoint_id = $1 and e.id = s.endpoint_id and s.warned < $2 and e.status = 'active' and not e.suspended
   returning e.space_id, e.name, e.url`,
);

const calm = statement(
  'webhooks.health.calm',
  `update webhooks.endpoint_state s set warned = 0
   from webhooks.endpoint e where s.endpoint_id = $1 and e.id = s.endpoint_id and s.warned > 0
   returning e.space_id, e.name, e.url`,
);

/** Retries no longer wait for their own time: they take their place in the order of what has happened, and go as soon as anything does. */
const lineUp = (endpoints: string) => `waiting as materialized (
     select delivery_id, day from webhooks.queue
     where endpoint_id in (select id from ${endpoints}) and state <> 'leased' and rank = 1
     order by delivery_id for update
   ), lined_up as (
     update webhooks.queue q
     set state = case when q.state = 'scheduled' then 'ready' else q.state end, rank = 0, due_at = least(q.due_at, now())
     from waiting w where q.delivery_id = w.delivery_id
   ), untimed as (
     update webhooks.delivery d set next_retry_at = null from waiting w where d.id = w.delivery_id and d.day = w.day
   )`;

const disable = statement(
  'webhooks.health.disable',
  `with off as (
     update webhooks.endpoint
     set disabled_reason = $2, disabled_at = now(), revision = revision + 1, updated_at = greatest(now(), updated_at + interval '1 ms')
     where id = $1 and status = 'active' and not suspended
     returning id, space_id, name, url
   ), probed as (
     update webhooks.endpoint_state set probe_at = now() + $3::int * interval '1 ms', warned = 0
     where endpoint_id in (select id from off)
   ), ${lineUp('off')}
   select space_id, name, url from off`,
);

/** On again, with a clean slate: what failed before counts no more. */
const enable = statement(
  'webhooks.health.enable',
  `with back as (
     update webhooks.endpoint
     set disabled_reason = null, disabled_at = null, revision = revision + 1,
         updated_at = greatest(now(), updated_at + interval '1 ms')
     where id = $1 and status = 'disabled' and is_active
     returning id, space_id, name, url
   ), clean as (
     update webhooks.endpoint_state
     set failing_since = null, consecutive_failures = 0, warned = 0, probe_at = null, hold_until = null
     where endpoint_id in (select id from back)
   ), forgotten as (
     delete from webhooks.endpoint_hour where endpoint_id in (select id from back)
   ), ${lineUp('back')}
   select space_id, name, url from back`,
);

interface SuspectRow {
  endpoint_id: string;
  failing_since: Date | null;
  warned: number;
  consecutive_failures: number;
  attempts: number;
  failures: number;
}

interface NamedRow {
  space_id: string;
  name: string;
  url: string;
}

export interface HealthOptions {
  readonly thresholds: HealthThresholds;
  readonly probeIntervalMs: number;
  /** Attempts of the common schedule, the first one included: operational events are delivered like others. */
  readonly maxAttempts: number;
}

const across = 'the health of endpoints is judged for all Spaces';

/** Says who is failing, turns off who has failed for too long, and takes both back. */
export class EndpointHealth {
  private readonly db: Queries;

  constructor(
    private readonly database: Database,
    private readonly options: HealthOptions,
  ) {
    this.db = database.acrossSpaces(across);
  }

  /** Endpoints whose state has changed, or which are owed a word about another's. */
  async judge(now = new Date()): Promise<string[]> {
    const touched: string[] = [];
    for (const row of await this.db.query<SuspectRow>(suspects)) {
      const figures = { failingSince: row.failing_since, attempts: row.attempts, failures: row.failures };
      const pressure = pressureOf(figures, this.options.thresholds, now);
      const level = warningLevel(pressure.percent);
      // Each step once, also those that have been passed since the last look: nobody is turned off unwarned.
      for (let step = row.warned + 1; step <= level; step++) touched.push(...(await this.warn(row, pressure, step)));
      if (pressure.percent >= 100) touched.push(...(await this.disable(row, pressure)));
      else if (row.warned > 0 && pressure.percent < calmPercent) touched.push(...(await this.calm(row)));
    }
    return [...new Set(touched)];
  }

  private disable(row: SuspectRow, pressure: Pressure): Promise<string[]> {
    const { probeIntervalMs, maxAttempts } = this.options;
    return this.database.transaction('an endpoint goes off and its owner hears of it', async (tx) => {
      const [off] = await tx
        .acrossSpaces(across)
        .query<NamedRow>(disable, [row.endpoint_id, pressure.reason, probeIntervalMs]);
      if (!off) return [];
      const data = { ...about(row.endpoint_id, off), reason: pressure.reason, ...detailsOf(row) };
      return [
        row.endpoint_id,
        ...(await emitOperationalEvent(tx, 'webhook.disabled', off.space_id, data, maxAttempts)),
      ];
    });
  }

  private warn(row: SuspectRow, pressure: Pressure, level: number): Promise<string[]> {
    return this.database.transaction('a warning is given once', async (tx) => {
      const [warned] = await tx.acrossSpaces(across).query<NamedRow>(warn, [row.endpoint_id, level]);
      if (!warned) return [];
      const percent = warningPercents[level - 1] as number;
      const data = { ...about(row.endpoint_id, warned), reason: pressure.reason, percent, ...detailsOf(row) };
      return emitOperationalEvent(tx, 'webhook.failing', warned.space_id, data, this.options.maxAttempts);
    });
  }

  private calm(row: SuspectRow): Promise<string[]> {
    return this.database.transaction('a warning is taken back once', async (tx) => {
      const [well] = await tx.acrossSpaces(across).query<NamedRow>(calm, [row.endpoint_id]);
      if (!well) return [];
      const data = about(row.endpoint_id, well);
      return emitOperationalEvent(tx, 'webhook.recovered', well.space_id, data, this.options.maxAttempts);
    });
  }
}

/** A disabled endpoint has answered: it is on again, and what it missed is due. */
export async function recoverEndpoint(database: Database, endpointId: string, maxAttempts: number): Promise<string[]> {
  return database.transaction('an endpoint comes back and its owner hears of it', async (tx) => {
    const back = await enableEndpoint(tx, endpointId);
    if (!back) return [];
    const data = about(endpointId, back);
    return [endpointId, ...(await emitOperationalEvent(tx, 'webhook.recovered', back.space_id, data, maxAttempts))];
  });
}

async function enableEndpoint(tx: Transaction, endpointId: string): Promise<NamedRow | undefined> {
  const [back] = await tx.acrossSpaces(across).query<NamedRow>(enable, [endpointId]);
  return back;
}

export const about = (endpointId: string, { name, url }: Pick<NamedRow, 'name' | 'url'>): WebhookNamed => ({
  webhookId: `wh_${endpointId}`,
  name,
  url,
});

const detailsOf = (row: SuspectRow): Omit<WebhookInTrouble, keyof WebhookNamed> => ({
  failingSince: row.failing_since?.toISOString() ?? null,
  consecutiveFailures: row.consecutive_failures,
  attemptsLastDay: row.attempts,
  failuresLastDay: row.failures,
});
