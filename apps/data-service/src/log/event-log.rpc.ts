import { Controller } from '@nestjs/common';
import { Payload } from '@nestjs/microservices';
import { notFound, spaceIdPattern, validationError, type LoggedEvent, type RequestOf } from '@keyturn/contracts';
import { Database, statement, type Queries } from '@keyturn/platform/database';
import { Operation, reply, type RpcCall, type RpcReply } from '@keyturn/platform/rpc';

/** Read before the log: everything up to it is committed, so nothing appears behind it later. */
const readPosition = statement('log.position', `select sequence from data.space where space_id = $1`);

/** Where the log that is wanted begins: behind what is kept no more, and what was committed too early. */
const readFirst = statement(
  'log.first',
  `select sequence from data.event_log
   where space_id = $1 and sequence > $2 and committed_at >= $3::timestamptz order by sequence limit 1`,
);

const readLog = statement(
  'log.read',
  `select id, event_id, sequence, event, record_id, time, committed_at, changed, traceparent,
          case when $8::boolean then payload end as payload
   from data.event_log
   where space_id = $1 and sequence > $2 and sequence <= $3 and committed_at >= $4::timestamptz and committed_at < $5::timestamptz
     and ($6::text[] is null or event = any($6))
   order by sequence limit $7`,
);

export interface LogRow {
  id: string;
  event_id: string;
  sequence: string;
  event: string;
  record_id: string;
  time: Date;
  committed_at: Date;
  changed: string[];
  traceparent: string | null;
  payload: string | null;
}

const maxLimit = 2_000;
/** Events that one statement looks at, however few of them are wanted. */
const stretch = 10_000;
/** One look goes on for so long, well within the time of a request, and then says how far it has come. */
const lookMs = 700;

/** The Space's log, for those who have to look back: the feed, replays and audits of webhooks. */
@Controller()
export class EventLogRpc {
  constructor(private readonly database: Database) {}

  @Operation('data.events')
  async events(@Payload() { request, deadline }: RpcCall<'data.events'>): Promise<RpcReply<'data.events'>> {
    if (!spaceIdPattern.test(request.spaceId)) throw validationError('spaceId', 'spaceId must be the id of a Space');
    const found = await lookInto(this.database.inSpace(request.spaceId, deadline), request);
    if (!found) throw notFound('There is no such Space');
    const bodies = found.rows.map(({ payload }) => Buffer.from(payload ?? '', 'utf8'));
    const events = found.rows.map((row, i) => loggedEvent(row, bodies[i]?.length ?? 0));
    return reply({ events, last: found.last, more: found.more }, Buffer.concat(bodies));
  }
}

/**
 * A look may meet millions of events of which nobody wants one: it goes stretch by stretch, and ends when it has enough, has come
 * to the end, or has looked for `forMs`. Undefined when there is no such Space.
 */
export async function lookInto(
  db: Queries,
  { after, since, until, events, limit, payloads }: Omit<RequestOf<'data.events'>, 'spaceId'>,
  forMs = lookMs,
): Promise<{ rows: LogRow[]; last: number; more: boolean } | undefined> {
  const stopAt = performance.now() + forMs;
  const [space] = await db.query<{ sequence: string }>(readPosition);
  if (!space) return undefined;
  const end = Number(space.sequence);
  const size = Math.min(limit, maxLimit);
  const from = since ?? '-infinity';
  const rows: LogRow[] = [];
  let last = after;
  if (end - last > stretch) {
    const [first] = await db.query<{ sequence: string }>(readFirst, [last, from]);
    last = first ? Number(first.sequence) - 1 : end;
  }
  do {
    const upTo = Math.min(last + stretch, end);
    const values = [last, upTo, from, until ?? 'infinity', events, size - rows.length, payloads];
    rows.push(...(await db.query<LogRow>(readLog, values)));
    if (rows.length === size) return { rows, last: Number(rows.at(-1)?.sequence), more: true };
    last = Math.max(last, upTo);
  } while (last < end && performance.now() < stopAt);
  return { rows, last, more: last < end };
}

/** What the log tells of an event beside its payload of `bytes` bytes. */
export const loggedEvent = (row: Omit<LogRow, 'payload'>, bytes: number): LoggedEvent => ({
  id: row.event_id,
  position: Number(row.id),
  sequence: Number(row.sequence),
  event: row.event,
  recordId: Number(row.record_id),
  time: row.time.toISOString(),
  committedAt: row.committed_at.toISOString(),
  changed: row.changed,
  traceparent: row.traceparent,
  bytes,
});
