import { Injectable, type OnApplicationBootstrap } from '@nestjs/common';
import { Rejection } from '@keyturn/contracts';
import { Database, isFaultOfData, statement, type Session } from '@keyturn/platform/database';
import { Log } from '@keyturn/platform/logs';
import { Metrics } from '@keyturn/platform/metrics';
import { NatsLink } from '@keyturn/platform/nats';
import { Drain } from '@keyturn/platform/service';
import { Relay } from '../log/relay';
import { RejectedEvents } from '../rejected/rejected-events';
import { fold, type Folded } from './fold';
import { Intake, type Incoming } from './intake';
import { loadStored } from './stored';
import { TracedBatch } from './traced-batch';
import { Wake } from './wake';
import { writeFolded, type StreamPosition } from './write';

/** How many events one transaction takes; live ones may be many, since nothing waits behind them. */
const batchOf = { DOMAIN: 500, BACKFILL: 250 } as const;
const maxBatchBytes = 2 * 1024 * 1024;
/** Under an endless rush of live events the backfill gets one batch in so long. */
const backfillEveryMs = 1_000;

const lockAskEveryMs = 500;
const heartbeatMs = 1_000;
const retryMs = 500;
/** Without NATS for so long, another instance may try. */
const leaveWithoutNatsMs = 3_000;

const askLock = statement('apply.lock', `select pg_try_advisory_lock(hashtext('keyturn.data.apply')) as held`);
const unlock = statement('apply.unlock', `select pg_advisory_unlock(hashtext('keyturn.data.apply'))`);
const heartbeat = statement('apply.heartbeat', 'select 1');
const positions = statement(
  'apply.positions',
  `select name, sequence, moment, stream_created from data.position where name = any($1::text[])`,
);
const ensurePartitions = statement(
  'apply.ensure_partitions',
  `select data.ensure_partitions((now() at time zone 'utc')::date)`,
);
/**
 * The session that holds the lock ends soon after its process hangs or its machine is gone, so that another one takes over
 * within five seconds. Joins are looked up by key, whatever the tables' sizes were when the statements were planned.
 */
const tuneSession = statement(
  'apply.tune',
  `select set_config('idle_session_timeout', '3500', false),
          set_config('idle_in_transaction_session_timeout', '3500', false),
          set_config('tcp_keepalives_idle', '2', false),
          set_config('tcp_keepalives_interval', '1', false),
          set_config('tcp_keepalives_count', '2', false),
          set_config('tcp_user_timeout', '4s', false),
          set_config('statement_timeout', '30s', false),
          set_config('jit', 'off', false),
          set_config('enable_seqscan', 'off', false),
          set_config('enable_hashjoin', 'off', false),
          set_config('enable_mergejoin', 'off', false)`,
);
/** After the `statement_timeout` of a batch; everything else is answered at once, or the server is gone. */
const giveUpInTransactionMs = 31_000;
const resetSession = statement('apply.reset', 'reset all');

interface PositionRow {
  name: string;
  sequence: string;
  moment: Date | null;
  stream_created: Date | null;
}

/**
 * Takes events from the streams and applies them: one instance at a time, the one whose session holds the advisory lock. The
 * transactions run on that very session, so an instance that lost the lock can commit nothing. The holder also relays.
 */
@Injectable()
export class Applier implements OnApplicationBootstrap {
  private readonly wake = new Wake();
  private readonly stopping = new AbortController();
  private running: Promise<void> = Promise.resolve();
  private intakes: readonly Intake[] = [];
  private lastBackfill = 0;
  /** Of a full batch: halved when a batch fails, so that one too slow for its time limits is not tried for ever. */
  private share = 1;
  private readonly applied;
  private readonly batchSize;
  private readonly batchDuration;

