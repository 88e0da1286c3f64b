import { dayAt, dayMs, isMissingDay, ensureDays, ensureDaysAhead } from './days';
import * as sql from './dispatch-statements';
import type {
  Accepted,
  AcceptedDelivery,
  AttemptReason,
  AttemptResult,
  ClaimedDelivery,
  DispatchStore,
  Endpoint,
  EndpointState,
  InstanceId,
  QueueFigures,
  Room,
  TestMessage,
} from './dispatch-store.types';
import { about, recoverEndpoint } from './endpoint-health';
import { endpointHeaders, endpointSecrets, endpointSignatureKeys } from './endpoint-secrets';
import { eventColumns, numbers } from './event-columns';
import { emitOperationalEvent } from './operational-events';
import { RecordOrder, type OrderKey } from './record-order';
import { cancelWaiting as cancelReplayed, leftOver } from './replay-statements';
import { SealedByUnknownKey, type SecretBox } from './secret-box';
import { addVersion, cancelWaiting } from './webhook-statements';
import { webhookNumber } from './wire-ids';
import { testEventName, type CommittedEvent, type SignatureScheme } from '@keyturn/contracts';
import { spaceId, spaceNumber, type Database, type Queries } from '@keyturn/platform/database';

export interface DispatchStoreOptions {
  /** Attempts of the common schedule, the first one included: what `maxAttempts` shows (T-092). */
  readonly maxAttempts: number;
  /** How long after a failed probe a disabled endpoint is tried again. */
  readonly probeIntervalMs: number;
  /** How long what lies behind a missing batch of events waits for it. */
  readonly gapPatienceMs?: number;
}

interface AcceptRow {
  id: string;
  message_id: string;
  endpoint_id: string;
  revision: number;
  thin: boolean;
  leased: boolean;
  ordered: boolean;
  resource: string;
  record_id: string;
}

/** The one row of a batch that nobody is owed anything of, or any other row: whether it filled a gap. */
interface BatchRow {
  id: string | null;
  closed: boolean;
}

interface RecordRow {
  delivery_id: string;
  next_status: string | null;
  ordered: boolean;
  endpoint_id: string;
  resource: string;
  record_id: string;
  recovered: boolean;
}

interface ClaimRow {
  delivery_id: string;
  endpoint_id: string;
  space_id: string;
  message_id: string;
  sequence: string | null;
  thin: boolean;
  attempts: number;
  attempts_before: number;
  reason: string;
  revision: number;
  not_before: number;
  due_since: number;
  event: string;
  record_id: string;
  time: Date;
  committed_at: Date;
  traceparent: string | null;
  payload: Buffer;
}

interface TurnedOffRow {
  space_id: string;
  /** Of a replay's target, the webhook. */
  parent_id: string | null;
  name: string;
  url: string;
  events: string[];
  thin: boolean;
  filter: string | null;
  sequence: string | null;
}

interface EndpointRow {
  id: string;
  space_id: string;
  revision: number;
  status: EndpointState;
  url: string;
  verified: boolean;
  secret_enc: Buffer | null;
  previous_secret_enc: Buffer | null;
  previous_secret_until: Date | null;
  retry_schedule: string[] | null;
  ordering: 'none' | 'record';
  rate_limit: number | null;
  headers_enc: Buffer | null;
  signature_scheme: SignatureScheme;
  previous_scheme_until: Date | null;
  signature_key_enc: Buffer | null;
  previous_signature_key_enc: Buffer | null;
}

/** What an attempt keeps of a response, and what the delivery shows of it (T-092). */
const maxBodyBytes = 16 * 1024;
const maxExcerptBytes = 2_000;
const sweepEveryMs = 5_000;
const promoteEveryMs = 20;

