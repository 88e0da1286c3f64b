import { Injectable } from '@nestjs/common';
import { headers, NatsError, type MsgHdrs, type StoredMsg } from 'nats';
import { committedEventHeaders, eventsSubject, logPositionHeader, type CommittedEvent } from '@keyturn/contracts';
import { Database, spaceId, statement } from '@keyturn/platform/database';
import { Log } from '@keyturn/platform/logs';
import { Metrics } from '@keyturn/platform/metrics';
import { NatsLink } from '@keyturn/platform/nats';
import { openSpan, type Span } from '@keyturn/platform/tracing';
import { streamState } from '../apply/stream-reader';
import { Wake } from '../apply/wake';

const stream = 'EVENTS';

const maxBatch = 300;
const maxBatchBytes = 2 * 1024 * 1024;
const ackTimeoutMs = 3_000;
const savePositionEveryMs = 1_000;
const retryFirstMs = 50;
const retryMostMs = 2_000;
/** How far back in the stream a message of ours is looked for. */
const lookBack = 64;
const eventsKeptMs = 7 * 86_400_000;

const readPosition = statement(
  'relay.position',
  `select sequence, coalesce(moment, '-infinity'::timestamptz)::text as moment, stream_created
   from data.position where name = 'relay'`,
);
const savePosition = statement(
  'relay.save',
  `update data.position set sequence = $2, moment = $3::timestamptz, stream_created = $4
   where name = 'relay' and sequence = $1 returning name`,
);
const findInLog = statement(
  'relay.find',
  `select id, committed_at::text as moment from data.event_log where id = $1 and committed_at = $2 and event_id = $3`,
);
const firstSince = statement(
  'relay.first_since',
  `select id - 1 as before, committed_at::text as moment from data.event_log
   where committed_at >= $1 order by committed_at, id limit 1`,
);
const lastOfLog = statement('relay.last', `select sequence from data.position where name = 'log'`);
/** By id, within the partitions that can hold it; ids rise with the time of their commit. */
const readLog = statement(
  'relay.read',
  `select * from (
     select id, space_id, sequence, event_id, event, record_id, time, committed_at, committed_at::text as moment,
            array_to_string(changed, ',') as changed, traceparent, payload,
            sum(octet_length(payload)) over (order by id) - octet_length(payload) as bytes_before
     from (
       select * from data.event_log where committed_at >= $2::timestamptz and id > $1 order by id limit $3
     ) batch
   ) sized
   where bytes_before < $4 order by id`,
);

interface LogRow {
  id: string;
  space_id: string;
  sequence: string;
  event_id: string;
  event: string;
  record_id: string;
  time: Date;
  committed_at: Date;
  moment: string;
  changed: string;
  traceparent: string | null;
  payload: string;
  bytes_before: string;
}

/** How far the log is in the stream. */
interface Relayed {
  readonly id: number;
  /** When that message was committed, as Postgres says it. */
  readonly moment: string;
  /** The stream's last sequence: only behind it may the next message go. */
  readonly lastSequence: number;
  readonly streamCreated: Date;
}

/** Publishing met something else at the end of the stream than what we put there. */
class OutOfStep extends Error {}

/**
 * Publishes the log to stream `EVENTS`: every message, in commit order, once as far as can be told. A batch is sent without
 * waiting for each answer; every message names the one that must be the stream's last before it, so when one fails, none
 * behind it gets in, and the answer to the last one speaks for all.
 *
 * Runs on the instance that applies. Whoever appends to the log elsewhere has to `wake` it there.
 */
@Injectable()
export class Relay {
  private readonly woken = new Wake();
  private relayed: Relayed | undefined;
  private saved: { id: number; created: number | undefined; at: number } = { id: 0, created: undefined, at: 0 };
  private batchLimit = maxBatch;
  private readonly published;
  private readonly duration;

  constructor(
    private readonly database: Database,
    private readonly link: NatsLink,
    private readonly log: Log,
    metrics: Metrics,
  ) {
    this.published = metrics.counter('events_relayed_total', 'Messages of the log published to EVENTS.', []);
    this.duration = metrics.histogram(
      'relay_delay_seconds',
      'Time from the commit of a message to its place in EVENTS.',
      [],
      [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 5, 30],
    );
    metrics.gauge('relay_lag_events', 'Messages of the log that are not in EVENTS yet.', [], async (gauge) =>
      gauge.set(await this.lag()),
    );
  }

  /** There is something new in the log. */
  wake(): void {
    this.woken.now();
  }

