import { Injectable } from '@nestjs/common';
import { NatsError, type JetStreamManager } from 'nats';
import { logPositionHeader } from '@keyturn/contracts';
import { NatsLink } from '@keyturn/platform/nats';
import { RpcClient } from '@keyturn/platform/rpc';
import { eventsConsumer, eventsStream } from '@keyturn/webhook-store';

/** How far back a message is looked for: erasure leaves holes in the stream. */
const lookBack = 200;

/** How far the dispatchers have taken the log in. */
@Injectable()
export class TakenIn {
  constructor(
    private readonly link: NatsLink,
    private readonly rpc: RpcClient,
  ) {}

  /** A position of the log: what stands up to it has its deliveries; what stands behind it may still be on its way. */
  async position(): Promise<number> {
    const { head } = await this.rpc.request('data.streams.position', {});
    const manager = await this.link.manager();
    const taken = await acknowledged(manager);
    if (!taken) return 0;
    const marked = await positionAt(manager, taken.upTo);
    // With nothing left unread, whatever had been put there before is taken in, also where nobody can read it any more.
    return taken.all ? Math.max(marked, head.EVENTS) : marked;
  }
}

/** Up to which message of the stream everything is acknowledged; undefined while no dispatcher has ever read it. */
async function acknowledged(manager: JetStreamManager): Promise<{ upTo: number; all: boolean } | undefined> {
  try {
    const info = await manager.consumers.info(eventsStream, eventsConsumer);
    const all = info.num_pending === 0 && info.num_ack_pending === 0;
    return { upTo: all ? info.delivered.stream_seq : info.ack_floor.stream_seq, all };
  } catch (error) {
    if (isMissing(error)) return undefined;
    throw error;
  }
}

/** The log's position of the last message up to a sequence of the stream; 0 where none is found. */
async function positionAt(manager: JetStreamManager, sequence: number): Promise<number> {
  for (let seq = sequence; seq > Math.max(0, sequence - lookBack); seq--) {
    try {
      const { header } = await manager.streams.getMessage(eventsStream, { seq });
      const position = Number(header.get(logPositionHeader));
      if (Number.isSafeInteger(position) && position > 0) return position;
    } catch (error) {
      if (!isMissing(error)) throw error;
    }
  }
  return 0;
}

const isMissing = (error: unknown) => error instanceof NatsError && error.api_error?.code === 404;