export class PostgresDispatchStore implements DispatchStore {
  private readonly db: Queries;
  private readonly order: RecordOrder;
  private readonly listeners: ((endpointIds: readonly string[]) => void)[] = [];
  private sweptAt = -Infinity;
  private promotedAt = -Infinity;
  /** The last claim has brought something. */
  private draining = false;
  /** Where the last claim's round over the endpoints ended, so that no endpoint is always first. */
  private round = '0';

  constructor(
    private readonly database: Database,
    private readonly secrets: SecretBox,
    private readonly options: DispatchStoreOptions,
  ) {
    this.db = database.acrossSpaces('a dispatcher sends the deliveries of all Spaces');
    this.order = new RecordOrder(this.db);
  }

  onReady(listener: (endpointIds: readonly string[]) => void): void {
    this.listeners.push(listener);
  }

  private tellReady(endpointIds: readonly string[]): void {
    if (endpointIds.length) for (const listener of this.listeners) listener(endpointIds);
  }

  /** The days to come have their partitions; an event of another day makes its own. */
  ensureDaysAhead(now: Date): Promise<void> {
    return ensureDaysAhead(this.database, now);
  }

  async register(leaseMs: number): Promise<InstanceId> {
    const [row] = await this.db.query<{ id: string }>(sql.register, [leaseMs]);
    return (row as { id: string }).id;
  }

  async renew(instance: InstanceId, leaseMs: number): Promise<boolean> {
    return (await this.db.query(sql.renew, [instance, leaseMs])).length > 0;
  }

  async reap(): Promise<number> {
    await this.db.query(sql.bury);
    const freed = (await this.db.query(sql.freeOrphans)).length;
    if (performance.now() - this.sweptAt > sweepEveryMs) {
      this.sweptAt = performance.now();
      await this.sweep();
    }
    return freed;
  }

  /** Makes good for what a process left half done when it died, or what two did at once. */
  private async sweep(): Promise<void> {
    this.tellReady(await this.order.sweep(this.options.gapPatienceMs));
    for (const { id, space_id } of await this.db.query<{ id: string; space_id: string }>(sql.stranded))
      await this.database.inSpace(spaceId(space_id)).query(cancelWaiting, [id]);
    await this.db.query(sql.endErased);
    for (const { id, space_id } of await this.db.query<{ id: string; space_id: string }>(leftOver))
      await this.database.inSpace(spaceId(space_id)).query(cancelReplayed, [id]);
  }

  /**
   * What follows from something that is committed. Its failure must not make that look undone, or it would be done again: the
   * next beat sweeps instead, and an endpoint that has not come back is probed once more.
   */
  private async afterwards(work: () => Promise<void>): Promise<void> {
    try {
      await work();
    } catch {
      this.sweptAt = -Infinity;
    }
  }

  async retire(instance: InstanceId): Promise<void> {
    await this.db.query(sql.forget, [instance]);
    await this.db.query(sql.freeOwn, [instance]);
  }

  async accept(instance: InstanceId, events: readonly CommittedEvent[], room: Room): Promise<Accepted> {
    if (events.length === 0) return { leased: [], waiting: 0, waitingOf: [] };
    const values = [instance, ...acceptColumns(events), ...roomValues(room), this.options.maxAttempts];
    let batch: (AcceptRow | BatchRow)[];
    try {
      batch = await this.db.query<AcceptRow | BatchRow>(sql.accept, values);
    } catch (error) {
      if (!isMissingDay(error)) throw error;
      await ensureDays(this.database, events.map(dayOf));
      batch = await this.db.query<AcceptRow | BatchRow>(sql.accept, values);
    }
    const rows = batch.filter((row): row is AcceptRow => row.id !== null);
    const filledGap = batch.some((row) => 'closed' in row && row.closed);
    await this.afterwards(async () => {
      if (filledGap) this.tellReady(await this.order.releaseAll());
      else await this.order.release(rows.filter(({ ordered }) => ordered).map(orderKey));
    });
    const leased = rows.filter((row) => row.leased);
    const waitingOf = new Set(rows.filter((row) => !row.leased).map((row) => row.endpoint_id));
    return {
      leased: leased.map(acceptedDelivery),
      waiting: rows.length - leased.length,
      waitingOf: [...waitingOf],
    };
  }

