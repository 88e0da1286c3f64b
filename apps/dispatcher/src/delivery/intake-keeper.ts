import { Injectable, type OnApplicationBootstrap } from '@nestjs/common';
import { Database } from '@keyturn/platform/database';
import { Log } from '@keyturn/platform/logs';
import { NatsLink } from '@keyturn/platform/nats';
import { RpcClient } from '@keyturn/platform/rpc';
import { Drain } from '@keyturn/platform/service';
import {
  eventsConsumer,
  eventsStream,
  IntakeNotes,
  type IntakeNote,
  type IntakePosition,
} from '@keyturn/webhook-store';
import { readAgainBehind } from './events-consumer';

const lookEveryMs = 2_000;

/**
 * Sees to it that what NATS believes to be taken in is in the database. The two part when the database is set back, by a restore
 * or by a failover that lost its last commits: NATS still counts as done what the database no longer knows. Then the stream is
 * read again from what the database knows; deliveries that it has are found there, so only what was lost is made anew, under
 * the ids that it had.
 */
@Injectable()
export class IntakeKeeper implements OnApplicationBootstrap {
  private readonly notes: IntakeNotes;
  private timer: NodeJS.Timeout | undefined;
  private looking: Promise<void> = Promise.resolve();
  private stopped = false;
  /** The end of DOMAIN when the database was found to be set back. */
  private awaited: number | undefined;

  constructor(
    database: Database,
    private readonly link: NatsLink,
    private readonly rpc: RpcClient,
    private readonly log: Log,
    private readonly drain: Drain,
  ) {
    this.notes = new IntakeNotes(database);
  }

  onApplicationBootstrap(): void {
    this.look();
    this.drain.on('intake position', async () => {
      this.stopped = true;
      clearTimeout(this.timer);
      await this.looking;
    });
  }

  private look(): void {
    this.looking = this.notes
      .renew((last) => this.decide(last))
      .catch((error: unknown) => this.log.debug({ error: String(error) }, 'intake position not noted'))
      .finally(() => {
        if (!this.stopped) this.timer = setTimeout(() => this.look(), lookEveryMs);
      });
  }

  private async decide({ position, outdated }: IntakeNote): Promise<IntakePosition | undefined> {
    const manager = await this.link.manager();
    const [consumer, stream] = await this.link.whileConnected(
      Promise.all([manager.consumers.info(eventsStream, eventsConsumer), manager.streams.info(eventsStream)]),
    );
    const acked = { streamCreated: new Date(stream.created), sequence: consumer.ack_floor.stream_seq };
    const sameStream = position?.streamCreated.getTime() === acked.streamCreated.getTime();
    if (!position || !sameStream || !outdated || acked.sequence <= position.sequence) {
      this.awaited = undefined;
      return acked;
    }
    // No webhook may tell of a change that reading does not show yet.
    if (!(await this.appliedAgain())) return undefined;
    await readAgainBehind(manager.consumers, position.sequence);
    this.log.warn(
      { from: position.sequence, acked: acked.sequence },
      'the database knows less than was acked: events are taken in again',
    );
    this.awaited = undefined;
    return position;
  }

  /** Whether data-service, whose position was set back too, has applied all that its stream held when that was found. */
  private async appliedAgain(): Promise<boolean> {
    if (this.awaited === undefined) {
      const domain = await (await this.link.manager()).streams.info('DOMAIN');
      this.awaited = domain.state.last_seq;
    }
    const { head } = await this.rpc.request('data.streams.position', {});
    return head.DOMAIN >= this.awaited;
  }
}
