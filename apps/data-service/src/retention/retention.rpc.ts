import { Controller } from '@nestjs/common';
import { Payload } from '@nestjs/microservices';
import { validationError } from '@keyturn/contracts';
import { Database, statement, withStrongLocks } from '@keyturn/platform/database';
import { Operation, reply, type RpcCall, type RpcReply } from '@keyturn/platform/rpc';
import { SpacePurge } from '../spaces/space-purge';

const day = 86_400_000;
const keptMs = { eventLog: 90 * day, seenEvents: 30 * day };

const dropPartitions = statement(
  'retention.drop_partitions',
  `select data.drop_partitions($1::regclass, ($2::timestamptz at time zone 'utc')::date) as dropped`,
);

/** For the answer to be there in time. */
const answerMs = 5_000;

/** Forgets the log after 90 days and which events were seen after 30, a partition at a time; and Spaces that have ended. */
@Controller()
export class RetentionRpc {
  constructor(
    private readonly database: Database,
    private readonly spaces: SpacePurge,
  ) {}

  @Operation('admin.retention.data')
  async run(
    @Payload() { request, deadline }: RpcCall<'admin.retention.data'>,
  ): Promise<RpcReply<'admin.retention.data'>> {
    const now = request.now === undefined ? Date.now() : Date.parse(request.now);
    if (Number.isNaN(now)) throw validationError('now', 'now must be a date and time');
    return reply({
      eventLogPartitions: await this.drop('data.event_log', new Date(now - keptMs.eventLog)),
      seenEventPartitions: await this.drop('data.seen_event', new Date(now - keptMs.seenEvents)),
      ...(await this.spaces.run(now, deadline - answerMs)),
    });
  }

  /** A partition goes under a lock that readers and the applier may keep it from for a while; what waits for it meanwhile are they. */
  private drop(table: string, keepFrom: Date): Promise<number> {
    const reason = 'a partition holds one time of all Spaces';
    return withStrongLocks(this.database, reason, async (tx) => {
      const [row] = await tx.acrossSpaces(reason).query<{ dropped: number }>(dropPartitions, [table, keepFrom]);
      return row?.dropped ?? 0;
    });
  }
}
