import { Controller } from '@nestjs/common';
import { Payload } from '@nestjs/microservices';
import { notFound, spaceIdPattern, validationError, type LoggedEvent } from '@keyturn/contracts';
import { Database, statement } from '@keyturn/platform/database';
import { Operation, reply, type RpcCall, type RpcReply } from '@keyturn/platform/rpc';

/** Read before the log: everything up to it is committed, so nothing appears behind it later. */
const readPosition = statement('log.position', `select sequence from data.space where space_id = $1`);

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

/** The Space's log, for those who have to look back: replays and audits of webhooks. */
@Controller()
export class EventLogRpc {
  constructor(private readonly database: Database) {}

  @Operation('data.events')
  async events(@Payload() { request, deadline }: RpcCall<'data.events'>): Promise<RpcReply<'data.events'>> {
    const { spaceId, after, since, until, events, limit, payloads } = request;
    if (!spaceIdPattern.test(spaceId)) throw validationError('spaceId', 'spaceId must be the id of a Space');
    const db = this.database.inSpace(spaceId, deadline);
    const [space] = await db.query<{ sequence: string }>(readPosition);
    if (!space) throw notFound('There is no such Space');
    const size = Math.min(limit, maxLimit);
    const rows = await db.query<LogRow>(readLog, [
      after,
      space.sequence,
      since ?? '-infinity',
      until ?? 'infinity',
      events,
      size,
      payloads,
    ]);
    const bodies = rows.map(({ payload }) => Buffer.from(payload ?? '', 'utf8'));
    const more = rows.length === size;
    const last = more ? Number(rows.at(-1)?.sequence) : Math.max(after, Number(space.sequence));
    return reply(
      { events: rows.map((row, i) => loggedEvent(row, bodies[i]?.length ?? 0)), last, more },
      Buffer.concat(bodies),
    );
  }
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
