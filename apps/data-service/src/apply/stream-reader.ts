import {
  AckPolicy,
  createInbox,
  DeliverPolicy,
  nanos,
  NatsError,
  ReplayPolicy,
  Events,
  type ConsumerConfig,
  type Msg,
  type NatsConnection,
  type Subscription,
} from 'nats';
import type { NatsLink } from '@keyturn/platform/nats';

/** One message as the stream delivers it. */
export interface StreamMessage {
  readonly subject: string;
  readonly bytes: Uint8Array;
  /** Its number in the stream. */
  readonly sequence: number;
  /** When the stream stored it. */
  readonly storedAt: Date;
  /** How many wait behind it in the stream. */
  readonly pending: number;
}

export interface StreamReaderOptions {
  readonly stream: string;
  /** At most so many messages, or bytes, wait here for their turn. */
  readonly maxMessages: number;
  readonly maxBytes: number;
  /** Called for each message as it arrives, in the stream's order and without gaps. */
  onMessage(message: StreamMessage): void;
  /** The reader has lost its consumer and will not deliver anything more. */
  onBroken(reason: string): void;
}

/** The library's status iterator can be ended; its public type does not say so. */
type QueuedStatuses = ReturnType<NatsConnection['status']> & { stop(): void };

const requestExpiresMs = 30_000;
const heartbeatMs = 1_000;
/** Silence after which the consumer counts as lost: NATS was restarted, say, and our ephemeral consumer is gone. */
const silenceMs = 3_500;
const idleConsumerMs = 60_000;

/**
 * Reads a stream in order from a sequence on. The client library's own ordered consumer asks for more as soon as messages
 * arrive, however many wait to be processed; this one asks only for what there is room for, so a backlog of any size needs the
 * memory of one buffer.
 */
export class StreamReader {
  private subscription: Subscription | undefined;
  private consumer = '';
  private inbox = '';
  private nextDelivery = 1;
  /** Of the request under way: messages still to come. */
  private outstanding = 0;
  private heldMessages = 0;
  private heldBytes = 0;
  private watchdog: NodeJS.Timeout | undefined;
  private readonly statuses;
  private lastHeard = 0;
  private stopped = false;

  private constructor(
    private readonly connection: NatsConnection,
    private readonly options: StreamReaderOptions,
  ) {
    this.statuses = connection.status() as QueuedStatuses;
  }

  static async open(link: NatsLink, startSequence: number, options: StreamReaderOptions): Promise<StreamReader> {
    const reader = new StreamReader(link.connection(), options);
    try {
      await reader.start(link, startSequence);
      return reader;
    } catch (error) {
      reader.statuses.stop();
      throw error;
    }
  }

  private async start(link: NatsLink, startSequence: number): Promise<void> {
    const manager = await link.manager();
    const config: Partial<ConsumerConfig> = {
      ack_policy: AckPolicy.None,
      deliver_policy: DeliverPolicy.StartSequence,
      opt_start_seq: startSequence,
      replay_policy: ReplayPolicy.Instant,
      inactive_threshold: nanos(idleConsumerMs),
      mem_storage: true,
      num_replicas: 1,
    };
    const info = await link.whileConnected(manager.consumers.add(this.options.stream, config));
    this.consumer = info.name;
    this.inbox = createInbox();
    this.subscription = this.connection.subscribe(this.inbox, {
      callback: (error, message) => {
        if (error) this.break(`subscription failed: ${error.message}`);
        else this.receive(message);
      },
    });
    this.lastHeard = performance.now();
    this.watchdog = setInterval(() => this.checkSilence(), heartbeatMs);
    void this.watchConnection();
    this.request();
  }

  /** A server that comes back may have lost our consumer, and with a stream from a backup even the messages' numbers. */
  private async watchConnection(): Promise<void> {
    for await (const { type } of this.statuses) if (type === Events.Reconnect) this.break('NATS was reconnected');
  }

  get isOpen(): boolean {
    return !this.stopped;
  }

  /** Messages were taken out of the buffer: there is room for others. */
  release(messages: number, bytes: number): void {
    this.heldMessages -= messages;
    this.heldBytes -= bytes;
    if (this.outstanding === 0) this.request();
  }