  constructor(
    private readonly database: Database,
    private readonly link: NatsLink,
    private readonly log: Log,
    private readonly relay: Relay,
    private readonly rejected: RejectedEvents,
    metrics: Metrics,
    drain: Drain,
  ) {
    this.applied = metrics.counter('events_applied_total', 'Events taken in, by what became of them.', [
      'stream',
      'outcome',
    ]);
    this.batchSize = metrics.histogram(
      'apply_batch_events',
      'Events in one applying transaction.',
      ['stream'],
      [1, 2, 5, 10, 25, 50, 100, 250, 500],
    );
    this.batchDuration = metrics.histogram(
      'apply_batch_duration_seconds',
      'Time of one applying transaction, commit included.',
      ['stream'],
      [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5],
    );
    metrics.gauge('apply_stream_lag_events', 'Events in a stream that are not applied yet.', ['stream'], (gauge) => {
      gauge.reset();
      for (const intake of this.intakes) gauge.set({ stream: intake.stream }, intake.lag);
    });
    metrics.gauge('apply_active', '1 on the instance that applies and relays.', [], (gauge) =>
      gauge.set(this.intakes.length > 0 ? 1 : 0),
    );
    drain.on('applier', () => this.stop());
  }

  onApplicationBootstrap(): void {
    this.running = this.run();
  }

  /** Finishes the batch in hand, relays what is committed, and lets another instance take over at once. */
  async stop(): Promise<void> {
    this.stopping.abort();
    this.wake.now();
    await this.running;
  }

  private async run(): Promise<void> {
    const { signal } = this.stopping;
    while (!signal.aborted) {
      try {
        await this.database.session('one applier at a time', (session) => this.hold(session), {
          giveUpInTransactionMs,
        });
      } catch (error) {
        if (!signal.aborted) this.log.warn({ error: String(error) }, 'applying is interrupted');
      }
      if (!signal.aborted) await this.wake.within(retryMs);
    }
  }

  /** Waits for the lock, then applies until the session, NATS or this process ends. */
  private async hold(session: Session): Promise<void> {
    const queries = session.acrossSpaces('events of all Spaces come in one order');
    await queries.query(tuneSession);
    try {
      if (!(await this.waitForLock(session))) return;
      this.log.info({}, 'applying');
      await queries.query(ensurePartitions);
      const lead = new AbortController();
      const relaying = this.relay.run(lead.signal);
      try {
        await this.lead(session);
      } finally {
        lead.abort();
        await Promise.all([relaying, ...this.intakes.map((intake) => intake.stop())]);
        this.intakes = [];
        await this.ignoringLoss(() => queries.query(unlock));
      }
    } finally {
      await this.ignoringLoss(() => queries.query(resetSession));
    }
  }

  /** A lost session has given up its lock and settings by itself; what ended it is the error to report. */
  private async ignoringLoss(tidyUp: () => Promise<unknown>): Promise<void> {
    try {
      await tidyUp();
    } catch (error) {
      this.log.debug({ error: String(error) }, 'session is gone');
    }
  }

  private async waitForLock(session: Session): Promise<boolean> {
    const queries = session.acrossSpaces('one applier for all Spaces');
    while (!this.stopping.signal.aborted) {
      if (this.link.connected) {
        const [row] = await queries.query<{ held: boolean }>(askLock);
        if (row?.held) return true;
      } else {
        await queries.query(heartbeat);
      }
      await this.wake.within(lockAskEveryMs);
    }
    return false;
  }

  private async lead(session: Session): Promise<void> {
    const queries = session.acrossSpaces('positions of the streams');
    const rows = await queries.query<PositionRow>(positions, [Object.keys(batchOf)]);
    const intakeOf = (stream: string) => {
      const row = rows.find(({ name }) => name === stream);
      if (!row) throw new Error(`there is no position for stream ${stream}`);
      const position = {
        stream,
        sequence: Number(row.sequence),
        moment: row.moment,
        streamCreated: row.stream_created,
      };
      return new Intake(position, this.link, this.log, () => this.wake.now());
    };
    const live = intakeOf('DOMAIN');
    const backfill = intakeOf('BACKFILL');
    this.intakes = [live, backfill];

    let natsSeenAt = performance.now();
    let sessionUsedAt = performance.now();
    let partitionsOfDay = utcDay();
    let lost = false;
    void session.lost.then(() => {
      lost = true;
      this.wake.now();
    });
    while (!this.stopping.signal.aborted && !lost) {
      if (this.link.connected) natsSeenAt = performance.now();
      else if (performance.now() - natsSeenAt > leaveWithoutNatsMs) return;
      if (partitionsOfDay !== utcDay()) {
        partitionsOfDay = utcDay();
        await queries.query(ensurePartitions);
      }
      live.keepOpen();
      backfill.keepOpen();
      const intake = this.choose(live, backfill);
      if (intake) {
        await this.applyNext(session, intake);
        sessionUsedAt = performance.now();
      } else if (performance.now() - sessionUsedAt >= heartbeatMs) {
        await queries.query(heartbeat);
        sessionUsedAt = performance.now();
      } else {
        await this.wake.within(heartbeatMs);
      }
    }
  }