  async claim(instance: InstanceId, room: Room): Promise<ClaimedDelivery[]> {
    await this.promote();
    const rows = await this.claimFrom(instance, room, this.round);
    // The round has reached its end: what is left of the room goes to the endpoints at its beginning.
    if (rows.length < room.total && this.round !== '0') {
      this.round = '0';
      const taken = new Map(room.ofEndpoint);
      for (const { endpoint_id } of rows) taken.set(endpoint_id, (taken.get(endpoint_id) ?? room.perEndpoint) - 1);
      const rest = { ...room, total: room.total - rows.length, ofEndpoint: taken };
      // What the first part has brought is leased to us, whatever becomes of the second.
      await this.claimFrom(instance, rest, '0').then(
        (more) => rows.push(...more),
        (error: unknown) => {
          if (rows.length === 0) throw error;
        },
      );
    }
    this.draining = rows.length > 0;
    this.round = rows.length < room.total ? '0' : (rows.at(-1)?.endpoint_id ?? '0');
    return rows.map(claimedDelivery);
  }

  /** Claims of a backlog follow one another faster than anything falls due. */
  private async promote(): Promise<void> {
    if (this.draining && performance.now() - this.promotedAt < promoteEveryMs) return;
    this.promotedAt = performance.now();
    await this.db.query(sql.promote);
  }

  private claimFrom(instance: InstanceId, room: Room, behind: string): Promise<ClaimRow[]> {
    return this.db.query<ClaimRow>(sql.claim, [instance, ...roomValues(room), behind, this.options.probeIntervalMs]);
  }

  async nextDueInMs(exceptEndpoints: readonly string[] = []): Promise<number | null> {
    const [row] = await this.db.query<{ ms: number | null }>(sql.nextDue, [exceptEndpoints]);
    return row?.ms === null || row?.ms === undefined ? null : Math.max(0, row.ms);
  }

  async openTest(instance: InstanceId, test: TestMessage): Promise<AcceptedDelivery | null> {
    const endpoint = webhookNumber(test.webhookId);
    if (!endpoint) return null;
    const [resource] = testEventName.split('.');
    const write = () =>
      this.database
        .inSpace(test.spaceId)
        .query<{ id: string; endpoint_id: string; revision: number }>(sql.openTest, [
          instance,
          endpoint,
          test.messageId,
          test.time,
          Buffer.from(test.payload),
          testEventName,
          resource,
        ]);
    let rows;
    try {
      rows = await write();
    } catch (error) {
      if (!isMissingDay(error)) throw error;
      await ensureDaysAhead(this.database, new Date());
      rows = await write();
    }
    const [row] = rows;
    if (!row) return null;
    return {
      id: row.id,
      messageId: test.messageId,
      webhookId: row.endpoint_id,
      revision: row.revision,
      thin: false,
    };
  }

  async endpoints(ids: readonly string[]): Promise<Endpoint[]> {
    const rows = await this.db.query<EndpointRow>(sql.readEndpoints, [ids]);
    return rows.map((row) => ({
      id: row.id,
      spaceId: spaceId(row.space_id),
      revision: row.revision,
      state: row.status,
      url: row.url,
      verified: row.verified,
      ...this.opened(row),
      previousSecretUntil: row.previous_secret_until?.getTime() ?? null,
      signatureScheme: row.signature_scheme,
      previousSchemeUntil: row.previous_scheme_until?.getTime() ?? null,
      retryScheduleMs: row.retry_schedule?.map(Number) ?? null,
      ordering: row.ordering,
      rateLimit: row.rate_limit,
    }));
  }