  /** Relays until told to stop; then finishes what is committed, if that goes without trouble. */
  async run(signal: AbortSignal): Promise<void> {
    signal.addEventListener('abort', () => this.woken.now(), { once: true });
    this.relayed = undefined;
    let failures = 0;
    for (;;) {
      // Asked before reading, so that what was committed up to the end is still read.
      const ending = signal.aborted;
      try {
        const more = await this.relayBatch();
        failures = 0;
        if (more) continue;
        if (ending) break;
        if (!(await this.woken.within(savePositionEveryMs))) await this.save();
      } catch (error) {
        if (signal.aborted) return;
        this.relayed = undefined;
        this.batchLimit = 1;
        this.log.warn({ error: String(error) }, 'relaying is interrupted');
        await this.woken.within(Math.min(retryMostMs, retryFirstMs * 2 ** failures++));
      }
    }
    await this.save().catch((error: unknown) => this.log.warn({ error: String(error) }, 'relay position not saved'));
  }

  /** Whether there may be more behind it; whoever appends meanwhile wakes us. */
  private async relayBatch(): Promise<boolean> {
    this.relayed ??= await this.findPlace();
    const limit = this.batchLimit;
    const { id, moment } = this.relayed;
    const rows = await this.queries().query<LogRow>(readLog, [id, moment, limit, maxBatchBytes]);
    const last = rows.at(-1);
    if (!last) return false;
    const { lastSequence, repeated } = await this.publish(rows, this.relayed);
    this.relayed = { ...this.relayed, id: Number(last.id), moment: last.moment, lastSequence };
    // Of a batch that ends with a repeat nothing is known, so as long as there are repeats they go one by one.
    this.batchLimit = repeated ? 1 : Math.min(maxBatch, limit * 2);
    this.published.inc(rows.length);
    const now = Date.now();
    for (const { committed_at: committedAt } of rows)
      this.duration.observe(Math.max(0, now - committedAt.getTime()) / 1_000);
    if (performance.now() - this.saved.at > savePositionEveryMs) await this.save();
    return rows.length === limit || Number(last.bytes_before) > maxBatchBytes / 2;
  }

  /** Returns the stream's last sequence behind the batch, and whether the stream had its one message before. */
  private async publish(rows: readonly LogRow[], relayed: Relayed): Promise<Placed> {
    const spans = rows.map(openStep);
    try {
      const placed = await this.send(rows, spans, relayed);
      for (const span of spans) span?.end();
      return placed;
    } catch (error) {
      for (const span of spans) span?.end('not published');
      throw error;
    }
  }

  private async send(
    rows: readonly LogRow[],
    spans: readonly (Span | undefined)[],
    { lastSequence }: Relayed,
  ): Promise<Placed> {
    const connection = this.link.connection();
    const last = rows.length - 1;
    for (const [index, row] of rows.entries()) {
      const event = committedEvent(row, spans[index]?.traceparent ?? row.traceparent);
      const header = headersOf(event, row.id);
      // The sequence also holds after a restart of the server, when it may have forgotten the last message's id.
      if (index === 0) header.set('Nats-Expected-Last-Sequence', String(lastSequence));
      else header.set('Nats-Expected-Last-Msg-Id', rows[index - 1]?.event_id ?? '');
      if (index < last) connection.publish(eventsSubject(event), event.payload, { headers: header });
      else {
        const answer = await this.link.whileConnected(
          connection.request(eventsSubject(event), event.payload, { headers: header, timeout: ackTimeoutMs }),
        );
        return placeOf(answer.json<PublishAnswer>(), rows.length, lastSequence);
      }
    }
    return { lastSequence, repeated: false };
  }

  /**
   * Where to go on: behind the last message of the stream that is the log's, whatever was noted. What was noted may be older
   * (a crash before it was saved) or newer (the stream lost its end in a power failure). A message that the log does not
   * know, because the database was restored from an older copy, counts for nothing.
   */
  private async findPlace(): Promise<Relayed> {
    const state = await this.link.whileConnected(streamState(this.link, stream));
    if (!state) throw new Error(`stream ${stream} is not there`);
    const [row] = await this.queries().query<{ sequence: string; moment: string; stream_created: Date | null }>(
      readPosition,
    );
    if (!row) throw new Error('there is no position of the relay');
    this.saved = { id: Number(row.sequence), created: row.stream_created?.getTime(), at: performance.now() };
    const at = { lastSequence: state.lastSequence, streamCreated: state.created };
    if (row.stream_created && row.stream_created.getTime() !== state.created.getTime()) {
      this.log.warn({ created: state.created }, 'stream EVENTS was made anew: relaying again what it would hold');
      return { ...(await this.sevenDaysBack()), ...at };
    }
    const found = await this.lastOfOurs(state.firstSequence, state.lastSequence);
    if (found && found.id < this.saved.id)
      this.log.warn({ saved: this.saved.id, found: found.id }, 'stream EVENTS has lost its end: relaying it again');
    return { id: this.saved.id, moment: row.moment, ...found, ...at };
  }

