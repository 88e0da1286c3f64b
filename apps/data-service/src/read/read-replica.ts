import { Inject, Injectable, type OnModuleDestroy, type OnModuleInit } from '@nestjs/common';
import type { SessionKind } from '@keyturn/list-query';
import { current } from '@keyturn/platform/config';
import { isStatementTimeout, makeDatabase, statement, type Database, type Statement } from '@keyturn/platform/database';
import { Log } from '@keyturn/platform/logs';
import { Metrics } from '@keyturn/platform/metrics';
import { SETTINGS } from '@keyturn/platform/service';
import type { DataSettings } from '../settings';
import { makeReadPools, ReadPools } from './read-pools';
import { SpaceSequences, unknownSpace } from './space-sequences';

const beatMs = 500;
/** A replica that keeps silent for so long is none: what waits for it goes to the primary. */
const silenceMs = 1_000;
const connectTimeoutMs = 500;

const position = statement(
  'replica.position',
  `select sequence, (select system_identifier from pg_control_system()) as system from data.position where name = 'log'`,
);

interface PositionRow {
  sequence: string;
  system: string;
}

/** A row of the read, or, where it found none, the one row that says how far the replica is. */
type ReplicaRow<R> = R & { replayed: string | null; hit: number | null };

class Gone extends Error {}

/**
 * A streaming replica that takes the reads off the primary (ADR 018). Its answer counts when it contains every event of the
 * Space that was committed before the read began: whoever was told of a change by a webhook reads that change. The replica's
 * sequence of the Space stands in the same row as what was read, so both are of one moment; the primary's is asked for
 * meanwhile, one question for all who ask.
 */
@Injectable()
export class ReadReplica implements OnModuleInit, OnModuleDestroy {
  private readonly pools: Readonly<Record<SessionKind, Database>> | undefined;
  private readonly monitor: Database | undefined;
  private readonly sequences: SpaceSequences;
  private readonly primary: Database;
  private readonly outcomes;
  private timer: NodeJS.Timeout | undefined;
  private beating: Promise<void> = Promise.resolve();
  private stopped = false;
  /** Rejects when the replica goes; undefined while it is away or far behind. */
  private present: { readonly gone: Promise<never>; readonly leave: (why: string) => void } | undefined;
  /** The last id of the primary's log at the beat before. */
  private expected = 0;

  constructor(
    @Inject(SETTINGS) settings: DataSettings,
    pools: ReadPools,
    private readonly log: Log,
    metrics: Metrics,
  ) {
    this.primary = pools.of('walk');
    this.sequences = new SpaceSequences(this.primary);
    this.outcomes = metrics.counter(
      'data_replica_reads_total',
      'Reads by what the replica had to do with them: served, behind, failed (both read from the primary then), unused.',
      ['outcome'],
    );
    const { databaseReadUrl } = settings;
    if (databaseReadUrl === undefined) return;
    const now = current(settings, 'databaseReadUrl');
    const url = () => now() ?? databaseReadUrl;
    this.pools = makeReadPools(url, settings, 'replica ', { connectTimeoutMs, giveUpMs: 6_000 });
    this.monitor = makeDatabase(url, {
      max: 1,
      applicationName: 'data-service replica monitor',
      connectTimeoutMs: silenceMs,
      giveUpMs: silenceMs,
    });
    metrics.gauge('data_replica_usable', '1 while reads go to the replica.', [], (gauge) =>
      gauge.set(this.present ? 1 : 0),
    );
  }

  onModuleInit(): void {
    if (this.monitor) this.beat();
  }

  async onModuleDestroy(): Promise<void> {
    this.stopped = true;
    clearTimeout(this.timer);
    await this.beating;
    await Promise.all([this.monitor, ...Object.values(this.pools ?? {})].map((database) => database?.close()));
  }

  /** The rows, or undefined where the primary has to be asked. */
  async read<R extends object>(
    spaceId: string,
    kind: SessionKind,
    sql: Statement,
    values: readonly unknown[],
    until?: number,
  ): Promise<R[] | undefined> {
    const { pools, present } = this;
    if (!pools) return undefined;
    if (!present) return this.without('unused');
    const needed = this.sequences.of(spaceId);
    // Its failure is met below, or by the read from the primary that follows.
    needed.catch(() => undefined);
    let rows: ReplicaRow<R>[];
    try {
      const reading = pools[kind].inSpace(spaceId, until).query<ReplicaRow<R>>(withSequence(sql), values);
      reading.catch(() => undefined);
      rows = await Promise.race([reading, present.gone]);
    } catch (error) {
      // It would take as long on the primary, and nobody would wait for that.
      if (isStatementTimeout((error as Error).cause) || (until !== undefined && performance.now() >= until))
        throw error;
      if (!(error instanceof Gone)) present.leave(String(error));
      return this.without('failed');
    }
    const replayed = rows[0]?.replayed ?? unknownSpace;
    if (Number(replayed) < (await needed)) return this.without('behind');
    this.outcomes.inc({ outcome: 'served' });
    return rows.filter(({ hit }) => hit !== null);
  }

  private without(outcome: 'behind' | 'failed' | 'unused'): undefined {
    this.outcomes.inc({ outcome });
    return undefined;
  }

  private beat(): void {
    this.beating = this.look()
      .catch((error: unknown) => this.leave(String(error)))
      .finally(() => {
        if (!this.stopped) this.timer = setTimeout(() => this.beat(), beatMs).unref();
      });
  }

  /**
   * Here, of this very cluster, and behind by less than two beats. One that is further behind would have most answers thrown
   * away, so it is not even asked.
   */
  private async look(): Promise<void> {
    const [mine] = (await this.monitor?.acrossSpaces('how far the replica is').query<PositionRow>(position)) ?? [];
    const [theirs] = await this.primary.acrossSpaces('how far the primary is').query<PositionRow>(position);
    const { expected } = this;
    this.expected = Number(theirs?.sequence);
    if (mine?.system !== theirs?.system)
      this.leave('DATABASE_READ_URL names a server that is no replica of DATABASE_URL');
    else if (Number(mine?.sequence) < expected) this.leave('it is far behind');
    else this.arrive();
  }

  private arrive(): void {
    if (this.present) return;
    let fail: (error: Error) => void = () => undefined;
    const gone = new Promise<never>((_resolve, reject) => (fail = reject));
    gone.catch(() => undefined);
    const present = {
      gone,
      leave: (why: string) => {
        if (this.present !== present) return;
        this.present = undefined;
        this.log.warn({ why }, 'reads go to the primary');
        fail(new Gone(why));
      },
    };
    this.present = present;
    this.log.info({}, 'reads go to the replica');
  }

  private leave(why: string): void {
    this.present?.leave(why);
  }
}

const withSequences = new WeakMap<Statement, Statement>();

/** The same read, with the replica's sequence of the Space in every row, and in one row where nothing was found. */
function withSequence(sql: Statement): Statement {
  let made = withSequences.get(sql);
  if (!made) {
    const text = `select space.replayed, found.*
from (select (select sequence from data.space where space_id = $1) as replayed) space
left join (select 1 as hit, read.* from (${sql.text}) read) found on true`;
    made = sql.name === '' ? { name: '', text } : statement(`replica.${sql.name}`, text);
    withSequences.set(sql, made);
  }
  return made;
}