  /** One endpoint whose secret no key of today opens must not hold up all the others: it has none. */
  private opened(row: EndpointRow): Pick<Endpoint, 'secrets' | 'signatureKeys' | 'headers'> {
    try {
      return {
        secrets: endpointSecrets(this.secrets, row),
        signatureKeys: endpointSignatureKeys(this.secrets, row),
        headers: endpointHeaders(this.secrets, row),
      };
    } catch (error) {
      if (!(error instanceof SealedByUnknownKey)) throw error;
      return { secrets: [], signatureKeys: [], headers: {} };
    }
  }

  async record(instance: InstanceId, results: readonly AttemptResult[]): Promise<string[]> {
    if (results.length === 0) return [];
    const rows = await this.db.query<RecordRow>(sql.record, [instance, ...recordColumns(results)]);
    const ended = rows.filter((row) => row.ordered && row.next_status !== null && row.next_status !== 'retrying');
    await this.afterwards(async () => this.tellReady(await this.order.release(ended.map(orderKey))));
    for (const endpointId of new Set(rows.filter(({ recovered }) => recovered).map(({ endpoint_id }) => endpoint_id)))
      await this.afterwards(async () =>
        this.tellReady(await recoverEndpoint(this.database, endpointId, this.options.maxAttempts)),
      );
    return [...new Set(rows.map((row) => row.delivery_id))];
  }

  async leasedTo(instance: InstanceId): Promise<string[]> {
    const rows = await this.db.query<{ delivery_id: string }>(sql.leasedTo, [instance]);
    return rows.map((row) => row.delivery_id);
  }

  /** Endpoints of which this instance holds deliveries that are to be given back: their record has been erased. */
  async erasedInHands(instance: InstanceId): Promise<string[]> {
    const rows = await this.db.query<{ endpoint_id: string }>(sql.erasedInHands, [instance]);
    return rows.map((row) => row.endpoint_id);
  }

  async release(instance: InstanceId, deliveryIds: readonly string[]): Promise<void> {
    if (deliveryIds.length) await this.db.query(sql.release, [instance, deliveryIds]);
  }

  async figures(): Promise<QueueFigures> {
    const [queue] = await this.db.query<{ due: string; oldest: number | null }>(sql.queueFigures);
    const states = await this.db.query<{ status: EndpointState; count: string }>(sql.endpointStates);
    return {
      due: Number(queue?.due ?? 0),
      oldestDueSeconds: queue?.oldest ?? 0,
      endpoints: Object.fromEntries(states.map(({ status, count }) => [status, Number(count)])),
    };
  }

  async turnOff(webhookId: string, reason: 'gone'): Promise<void> {
    const owed = await this.database.transaction('an endpoint goes off and what waits for it ends', async (tx) => {
      const [off] = await tx
        .acrossSpaces('a dispatcher knows endpoints by their number')
        .query<TurnedOffRow>(sql.turnOff, [webhookId, reason]);
      if (!off) return [];
      const db = tx.inSpace(spaceId(off.space_id));
      await db.query(cancelWaiting, [webhookId]);
      if (off.parent_id !== null) return [];
      await db.query(addVersion, [webhookId, off.sequence ?? 0, false, off.events, off.thin, off.filter]);
      const figures = { failingSince: null, consecutiveFailures: null, attemptsLastDay: null, failuresLastDay: null };
      const data = { ...about(webhookId, off), reason, ...figures };
      return emitOperationalEvent(tx, 'webhook.disabled', off.space_id, data, this.options.maxAttempts);
    });
    this.tellReady(owed);
  }
}

/** The day whose partition holds the message: that of the commit, so a repeat finds the same one. */
const dayOf = (event: CommittedEvent) => event.committedAt.slice(0, 'YYYY-MM-DD'.length);

function acceptColumns(events: readonly CommittedEvent[]): unknown[] {
  const [ids, ...rest] = eventColumns(events);
  return [ids, numbers(events.map((event) => spaceNumber(event.spaceId))), ...rest];
}

