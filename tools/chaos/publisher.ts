import { connect, headers, type NatsConnection } from 'nats';
import { subjectOf } from '../keyturn/cloud-event';
import type { RecordState } from './record-state';

export interface PublishedState extends RecordState {
  readonly spaceId: string;
  /** Epoch ms at which the stream had taken it for sure. */
  readonly takenAt: number;
}

interface Lane {
  readonly spaceId: string;
  readonly record: number;
  version: number;
  busy: boolean;
}

const takeTimeoutMs = 1_000;

/**
 * A publisher that survives everything: one state of a record after the other, many records at once, and what the stream has
 * not acknowledged is published again under the same id until it has.
 */
export class SteadyPublisher {
  readonly published: PublishedState[] = [];
  private readonly lanes: Lane[];
  private readonly under = new Set<Promise<void>>();
  private timer: NodeJS.Timeout | undefined;
  private stopped = false;
  private turn = 0;

  private constructor(
    private readonly connection: NatsConnection,
    spaces: readonly { readonly id: string; readonly records: number }[],
  ) {
    this.lanes = spaces.flatMap(({ id, records }) =>
      Array.from({ length: records }, (_, index) => ({ spaceId: id, record: index + 1, version: 0, busy: false })),
    );
  }

  static async start(
    natsUrl: string,
    spaces: readonly { readonly id: string; readonly records: number }[],
    perSecond: number,
  ): Promise<SteadyPublisher> {
    const connection = await connect({ servers: natsUrl, maxReconnectAttempts: -1, reconnectTimeWait: 100 });
    const publisher = new SteadyPublisher(connection, spaces);
    publisher.timer = setInterval(() => publisher.publishNext(), 1_000 / perSecond);
    return publisher;
  }

  /** Publishes nothing new; returns when everything begun has been taken. */
  async finish(): Promise<void> {
    clearInterval(this.timer);
    await Promise.all(this.under);
  }

  async close(): Promise<void> {
    clearInterval(this.timer);
    this.stopped = true;
    await this.connection.close();
    await Promise.all(this.under);
  }

  private publishNext(): void {
    for (let tried = 0; tried < this.lanes.length; tried++) {
      const lane = this.lanes[this.turn++ % this.lanes.length] as Lane;
      if (lane.busy) continue;
      const work = this.publish(lane).finally(() => this.under.delete(work));
      this.under.add(work);
      return;
    }
  }

  private async publish(lane: Lane): Promise<void> {
    lane.busy = true;
    const version = ++lane.version;
    const { spaceId, record } = lane;
    const event = {
      specversion: '1.0',
      id: `${spaceId}-${record}-${version}`,
      source: '/chaos',
      type: version === 1 ? 'note.created' : 'note.updated',
      spaceid: spaceId,
      time: new Date().toISOString(),
      entityversion: version,
      data: { id: record, subject: String(version) },
    };
    const head = headers();
    head.set('Nats-Msg-Id', `${event.source}|${event.id}`);
    const body = JSON.stringify(event);
    while (!this.stopped) {
      try {
        await this.connection.jetstream({ timeout: takeTimeoutMs }).publish(subjectOf(event), body, { headers: head });
        this.published.push({ spaceId, record, version, takenAt: Date.now() });
        break;
      } catch {
        // Whether it was taken is not known, so the same one goes again.
        await new Promise((resolve) => setTimeout(resolve, 50));
      }
    }
    lane.busy = false;
  }
}
