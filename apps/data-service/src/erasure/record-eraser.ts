import { Injectable } from '@nestjs/common';
import { unavailable, webhookPayload, type Erasure, type Resource } from '@keyturn/contracts';
import { Database, spaceNumber, type Transaction } from '@keyturn/platform/database';
import { newUlid } from '@keyturn/platform/ids';
import { RpcClient } from '@keyturn/platform/rpc';
import { putTombstones, statementsOf } from '../apply/apply.sql';
import { recordOf } from '../apply/fold';
import { bigintArray, textArray, timestampArray } from '../apply/pg-arrays';
import { loggedEvent } from '../log/event-log.rpc';
import { Relay } from '../log/relay';
import { isAbout } from './about-record';
import * as sql from './erasure.sql';
import { StreamEraser } from './stream-eraser';

export interface RecordName {
  readonly spaceId: string;
  readonly resource: Resource;
  readonly recordId: number;
}

/** Where things stood when the record's state went: what came before it is erased, what comes after is another life. */
interface Cut {
  readonly deleted: boolean;
  /** The Space's sequence. */
  readonly upTo: number;
  readonly positions: ReadonlyMap<string, number>;
}

interface EventRow {
  id: string;
  event_id: string;
  sequence: string;
  event: string;
  record_id: string;
  time: Date;
  committed_at: Date;
  moment: string;
  changed: string[];
  traceparent: string | null;
  payload: string;
}

const incoming = { DOMAIN: 'domain', BACKFILL: 'backfill' } as const;
const lookEveryMs = 100;
/** Sequences of a Space that one statement looks through. */
const stretch = 20_000;
const maxEvents = 100;
/** A request is one message. */
const maxRequestBytes = 400_000;
/** What is older than the stream keeps it, every dispatcher has had long ago. */
const inStreamMs = 8 * 86_400_000;
const requestWaitMs = 10_000;

/**
 * Forgets a record. In this order, so that a repetition finishes what broke off anywhere, and nothing that is on its way brings
 * the data back: what publishers have sent is applied; the audit log says who; the state goes, and the log says so; what the log
 * holds is relayed; webhooks learn of it and cancel; the log loses its data; the streams lose the messages.
 */
@Injectable()
export class RecordEraser {
  constructor(
    private readonly database: Database,
    private readonly streams: StreamEraser,
    private readonly relay: Relay,
    private readonly rpc: RpcClient,
  ) {}

  async erase(record: RecordName, deadline: number): Promise<Erasure> {
    await this.untilApplied(record, deadline);
    await this.enterInAudit(record);
    const cut = await this.removeState(record);
    this.relay.wake();
    await this.until('the log to be relayed', deadline, (at) => at('relay') >= (cut.positions.get('log') ?? 0));
    const done = { payloads: 0, answers: 0, cancelled: 0, events: 0 };
    await this.eraseDeliveries(record, cut, [], done);
    await this.eraseLog(record, cut, done);
    return { deleted: cut.deleted, ...done, streamMessages: await this.eraseStreams(record, cut) };
  }

  /** Events that were sent before us have had their effects, which are then erased with the rest. */
  private async untilApplied({ spaceId, resource }: RecordName, deadline: number): Promise<void> {
    const last = new Map<string, number>();
    for (const [stream, prefix] of Object.entries(incoming))
      last.set(stream, await this.streams.last(stream, `${prefix}.${spaceId}.${resource.name}.*`));
    await this.until('earlier events to be applied', deadline, (at) =>
      [...last].every(([stream, sequence]) => at(stream) >= sequence),
    );
  }

  private async until(
    what: string,
    deadline: number,
    reached: (at: (name: string) => number) => boolean,
  ): Promise<void> {
    for (;;) {
      const positions = await positionsOf(this.database);
      if (reached((name) => positions.get(name) ?? 0)) return;
      if (performance.now() > deadline) throw unavailable(`The erasure has to wait for ${what}; repeat it later`);
      await new Promise((resolve) => setTimeout(resolve, lookEveryMs));
    }
  }

  /** First, so that nothing is erased without its entry; what breaks off after it has one all the same, as has each repetition. */
  private async enterInAudit({ spaceId, resource, recordId }: RecordName): Promise<void> {
    const entry = { spaceId, resource: resource.name, recordId };
    await this.rpc.request('audit.erasure', entry, { deadlineMs: requestWaitMs });
  }

  private removeState(record: RecordName): Promise<Cut> {
    return this.database.transaction('a record goes with its entry in the log', async (tx) => {
      const { spaceId } = record;
      const [space] = await tx.inSpace(spaceId).query<{ sequence: string }>(sql.lockSpace);
      const deleted = await deleteRecord(tx, record);
      return { deleted, upTo: Number(space?.sequence ?? 0), positions: await positionsOf(tx) };
    });
  }

  private async eraseLog(record: RecordName, cut: Cut, done: { events: number } & Counts): Promise<void> {
    const { spaceId, resource, recordId } = record;
    const db = this.database.inSpace(spaceId);
    const [first] = await db.query<{ sequence: string | null }>(sql.firstOfLog);
    if (first?.sequence === null || first?.sequence === undefined) return;
    for (let behind = Number(first.sequence) - 1; behind < cut.upTo;) {
      const end = Math.min(behind + stretch, cut.upTo);
      const rows = await db.query<EventRow>(sql.readEvents, [behind, end, resource.name, recordId, maxEvents]);
      for (const part of inRequests(rows)) {
        await this.eraseDeliveries(record, cut, part, done);
        await db.query(sql.emptyEvents, [part.map(({ id }) => id), part.map(({ moment }) => moment)]);
        done.events += part.length;
      }
      if (rows.length < maxEvents) behind = end;
    }
  }