  private async lastOfOurs(first: number, last: number): Promise<{ id: number; moment: string } | undefined> {
    const manager = await this.link.manager();
    for (let seq = last; seq >= Math.max(first, last - lookBack, 1); seq--) {
      let message: StoredMsg;
      try {
        message = await this.link.whileConnected(manager.streams.getMessage(stream, { seq }));
      } catch (error) {
        if (error instanceof NatsError && error.api_error?.code === 404) continue;
        throw error;
      }
      const { header } = message;
      const [id, committedAt] = [Number(header.get(logPositionHeader)), new Date(header.get('Keyturn-Committed'))];
      if (!Number.isSafeInteger(id) || id < 1 || Number.isNaN(committedAt.getTime())) continue;
      const [row] = await this.queries().query<{ moment: string }>(findInLog, [
        id,
        committedAt,
        header.get('Nats-Msg-Id'),
      ]);
      // The newest of ours decides: an unknown one means that the log is older than the stream.
      return row && { id, moment: row.moment };
    }
    return undefined;
  }

  private async sevenDaysBack(): Promise<{ id: number; moment: string }> {
    const [row] = await this.queries().query<{ before: string; moment: string }>(firstSince, [
      new Date(Date.now() - eventsKeptMs),
    ]);
    return row ? { id: Number(row.before), moment: row.moment } : { id: this.saved.id, moment: '-infinity' };
  }

  private async save(): Promise<void> {
    const { relayed, saved } = this;
    if (!relayed || (relayed.id === saved.id && relayed.streamCreated.getTime() === saved.created)) return;
    const rows = await this.queries().query(savePosition, [
      saved.id,
      relayed.id,
      relayed.moment,
      relayed.streamCreated,
    ]);
    if (rows.length === 0) throw new OutOfStep('another instance has saved a position');
    this.saved = { id: relayed.id, created: relayed.streamCreated.getTime(), at: performance.now() };
  }

  private async lag(): Promise<number> {
    if (!this.relayed) return 0;
    const [row] = await this.queries().query<{ sequence: string }>(lastOfLog);
    return Math.max(0, Number(row?.sequence ?? 0) - this.relayed.id);
  }

  private queries() {
    return this.database.acrossSpaces('the log holds the events of all Spaces in one order');
  }
}

interface PublishAnswer {
  seq?: number;
  duplicate?: boolean;
  error?: { code: number; err_code?: number; description?: string };
}

interface Placed {
  readonly lastSequence: number;
  readonly repeated: boolean;
}

function placeOf({ seq, duplicate, error }: PublishAnswer, count: number, lastSequence: number): Placed {
  if (error || seq === undefined) throw new OutOfStep(`EVENTS refuses a message: ${error?.description ?? 'no answer'}`);
  if (!duplicate) return { lastSequence: seq, repeated: false };
  // A repeat is told before its place is looked at, so it says nothing about the messages in front of it.
  if (count > 1) throw new OutOfStep('the last message of a batch was in the stream before');
  return { lastSequence, repeated: true };
}

/** Undefined where the event has no trace, or nobody gathers any. */
function openStep({ traceparent, event, space_id }: LogRow): Span | undefined {
  if (traceparent === null) return undefined;
  const attributes = {
    'messaging.system': 'nats',
    'messaging.operation.name': 'send',
    'messaging.operation.type': 'send',
    'messaging.destination.name': stream,
    'cloudevents.event_type': event,
    'keyturn.space.id': spaceId(space_id),
  };
  return openSpan({ name: `send ${stream}`, kind: 'producer', attributes }, traceparent);
}

function committedEvent(row: LogRow, traceparent: string | null): CommittedEvent {
  return {
    id: row.event_id,
    spaceId: spaceId(row.space_id),
    sequence: Number(row.sequence),
    event: row.event,
    recordId: Number(row.record_id),
    time: row.time.toISOString(),
    committedAt: row.committed_at.toISOString(),
    changed: row.changed === '' ? [] : row.changed.split(','),
    ...(traceparent === null ? {} : { traceparent }),
    payload: Buffer.from(row.payload),
  };
}

function headersOf(event: CommittedEvent, logId: string): MsgHdrs {
  const header = headers();
  for (const [name, value] of Object.entries(committedEventHeaders(event))) header.set(name, value);
  header.set(logPositionHeader, logId);
  return header;
}
