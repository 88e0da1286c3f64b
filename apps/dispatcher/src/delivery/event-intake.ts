import { readCommittedEvent, type CommittedEvent } from '@keyturn/contracts';
import { isFaultOfServer, isStatementTimeout, isUnavailable } from '@keyturn/platform/database';
import type { Log } from '@keyturn/platform/logs';
import type { NatsLink } from '@keyturn/platform/nats';
import { eventsConsumer, eventsStream } from '@keyturn/webhook-store';
import type { ConsumerMessages, JsMsg, Subscription } from 'nats';
import { defaultAckWaitMs, ensureConsumer } from './events-consumer';

export interface EventIntakeOptions {
  /** Resolves when the deliveries of these events are in the database. */
  readonly accept: (events: readonly CommittedEvent[]) => Promise<void>;
  /** Messages that are no events, or that the database refuses. */
  readonly onGarbage: () => void;
  /** What was read and not acked comes again after so long; what is being worked on is reported in time. */
  readonly ackWaitMs?: number;
}

/** The library's messages come by a subscription, which is the part that can be ended without losing any; their public type hides it. */
type SubscribedMessages = ConsumerMessages & { readonly sub: Subscription };

const maxBatch = 500;
const maxWaiting = 1_000;
/** A process that is frozen asks for nothing more, so the stream hands it messages at most for so long. */
const pullMs = 2_000;
const retryMs = 250;

/**
 * Reads committed events with the one durable consumer that all dispatchers share. A message is acked when its deliveries are
 * written; what was read and not acked comes again, here or elsewhere, and changes nothing.
 */
export class EventIntake {
  private readonly buffer: JsMsg[] = [];
  private batch: readonly JsMsg[] = [];
  /** Of a full batch: halved when one is too slow for its time limit, so that none is tried for ever. */
  private share = 1;
  /** In hand at the last look. */
  private inHand = new Set<JsMsg>();
  private progress: NodeJS.Timeout | undefined;
  private readonly ackWaitMs: number;
  private messages: SubscribedMessages | undefined;
  private accepting: Promise<void> | undefined;
  private running: Promise<void> = Promise.resolve();
  private stopped = false;
  private onStop: () => void = () => undefined;
  private readonly stopping = new Promise<void>((resolve) => (this.onStop = resolve));

  constructor(
    private readonly link: NatsLink,
    private readonly log: Log,
    private readonly options: EventIntakeOptions,
  ) {
    this.ackWaitMs = options.ackWaitMs ?? defaultAckWaitMs;
  }

  start(): void {
    this.running = this.run();
    this.progress = setInterval(() => this.reportProgress(), this.ackWaitMs / 4);
  }

  /**
   * Takes no more, and accepts what it has, what was on its way to it included: dropped, or given back while no other
   * dispatcher asks, it would be seen again only after the time that an ack may take.
   */
  async stop(): Promise<void> {
    this.stopped = true;
    this.onStop();
    if (this.messages) {
      await this.link.endSubscription(this.messages.sub);
      await this.messages.close().catch(() => undefined);
    }
    await this.running;
    await this.accepting;
    clearInterval(this.progress);
  }

  /** Messages that wait in the stream, unread, or are being taken in. */
  async lag(): Promise<number> {
    const { num_pending: pending, num_ack_pending: inHand } = await (
      await this.link.manager()
    ).consumers.info(eventsStream, eventsConsumer);
    return pending + inHand;
  }

  private async run(): Promise<void> {
    await Promise.race([this.link.whenConnected(), this.stopping]);
    while (!this.stopped) {
      try {
        await this.consume();
      } catch (error) {
        if (!this.stopped) this.log.warn({ error: String(error) }, 'events are not being read');
      }
      if (!this.stopped) await Promise.race([pause(retryMs), this.stopping]);
    }
  }

  private async consume(): Promise<void> {
    const manager = await this.link.manager();
    await ensureConsumer(manager.consumers, this.ackWaitMs);
    const consumer = await this.link.jetstream().consumers.get(eventsStream, eventsConsumer);
    const messages = await consumer.consume({
      max_messages: maxWaiting,
      expires: pullMs,
      // Another one may have taken its name (intake-keeper.ts): then we begin anew at once, not after missed heartbeats.
      abort_on_missing_resource: true,
      callback: (message) => {
        this.buffer.push(message);
        this.accepting ??= this.acceptAll().finally(() => (this.accepting = undefined));
      },
    });
    if (this.stopped) await messages.close();
    else this.messages = messages as SubscribedMessages;
    await messages.closed();
  }

  /** What has been in hand for a while is said to be worked on, so that it does not come a second time. */
  private reportProgress(): void {
    const inHand = new Set([...this.buffer, ...this.batch]);
    for (const message of inHand) if (this.inHand.has(message)) message.working();
    this.inHand = inHand;
  }

  /** While one batch is being written the next one gathers. */
  private async acceptAll(): Promise<void> {
    // What arrived in the same breath goes together.
    await new Promise((resolve) => setImmediate(resolve));
    while (this.buffer.length) {
      this.batch = this.buffer.splice(0, Math.max(1, Math.floor(maxBatch * this.share)));
      const events: CommittedEvent[] = [];
      const good: JsMsg[] = [];
      for (const message of this.batch) {
        const event = readCommittedEvent(message.subject, (name) => message.headers?.get(name) ?? '', message.data);
        if (event) {
          events.push(event);
          good.push(message);
        } else this.refuse(message, 'the message is no event');
      }
      await this.accept(events, good);
      this.batch = [];
    }
  }

  private async accept(events: readonly CommittedEvent[], messages: readonly JsMsg[]): Promise<void> {
    if (!events.length) return;
    for (;;) {
      try {
        await this.options.accept(events);
        for (const message of messages) message.ack();
        this.share = Math.min(1, this.share * 2);
        return;
      } catch (error) {
        if (events.length > 1 && isStatementTimeout(error)) {
          this.share = Math.max(1 / maxBatch, this.share / 2);
          return this.acceptHalves(events, messages);
        }
        // Of what is wrong with our tables or rights, no event is the cause, so none is given up for it.
        if (!isUnavailable(error) && !isFaultOfServer(error)) return this.acceptApart(events, messages, error);
        this.log.warn({ error: String(error), events: events.length }, 'events wait for the database');
        if (this.stopped) break;
        await Promise.race([pause(retryMs), this.stopping]);
      }
    }
    for (const message of messages) message.nak();
  }

  /** One event that the database refuses must not hold up the others. */
  private async acceptApart(events: readonly CommittedEvent[], messages: readonly JsMsg[], error: unknown) {
    if (events.length === 1) {
      const [message] = messages;
      if (message) this.refuse(message, String(error));
      return;
    }
    await this.acceptHalves(events, messages);
  }

  private async acceptHalves(events: readonly CommittedEvent[], messages: readonly JsMsg[]): Promise<void> {
    const half = Math.ceil(events.length / 2);
    await this.accept(events.slice(0, half), messages.slice(0, half));
    await this.accept(events.slice(half), messages.slice(half));
  }

  private refuse(message: JsMsg, why: string): void {
    message.term();
    this.options.onGarbage();
    this.log.error({ subject: message.subject, streamSequence: message.seq, why }, 'message of the stream dropped');
  }
}

const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));