  /** Live events first: a backfill, however large, delays them by one of its batches at most. */
  private choose(live: Intake, backfill: Intake): Intake | undefined {
    const starved = performance.now() - this.lastBackfill > backfillEveryMs;
    if (backfill.size > 0 && (live.size === 0 || starved)) {
      this.lastBackfill = performance.now();
      return backfill;
    }
    return live.size > 0 ? live : undefined;
  }

  private async applyNext(session: Session, intake: Intake): Promise<void> {
    const full = batchOf[intake.stream as keyof typeof batchOf];
    const batch = intake.next(Math.max(1, Math.floor(full * this.share)), maxBatchBytes);
    try {
      await this.apply(session, intake, batch);
      this.share = Math.min(1, this.share * 2);
    } catch (error) {
      this.share = Math.max(1 / full, this.share / 2);
      throw error;
    }
  }

  /** A batch that the database refuses is halved until the event that it refuses stands alone. */
  private async apply(session: Session, intake: Intake, batch: readonly Incoming[]): Promise<void> {
    try {
      await this.transact(session, intake, batch);
    } catch (error) {
      if (!isFaultOfData(error)) throw error;
      const [only, ...others] = batch;
      if (only && others.length === 0) {
        const prepared = new Rejection('invalid_field', `the database refuses it: ${error.message.slice(0, 200)}`);
        await this.transact(session, intake, [{ ...only, prepared }]);
        return;
      }
      const half = Math.ceil(batch.length / 2);
      await this.apply(session, intake, batch.slice(0, half));
      await this.apply(session, intake, batch.slice(half));
    }
  }

  private async transact(session: Session, intake: Intake, batch: readonly Incoming[]): Promise<void> {
    const started = performance.now();
    const { stream, committed } = intake;
    const to = intake.positionAt(batch.at(-1) as Incoming);
    const traced = TracedBatch.open(
      stream,
      batch.map(({ prepared }) => prepared),
    );
    const folded = await traced.run(() =>
      session.transaction(async (tx) => {
        const queries = tx.acrossSpaces('a batch holds events of several Spaces');
        const result = fold(traced.events, await loadStored(queries, traced.events));
        await this.rejected.keep(refused(stream, batch, result));
        await writeFolded(queries, result, committed, to);
        return result;
      }),
    );
    intake.done(batch.length, to);
    if (folded.messages.length) this.relay.wake();
    this.measure(stream, folded, performance.now() - started);
  }

  private measure(stream: string, { outcomes }: Folded, durationMs: number): void {
    this.batchSize.observe({ stream }, outcomes.length);
    this.batchDuration.observe({ stream }, durationMs / 1_000);
    for (const outcome of outcomes) {
      if (outcome instanceof Rejection) this.rejected.count(outcome);
      this.applied.inc({ stream, outcome: outcome instanceof Rejection ? 'rejected' : outcome });
    }
  }
}

function refused(stream: string, batch: readonly Incoming[], { outcomes }: Folded) {
  return batch.flatMap(({ sequence, storedAt, subject, bytes }, index) => {
    const rejection = outcomes[index];
    return rejection instanceof Rejection ? [{ stream, sequence, storedAt, subject, bytes, rejection }] : [];
  });
}

const utcDay = () => Math.floor(Date.now() / 86_400_000);

export type { StreamPosition };