const roomValues = ({ total, perEndpoint, ofEndpoint }: Room): unknown[] => [
  total,
  perEndpoint,
  JSON.stringify(Object.fromEntries(ofEndpoint)),
];

function recordColumns(results: readonly AttemptResult[]): unknown[] {
  return [
    numbers(results.map(({ deliveryId }) => deliveryId)),
    results.map(({ effect }) => effect.kind),
    numbers(results.map(({ effect }) => (effect.kind === 'retry' ? effect.inMs : 0))),
    numbers(results.map(({ effect }) => (effect.kind === 'retry' ? (effect.holdEndpointMs ?? 0) : 0))),
    numbers(results.map(({ attempt }) => attempt.number)),
    results.map(({ attempt }) => attempt.startedAt.toISOString()),
    results.map(({ attempt }) => attempt.reason),
    results.map(({ attempt }) => attempt.address),
    numbers(results.map(({ attempt }) => attempt.status)),
    results.map(({ attempt }) => storable(attempt.headers)),
    results.map(({ attempt }) => storable(attempt.body)),
    results.map(({ attempt }) => attempt.faultClass),
    results.map(({ attempt }) => storable(attempt.error)),
    numbers(results.map(({ attempt }) => attempt.dnsMs)),
    numbers(results.map(({ attempt }) => attempt.connectMs)),
    numbers(results.map(({ attempt }) => attempt.tlsMs)),
    numbers(results.map(({ attempt }) => attempt.firstByteMs)),
    numbers(results.map(({ attempt }) => attempt.totalMs)),
    results.map(({ attempt }) => storable(attempt.body, maxExcerptBytes)),
    ...daysAround(results.map(({ committedAt }) => committedAt)),
  ];
}

/** From the day before the first moment to the day after the last: the database's clock may differ from ours. */
const daysAround = (moments: readonly number[]): [string, string] => [
  dayAt(Math.min(...moments) - dayMs),
  dayAt(Math.max(...moments) + dayMs),
];

/** A receiver's text as Postgres can hold it: bounded, no NUL, whole characters only. */
function storable(text: string | null, maxBytes = maxBodyBytes): string | null {
  if (text === null) return null;
  const bytes = Buffer.from(text.slice(0, maxBytes).replaceAll('\0', '\uFFFD'), 'utf8');
  if (bytes.length <= maxBytes) return bytes.toString('utf8');
  let end = maxBytes;
  // Not within a character: its later bytes begin with the bits 10.
  while (((bytes[end] as number) & 0xc0) === 0x80) end--;
  return bytes.toString('utf8', 0, end);
}

const orderKey = (row: { endpoint_id: string; resource: string; record_id: string }): OrderKey => ({
  endpointId: row.endpoint_id,
  resource: row.resource,
  recordId: row.record_id,
});

const acceptedDelivery = (row: AcceptRow): AcceptedDelivery => ({
  id: row.id,
  messageId: row.message_id,
  webhookId: row.endpoint_id,
  revision: row.revision,
  thin: row.thin,
});

const claimedDelivery = (row: ClaimRow): ClaimedDelivery => ({
  id: row.delivery_id,
  messageId: row.message_id,
  webhookId: row.endpoint_id,
  revision: row.revision,
  thin: row.thin,
  spaceId: spaceId(row.space_id),
  event: row.event,
  recordId: Number(row.record_id),
  sequence: row.sequence === null ? null : Number(row.sequence),
  time: row.time.toISOString(),
  committedAt: row.committed_at.toISOString(),
  ...(row.traceparent === null ? {} : { traceparent: row.traceparent }),
  payload: row.payload,
  attempts: row.attempts,
  attemptsBefore: row.attempts_before,
  reason: row.reason as AttemptReason,
  notBeforeInMs: row.not_before,
  dueSinceMs: row.due_since,
});