  /** Before the log loses the payloads: a filter that decides who was owed an event needs them one last time. */
  private async eraseDeliveries(record: RecordName, cut: Cut, rows: readonly EventRow[], done: Counts): Promise<void> {
    const { spaceId, resource, recordId } = record;
    const recent = rows.filter((row) => row.committed_at.getTime() > Date.now() - inStreamMs);
    const bodies = recent.map(({ payload }) => Buffer.from(payload, 'utf8'));
    const events = recent.map((row, index) => loggedEvent(row, bodies[index]?.length ?? 0));
    const { head } = await this.rpc.request(
      'webhooks.erase',
      { spaceId, resource: resource.name, recordId, upTo: cut.upTo, events },
      { body: Buffer.concat(bodies), deadlineMs: requestWaitMs },
    );
    done.payloads += head.messages;
    done.answers += head.attempts;
    done.cancelled += head.cancelled;
  }

  private async eraseStreams(record: RecordName, cut: Cut): Promise<number> {
    const { spaceId, recordId } = record;
    const { name } = record.resource;
    let erased = 0;
    for (const [stream, prefix] of Object.entries(incoming))
      erased += await this.streams.erase({
        stream,
        subject: `${prefix}.${spaceId}.${name}.*`,
        upTo: cut.positions.get(stream) ?? 0,
        headersOnly: false,
        isWanted: ({ data }) => isAbout(data, name, recordId),
      });
    const events = `events.${spaceId}.${name}.*`;
    // The deletion that an earlier erasure has told of says nothing, and may still be on its way.
    const bareSize = (time: string) => Buffer.byteLength(bareDeletion(record, time));
    erased += await this.streams.erase({
      stream: 'EVENTS',
      subject: events,
      upTo: await this.streams.last('EVENTS', events),
      headersOnly: true,
      isWanted: ({ headers }) =>
        Number(headers?.get('Keyturn-Record')) === recordId &&
        Number(headers?.get('Keyturn-Sequence')) <= cut.upTo &&
        Number(headers?.get('Nats-Msg-Size')) !== bareSize(headers?.get('Keyturn-Time') ?? ''),
    });
    const rejected = `rejected.${spaceId}`;
    erased += await this.streams.erase({
      stream: 'REJECTED',
      subject: rejected,
      upTo: await this.streams.last('REJECTED', rejected),
      headersOnly: false,
      isWanted: ({ data }) => isAbout(data, name, recordId),
    });
    return erased;
  }
}

interface Counts {
  payloads: number;
  answers: number;
  cancelled: number;
}

/**
 * The record leaves the tables as by an event, but what the log says of it is its id. The tombstone keeps the stamp of its last
 * state, so an older event cannot bring it back, and any later one can.
 */
async function deleteRecord(tx: Transaction, record: RecordName): Promise<boolean> {
  const { spaceId, resource, recordId } = record;
  const { find, records, states, search } = statementsOf(resource);
  const db = tx.acrossSpaces('the applier’s statements name a record with its Space');
  const names = [bigintArray([spaceNumber(spaceId)]), bigintArray([recordId])];
  const [state] = await db.query<{ version: string | null; event_time: Date; json: string }>(find, names);
  if (!state) return false;
  for (const table of [records, states, search]) await db.query(table.remove, names);
  const [spaces, ids] = names;
  await db.query(putTombstones, [
    spaces,
    textArray([resource.name]),
    ids,
    bigintArray([state.version]),
    timestampArray([state.event_time.toISOString()]),
  ]);
  const stamp = { version: null, time: state.event_time.toISOString() };
  const last = recordOf({ kind: 'live', json: state.json, ...stamp });
  const collections = [
    resource.collection,
    ...resource.views.filter(({ field, equals }) => last[field] === equals).map(({ collection }) => collection),
  ];
  const time = new Date().toISOString();
  await tx
    .inSpace(spaceId)
    .query(sql.logDeletion, [
      collections,
      collections.map(() => -1),
      `evt_${newUlid()}`,
      `${resource.name}.deleted`,
      resource.name,
      recordId,
      time,
      bareDeletion(record, time),
    ]);
  return true;
}

const bareDeletion = ({ resource, recordId }: RecordName, time: string): string =>
  webhookPayload(`${resource.name}.deleted`, JSON.stringify({ id: recordId }), time);

async function positionsOf(doors: Pick<Transaction, 'acrossSpaces'>): Promise<Map<string, number>> {
  const queries = doors.acrossSpaces('positions of the streams');
  const rows = await queries.query<{ name: string; sequence: string }>(sql.positions);
  return new Map(rows.map(({ name, sequence }) => [name, Number(sequence)]));
}

function* inRequests(rows: readonly EventRow[]): Generator<EventRow[]> {
  let part: EventRow[] = [];
  let bytes = 0;
  for (const row of rows) {
    const size = Buffer.byteLength(row.payload);
    if (part.length && bytes + size > maxRequestBytes) {
      yield part;
      part = [];
      bytes = 0;
    }
    part.push(row);
    bytes += size;
  }
  if (part.length) yield part;
}
