import { Controller } from '@nestjs/common';
import { Payload } from '@nestjs/microservices';
import { AckPolicy, DeliverPolicy, nanos, type JetStreamManager } from 'nats';
import { spaceIdPattern, validationError, type RejectedEvent } from '@keyturn/contracts';
import { NatsLink } from '@keyturn/platform/nats';
import { Operation, reply, type RpcCall, type RpcReply } from '@keyturn/platform/rpc';
import { factsHeader } from './rejected-events';

const stream = 'REJECTED';
/** The newest so many are listed. */
const listed = 500;
/** The head of a reply is one NATS message. */
const maxReplyBytes = 400_000;
const readTimeoutMs = 1_500;

/** `events rejected`: the newest refused events, oldest first. */
@Controller()
export class RejectedRpc {
  constructor(private readonly link: NatsLink) {}

  @Operation('admin.events.rejected')
  async list(@Payload() { request }: RpcCall<'admin.events.rejected'>): Promise<RpcReply<'admin.events.rejected'>> {
    const { spaceId } = request;
    if (spaceId !== undefined && !spaceIdPattern.test(spaceId))
      throw validationError('spaceId', 'spaceId must be the id of a Space');
    return reply({ rejected: await this.newest(spaceId === undefined ? 'rejected.>' : `rejected.${spaceId}`) });
  }

  private async newest(subject: string): Promise<RejectedEvent[]> {
    const manager = await this.link.manager();
    const { state } = await manager.streams.info(stream);
    if (state.messages === 0) return [];
    // Of one Space's messages only the number behind a sequence can be asked for, so go back in growing steps.
    for (let back = listed; ; back *= 4) {
      const start = Math.max(state.first_seq, state.last_seq - back + 1);
      const found = await this.readFrom(manager, subject, start);
      if (found.length >= listed || start === state.first_seq) return newestThatFit(found);
    }
  }

  /** The facts alone: the messages themselves may be large, and stay where they are. */
  private async readFrom(manager: JetStreamManager, subject: string, start: number): Promise<RejectedEvent[]> {
    const consumer = await manager.consumers.add(stream, {
      ack_policy: AckPolicy.None,
      deliver_policy: DeliverPolicy.StartSequence,
      opt_start_seq: start,
      filter_subject: subject,
      headers_only: true,
      mem_storage: true,
      inactive_threshold: nanos(10_000),
    });
    const found: RejectedEvent[] = [];
    try {
      const reader = await this.link.jetstream().consumers.get(stream, consumer.name);
      for (let left = consumer.num_pending; left > 0;) {
        const messages = await reader.fetch({ max_messages: Math.min(left, listed), expires: readTimeoutMs });
        let received = 0;
        for await (const message of messages) {
          received++;
          const facts = readFacts(message.headers?.get(factsHeader));
          if (facts) found.push(facts);
        }
        if (received === 0) break;
        left -= received;
        if (found.length > listed) found.splice(0, found.length - listed);
      }
    } finally {
      await manager.consumers.delete(stream, consumer.name);
    }
    return found;
  }
}

function readFacts(text: string | undefined): RejectedEvent | undefined {
  try {
    return text ? (JSON.parse(text) as RejectedEvent) : undefined;
  } catch {
    return undefined;
  }
}

function newestThatFit(events: RejectedEvent[]): RejectedEvent[] {
  let bytes = 0;
  let first = events.length;
  while (first > 0) {
    bytes += Buffer.byteLength(JSON.stringify(events[first - 1]));
    if (bytes > maxReplyBytes) break;
    first--;
  }
  return events.slice(first);
}
