import { Injectable } from '@nestjs/common';
import { AckPolicy, DeliverPolicy, nanos, NatsError, type JsMsg } from 'nats';
import { NatsLink } from '@keyturn/platform/nats';

export interface StreamSearch {
  readonly stream: string;
  readonly subject: string;
  /** Messages behind this one are left alone. */
  readonly upTo: number;
  /** What is looked for stands in the headers. */
  readonly headersOnly: boolean;
  readonly isWanted: (message: JsMsg) => boolean;
}

/** At most so many messages, of up to a megabyte each, are here at a time. */
const batch = 50;
const headersBatch = 500;
const readTimeoutMs = 2_000;

/** Finds messages in a stream and removes them; their bytes are overwritten on the servers' disks. */
@Injectable()
export class StreamEraser {
  constructor(private readonly link: NatsLink) {}

  /** The sequence of the last message on these subjects; 0 where there is none. */
  async last(stream: string, subject: string): Promise<number> {
    const manager = await this.link.manager();
    try {
      return (await this.link.whileConnected(manager.streams.getMessage(stream, { last_by_subj: subject }))).seq;
    } catch (error) {
      if (isMissing(error)) return 0;
      throw error;
    }
  }

  /** How many messages were removed. */
  async erase(search: StreamSearch): Promise<number> {
    const manager = await this.link.manager();
    const found = await this.find(search);
    let erased = 0;
    for (const sequence of found) {
      try {
        await this.link.whileConnected(manager.streams.deleteMessage(search.stream, sequence, true));
        erased++;
      } catch (error) {
        if (!(error instanceof NatsError) || !error.api_error) throw error;
        // Aged out, or removed by another erasure meanwhile; anything else must not pass for done.
        if (await this.isThere(search.stream, sequence)) throw error;
      }
    }
    return erased;
  }

  private async find({ stream, subject, upTo, headersOnly, isWanted }: StreamSearch): Promise<number[]> {
    const found: number[] = [];
    if (upTo === 0) return found;
    const manager = await this.link.manager();
    const consumer = await manager.consumers.add(stream, {
      ack_policy: AckPolicy.None,
      deliver_policy: DeliverPolicy.All,
      filter_subject: subject,
      headers_only: headersOnly,
      mem_storage: true,
      num_replicas: 1,
      inactive_threshold: nanos(30_000),
    });
    try {
      const reader = await this.link.jetstream().consumers.get(stream, consumer.name);
      const most = headersOnly ? headersBatch : batch;
      for (let left = consumer.num_pending; left > 0;) {
        const wanted = Math.min(left, most);
        let received = 0;
        for await (const message of await reader.fetch({ max_messages: wanted, expires: readTimeoutMs })) {
          received++;
          if (message.seq > upTo) left = 0;
          else if (isWanted(message)) found.push(message.seq);
        }
        // What has aged out since it was counted does not come any more; a server that is silent is another matter.
        if (received === 0 && (await manager.consumers.info(stream, consumer.name)).num_pending === 0) break;
        left -= received;
      }
    } finally {
      await manager.consumers.delete(stream, consumer.name).catch(() => undefined);
    }
    return found;
  }

  private async isThere(stream: string, seq: number): Promise<boolean> {
    const manager = await this.link.manager();
    try {
      await manager.streams.getMessage(stream, { seq });
      return true;
    } catch (error) {
      if (isMissing(error)) return false;
      throw error;
    }
  }
}

const isMissing = (error: unknown) => error instanceof NatsError && error.api_error?.code === 404;
