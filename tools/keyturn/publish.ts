import { createInbox, headers, type Msg, type NatsConnection } from 'nats';

/** One message for stream DOMAIN or BACKFILL. */
export interface Outgoing {
  readonly subject: string;
  /** `<source>|<id>`: the stream drops a repeat within its duplicate window. */
  readonly messageId: string;
  readonly body: Uint8Array;
}

export interface PublishReport {
  /** Kept by the stream, repeats included. */
  accepted: number;
  /** Of these, known to the stream already. */
  duplicates: number;
  /** The highest stream sequence that was given out. */
  lastSequence: number;
}

/** Enough to hide the round trip, few enough to hold memory and to notice a refusal early. */
const inFlightLimit = 1_024;
const patienceMs = 10_000;

/** What a stream answers to a message. */
interface Ack {
  readonly seq?: number;
  readonly duplicate?: boolean;
  readonly error?: { readonly description: string };
}

/**
 * Publishes with many messages under way at once. A slow stream slows the reading of `messages` down; the first that the
 * stream refuses ends the run with its reason, once those under way are over.
 *
 * One subscription takes all acknowledgements, and they are counted: the client's own `publish` makes a timer and a promise for
 * each, which costs several times as much as the message.
 */
export async function publishAll(
  connection: NatsConnection,
  messages: AsyncIterable<Outgoing> | Iterable<Outgoing>,
  onAccepted?: (report: PublishReport) => void,
): Promise<PublishReport> {
  const publication = new Publication(connection, onAccepted);
  try {
    for await (const message of messages) {
      if (publication.failure !== undefined) break;
      publication.send(message);
      if (publication.inFlight >= inFlightLimit) await publication.below(inFlightLimit);
    }
    await publication.below(1);
  } finally {
    publication.close();
  }
  if (publication.failure !== undefined) throw new PublishError(publication.failure, publication.report);
  return publication.report;
}

/** The stream took no more; `report` says what it took before. */
export class PublishError extends Error {
  constructor(
    reason: string,
    readonly report: PublishReport,
  ) {
    super(`The stream took ${report.accepted} events and then refused: ${reason}`);
    this.name = 'PublishError';
  }
}

class Publication {
  readonly report: PublishReport = { accepted: 0, duplicates: 0, lastSequence: 0 };
  failure: string | undefined;
  inFlight = 0;
  private readonly inbox = createInbox();
  private readonly subscription;
  private readonly watch;
  private lastAnswer = performance.now();
  private waiting: { readonly limit: number; readonly resolve: () => void } | undefined;

  constructor(
    private readonly connection: NatsConnection,
    private readonly onAccepted?: (report: PublishReport) => void,
  ) {
    this.subscription = connection.subscribe(this.inbox, {
      callback: (error, message) => {
        if (!error) this.hear(message);
      },
    });
    this.watch = setInterval(() => {
      if (this.inFlight === 0) this.lastAnswer = performance.now();
      else if (performance.now() - this.lastAnswer > patienceMs) this.giveUp();
    }, 250);
  }

  send({ subject, messageId, body }: Outgoing): void {
    const header = headers();
    header.set('Nats-Msg-Id', messageId);
    this.connection.publish(subject, body, { headers: header, reply: this.inbox });
    this.inFlight++;
  }

  /** Resolves when fewer than `limit` are under way. */
  below(limit: number): Promise<void> {
    if (this.inFlight < limit) return Promise.resolve();
    return new Promise((resolve) => (this.waiting = { limit, resolve }));
  }

  close(): void {
    clearInterval(this.watch);
    this.subscription.unsubscribe();
  }

  private hear(message: Msg): void {
    this.inFlight--;
    this.lastAnswer = performance.now();
    const { seq, duplicate, error } = readAck(message);
    if (error || seq === undefined) this.failure ??= error?.description ?? 'the answer of the stream is unreadable';
    else {
      this.report.accepted++;
      if (duplicate) this.report.duplicates++;
      if (seq > this.report.lastSequence) this.report.lastSequence = seq;
      this.onAccepted?.(this.report);
    }
    this.wake();
  }

  private giveUp(): void {
    this.failure ??= 'NATS did not answer in time';
    this.inFlight = 0;
    this.wake();
  }

  private wake(): void {
    if (!this.waiting || this.inFlight >= this.waiting.limit) return;
    const { resolve } = this.waiting;
    this.waiting = undefined;
    resolve();
  }
}

function readAck(message: Msg): Ack {
  // Nobody listens on the subject: NATS itself says so.
  if (message.data.length === 0 && message.headers?.code === 503)
    return { error: { description: 'there is no such stream; run "migrate" first' } };
  try {
    return message.json<Ack>();
  } catch {
    return {};
  }
}
