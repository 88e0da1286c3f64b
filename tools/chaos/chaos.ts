import { copyFileSync, mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import type { WebhookAudit } from '@keyturn/contracts';
import { onDatabase, startSystem, waitFor, type TestSystem } from '@keyturn/testing';
import { captureCommandLine } from '../keyturn/capture';
import { faults, instances, type FaultName, type Moments } from './faults';
import { Figures, say } from './figures';
import { SteadyPublisher, type PublishedState } from './publisher';
import { SteadyReader } from './reader';
import { Receivers, type Habit } from './receivers';
import { Chance } from './seed';
import { invented, missing, overtakings, repeats, takenOverAfter } from './verdict';

export interface ChaosOptions {
  readonly minutes: number;
  /** Events published. */
  readonly perSecond: number;
  readonly seed: number;
  readonly only: readonly FaultName[];
  /** Where the services' logs are left. */
  readonly logFolder: string | undefined;
}

/** What was in flight is taken over, and reads are served, so long after a fault at most. */
const recoverLimitMs = 10_000;
/** A fault that takes longer is a violation; the next one comes all the same. */
const patienceMs = 40_000;
const settings = {
  // Of the defaults, the lease among them, only what takes minutes is made to take seconds.
  WEBHOOK_RETRY_SCHEDULE: '300ms,600ms,1s,2s,3s,4s,5s,6s',
  WEBHOOK_TIMEOUT: '2s',
  WEBHOOK_PROBE_INTERVAL: '2s',
  LOG_LEVEL: 'warn',
};

const well: Habit = () => ({ status: 204 });
const failing: Habit = (attempt, chance) => {
  const fate = chance.next();
  if (attempt > 2 || fate > 0.6) return { status: 200 };
  // Little of what slows an endpoint down, or it would still be at it when the others are through.
  if (fate < 0.005) return 'hang';
  if (fate < 0.02) return 'reset';
  return { status: fate < 0.03 ? 503 : 500 };
};
const slow: Habit = (_attempt, chance) => ({ status: 200, afterMs: chance.between(50, 150) });
const broken: Habit = () => ({ status: 500 });

interface Subscriber {
  readonly name: string;
  readonly space: 'first' | 'second';
  readonly habit: Habit;
  readonly settings?: object;
  /** Whether it takes everything at the first attempt, so that a delay is ours. */
  readonly prompt: boolean;
  /** Whether everything reaches it in the end; else some deliveries fail, as they should. */
  readonly whole: boolean;
}

const subscribers: readonly Subscriber[] = [
  { name: 'plain', space: 'first', habit: well, prompt: true, whole: true },
  { name: 'ordered', space: 'first', habit: well, settings: { ordering: 'record' }, prompt: true, whole: true },
  {
    name: 'ordered-failing',
    space: 'first',
    habit: failing,
    settings: { ordering: 'record' },
    prompt: false,
    whole: true,
  },
  { name: 'failing', space: 'first', habit: failing, prompt: false, whole: true },
  { name: 'slow', space: 'first', habit: slow, prompt: true, whole: true },
  { name: 'broken', space: 'first', habit: broken, prompt: false, whole: false },
  { name: 'neighbour', space: 'second', habit: well, prompt: true, whole: true },
];
const records = { first: 40, second: 10 };

export async function runChaos(options: ChaosOptions): Promise<boolean> {
  say(`seed ${options.seed}; ${options.minutes} min; faults: ${options.only.join(', ')}`);
  const habits = Object.fromEntries(subscribers.map(({ name, habit }) => [name, habit]));
  const receivers = await Receivers.start(habits, options.seed);
  const system = await startSystem({
    ownPostgres: true,
    dispatchers: 2,
    gateways: 2,
    dataServices: 2,
    env: settings,
  });
  try {
    return await new Chaos(system, receivers, options).run();
  } finally {
    if (options.logFolder) keepLogs(system, options.logFolder);
    await system.stop();
    await receivers.close();
  }
}

interface Space {
  readonly id: string;
  readonly slug: string;
  readonly key: string;
}

class Chaos {
  private readonly figures = new Figures();
  private readonly chance: Chance;
  private readonly worst = new Map<FaultName, { times: number; takeoverMs: number; readsMs: number }>();

  constructor(
    private readonly system: TestSystem,
    private readonly receivers: Receivers,
    private readonly options: ChaosOptions,
  ) {
    this.chance = new Chance(options.seed);
  }

  async run(): Promise<boolean> {
    const spaces = { first: await this.space(), second: await this.space() };
    for (const subscriber of subscribers) await this.subscribe(spaces[subscriber.space], subscriber);
    const publisher = await SteadyPublisher.start(
      this.system.nats.url,
      [
        { id: spaces.first.id, records: records.first },
        { id: spaces.second.id, records: records.second },
      ],
      this.options.perSecond,
    );
    await waitFor('the first deliveries', () => this.receivers.sightings('neighbour').length > 0, patienceMs);
    const reader = SteadyReader.start(this.system, '/api/v1/notes?pageSize=1', spaces.first.key);
    try {
      await this.misfortunes(publisher, reader, spaces);
      await publisher.finish();
      this.receivers.behave('broken', well);
      await this.allSettled(publisher.published, spaces);
      await this.judge(publisher.published, reader, spaces);
    } finally {
      await reader.stop();
      await publisher.close();
    }
    say(`\nseed ${this.options.seed}\n${this.figures.summary()}`);
    return this.figures.ok;
  }

  private async space(): Promise<Space> {
    const { id, slug } = await this.system.createSpace();
    const { key } = await this.system.createKey(slug);
    return { id, slug, key };
  }

  private async subscribe({ key }: Space, { name, settings: more }: Subscriber): Promise<void> {
    const answer = await fetch(`${this.system.baseUrl}/api/v1/webhooks`, {
      method: 'POST',
      headers: { 'x-api-key': key, 'content-type': 'application/json' },
      body: JSON.stringify({ name, url: this.receivers.url(name), events: ['note.*'], ...more }),
    });
    if (answer.status !== 201) throw new Error(`the webhook was refused: ${answer.status} ${await answer.text()}`);
  }

  /** Every kind once, in a random order, then whatever chance brings. */
  private async misfortunes(
    publisher: SteadyPublisher,
    reader: SteadyReader,
    spaces: Record<Subscriber['space'], Space>,
  ): Promise<void> {
    const until = Date.now() + this.options.minutes * 60_000;
    const first = this.chance.shuffled(this.options.only);
    while (Date.now() < until) {
      await new Promise((resolve) => setTimeout(resolve, this.chance.between(500, 3_000)));
      const name = first.pop() ?? this.chance.pick(this.options.only);
      const moments = await faults[name](this.system, this.chance);
      const takeoverMs = await this.takenOver(publisher.published, moments, spaces);
      await waitFor('reads', () => reader.served, patienceMs).catch(() => undefined);
      const readsMs = reader.recoveredAfter(moments.from, moments.over);
      const before = this.worst.get(name) ?? { times: 0, takeoverMs: 0, readsMs: 0 };
      this.worst.set(name, {
        times: before.times + 1,
        takeoverMs: Math.max(before.takeoverMs, takeoverMs),
        readsMs: Math.max(before.readsMs, readsMs),
      });
      say(
        `${name}: down ${moments.over - moments.from} ms, taken over after ${takeoverMs} ms, reads after ${readsMs} ms`,
      );
    }
  }

  /** Waits until the prompt subscribers have everything of before the end of the fault, and says how long that took. */
  private async takenOver(
    published: readonly PublishedState[],
    moments: Moments,
    spaces: Record<Subscriber['space'], Space>,
  ): Promise<number> {
    const each = () =>
      subscribers
        .filter(({ prompt }) => prompt)
        .map(({ name, space }) =>
          takenOverAfter(ofSpace(published, spaces[space]), this.receivers.sightings(name), moments),
        );
    const pending = () => each().some((ms) => ms === undefined);
    while (pending() && Date.now() < moments.over + patienceMs) await new Promise((resolve) => setTimeout(resolve, 50));
    return Math.max(...each().map((ms) => ms ?? Date.now() - moments.over));
  }

  /** Waits until nothing waits any more; what is missing then is missing. */
  private async allSettled(
    published: readonly PublishedState[],
    spaces: Record<Subscriber['space'], Space>,
  ): Promise<void> {
    const settled = async () => {
      for (const { name, space, whole } of subscribers)
        if (whole && missing(ofSpace(published, spaces[space]), this.receivers.sightings(name)).length) return false;
      const audits = [await this.audit(spaces.first), await this.audit(spaces.second)];
      return audits.every(({ webhooks }) => webhooks.every(({ waiting }) => waiting === 0));
    };
    await waitFor('everything to be delivered', async () => (await settled()) || (await pause(500)), 120_000).catch(
      () => say('not everything has been delivered in two minutes'),
    );
  }

  private async judge(
    published: readonly PublishedState[],
    reader: SteadyReader,
    spaces: Record<Subscriber['space'], Space>,
  ): Promise<void> {
    const { figures } = this;
    figures.add('seed', this.options.seed, '');
    figures.add('events published', published.length, 'events');
    figures.add('reads made', reader.reads, 'reads');
    for (const { name, space, whole } of subscribers) {
      const sightings = this.receivers.sightings(name);
      const owed = ofSpace(published, spaces[space]);
      const lost = missing(owed, sightings);
      if (whole && lost.length) say(`${name} lacks ${lost.slice(0, 20).join(' ')}`);
      figures.add(`${name}: delivered at least once`, owed.length - lost.length, 'events');
      if (whole) figures.add(`${name}: missing`, lost.length, 'events', 0);
      figures.add(`${name}: nobody published`, invented(owed, sightings).length, 'events', 0);
      const { again, unlike } = repeats(sightings);
      figures.add(`${name}: accepted again`, again, 'requests');
      figures.add(`${name}: repeats of another id or other bytes`, unlike, 'events', 0);
      if (!name.startsWith('ordered')) continue;
      const overtook = overtakings(sightings);
      if (overtook.length) say(`${name}: too early ${overtook.slice(0, 20).join(' ')}`);
      figures.add(`${name}: overtook within its record`, overtook.length, 'events', 0);
    }
    for (const [name, { times, takeoverMs, readsMs }] of this.worst) {
      figures.add(`${name}, ${times} times: longest takeover`, takeoverMs, 'ms', recoverLimitMs);
      figures.add(`${name}, ${times} times: longest until reads`, readsMs, 'ms', recoverLimitMs);
    }
    await this.judgeBooks(published, spaces);
    await this.judgeRecords(published, spaces);
  }

  /** The balance by the command of the command line, and what the attempts say beside it. */
  private async judgeBooks(
    published: readonly PublishedState[],
    spaces: Record<Subscriber['space'], Space>,
  ): Promise<void> {
    for (const space of [spaces.first, spaces.second]) {
      const { webhooks } = await this.audit(space);
      for (const { name, owed, delivered, failed, missing: without, stuck, waiting, cancelled } of webhooks) {
        const wrong = Math.abs(ofSpace(published, space).length - owed) + without + stuck + waiting + cancelled;
        this.figures.add(`audit of ${name}: unaccounted for`, wrong + Math.abs(owed - delivered - failed), 'events', 0);
        this.figures.add(`audit of ${name}: failed by schedule`, failed, 'events', name === 'broken' ? null : 0);
      }
    }
    const { rows } = await onDatabase(this.system.databaseUrl, (client) =>
      client.query<{ late: number; overwritten: number; resent: number }>(attemptFigures),
    );
    const [{ late, overwritten, resent } = { late: 0, overwritten: 1, resent: 1 }] = rows;
    this.figures.add('attempts of an old owner, kept and without effect', late, 'attempts');
    this.figures.add('results overwritten by an old owner', overwritten, 'deliveries', 0);
    this.figures.add('deliveries sent again after their success was written', resent, 'deliveries', 0);
  }

  /** Reading shows the last state of every record. */
  private async judgeRecords(
    published: readonly PublishedState[],
    spaces: Record<Subscriber['space'], Space>,
  ): Promise<void> {
    let stale = 0;
    for (const space of [spaces.first, spaces.second]) {
      const last = new Map<number, number>();
      for (const { record, version } of ofSpace(published, space))
        last.set(record, Math.max(version, last.get(record) ?? 0));
      const answer = await fetch(`${this.system.baseUrl}/api/v1/notes?pageSize=100`, {
        headers: { 'x-api-key': space.key },
      });
      const { data } = (await answer.json()) as { data: { id: number; subject: string }[] };
      const shown = new Map(data.map(({ id, subject }) => [id, Number(subject)]));
      for (const [record, version] of last) if (shown.get(record) !== version) stale++;
    }
    this.figures.add('records that reading does not show as published', stale, 'records', 0);
  }

  private async audit({ slug }: Space): Promise<WebhookAudit> {
    const line = ['webhooks', 'audit', '--space', slug, '--json'];
    // An imbalance is told by the figures rather than by the exit code.
    const { out, err } = await captureCommandLine(line, { env: this.system.adminEnv });
    if (!out) throw new Error(`the audit failed: ${err}`);
    return JSON.parse(out) as WebhookAudit;
  }
}

/** Of all deliveries: the last attempt that counted says what stands. */
const attemptFigures = `
  select (select count(*)::int from webhooks.attempt where late) as late,
         count(*) filter (where (d.status = 'success') is distinct from (last.ok is true))::int as overwritten,
         count(*) filter (where last.successes > 1)::int as resent
  from webhooks.delivery d
  cross join lateral (
    select (array_agg(response_status between 200 and 299 order by id desc))[1] as ok,
           count(*) filter (where response_status between 200 and 299) as successes
    from webhooks.attempt a where a.delivery_id = d.id and a.day = d.day and not a.late
  ) last
  where d.status <> 'cancelled'`;

const ofSpace = (published: readonly PublishedState[], { id }: Space) =>
  published.filter(({ spaceId }) => spaceId === id);

const pause = (ms: number): Promise<false> => new Promise((resolve) => setTimeout(() => resolve(false), ms));

function keepLogs(system: TestSystem, folder: string): void {
  mkdirSync(folder, { recursive: true });
  copyFileSync(system.postgres.logFile, path.join(folder, 'postgres.log'));
  for (const instance of instances) {
    const lines = system.logs(instance).map((line) => JSON.stringify(line));
    writeFileSync(path.join(folder, `${instance}.log`), `${lines.join('\n')}\n`);
  }
}