  async stop(): Promise<void> {
    if (this.stopped) return;
    this.stopped = true;
    clearInterval(this.watchdog);
    this.statuses.stop();
    this.subscription?.unsubscribe();
    // Left alone, it goes by itself a minute later.
    await this.connection
      .request(`$JS.API.CONSUMER.DELETE.${this.options.stream}.${this.consumer}`)
      .catch(() => undefined);
  }

  private request(): void {
    const room = this.options.maxMessages - this.heldMessages;
    const bytes = this.options.maxBytes - this.heldBytes;
    if (this.stopped || room < this.options.maxMessages / 2 || bytes < this.options.maxBytes / 2) return;
    this.outstanding = room;
    const wanted = {
      batch: room,
      // A message larger than what is asked for would stop the stream for good.
      max_bytes: Math.max(bytes, 2 * (this.connection.info?.max_payload ?? 0)),
      expires: nanos(requestExpiresMs),
      idle_heartbeat: nanos(heartbeatMs),
    };
    const subject = `$JS.API.CONSUMER.MSG.NEXT.${this.options.stream}.${this.consumer}`;
    try {
      this.connection.publish(subject, JSON.stringify(wanted), { reply: this.inbox });
    } catch (error) {
      this.break(`no request can be sent: ${String(error)}`);
    }
  }

  private receive(message: Msg): void {
    if (this.stopped) return;
    this.lastHeard = performance.now();
    if (message.subject === this.inbox) {
      this.status(message);
      return;
    }
    const delivered = parseDelivery(message);
    if (!delivered || delivered.delivery !== this.nextDelivery) {
      this.break(`delivery ${delivered?.delivery ?? '?'} came instead of ${this.nextDelivery}`);
      return;
    }
    this.nextDelivery++;
    this.outstanding--;
    this.heldMessages++;
    this.heldBytes += message.data.length;
    this.options.onMessage({
      subject: message.subject,
      bytes: message.data,
      sequence: delivered.sequence,
      storedAt: delivered.storedAt,
      pending: delivered.pending,
    });
    if (this.outstanding === 0) this.request();
  }

  /** A message of the server about our request. */
  private status(message: Msg): void {
    const code = message.headers?.code ?? 0;
    const description = message.headers?.description ?? '';
    // 100 heartbeat; 404 and 408 and most 409 end the request; the others say that the consumer is gone.
    if (code === 100) return;
    if (code === 404 || code === 408 || (code === 409 && !/deleted|leadership|shutdown/i.test(description))) {
      this.outstanding = 0;
      this.request();
      return;
    }
    this.break(`${code} ${description}`);
  }

  private checkSilence(): void {
    if (this.outstanding > 0 && performance.now() - this.lastHeard > silenceMs) this.break('the server is silent');
  }

  private break(reason: string): void {
    if (this.stopped) return;
    void this.stop();
    this.options.onBroken(reason);
  }
}

interface Delivery {
  readonly sequence: number;
  /** Counts up by one with each message of this consumer. */
  readonly delivery: number;
  readonly storedAt: Date;
  readonly pending: number;
}

/** `$JS.ACK.<stream>.<consumer>.<times>.<sequence>.<delivery>.<ns>.<pending>`; newer servers put domain and account before the stream. */
function parseDelivery(message: Msg): Delivery | undefined {
  const tokens = (message.reply ?? '').split('.');
  if (tokens[0] !== '$JS' || tokens[1] !== 'ACK' || tokens.length < 9) return undefined;
  const at = tokens.length === 9 ? 5 : 7;
  const [sequence, delivery, time, pending] = tokens.slice(at, at + 4) as [string, string, string, string];
  return {
    sequence: Number(sequence),
    delivery: Number(delivery),
    storedAt: new Date(Number(time.slice(0, -6))),
    pending: Number(pending),
  };
}

/** A stream as it is now; undefined where there is none. */
export async function streamState(
  link: NatsLink,
  stream: string,
): Promise<{ created: Date; firstSequence: number; lastSequence: number } | undefined> {
  try {
    const { created, state } = await (await link.manager()).streams.info(stream);
    return { created: new Date(created), firstSequence: state.first_seq, lastSequence: state.last_seq };
  } catch (error) {
    if (error instanceof NatsError && error.api_error?.code === 404) return undefined;
    throw error;
  }
}
