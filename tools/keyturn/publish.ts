import { type JetStreamClient, NatsError } from 'nats';

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

/**
 * Publishes with many messages under way at once. A slow stream slows the reading of `messages` down; the first that the
 * stream refuses ends the run with its reason, once those under way are over.
 */
export async function publishAll(
  jetstream: JetStreamClient,
  messages: AsyncIterable<Outgoing> | Iterable<Outgoing>,
  onAccepted?: (report: PublishReport) => void,
): Promise<PublishReport> {
  const report: PublishReport = { accepted: 0, duplicates: 0, lastSequence: 0 };
  const underWay = new Set<Promise<void>>();
  let failure: unknown;
  let wake: (() => void) | undefined;

  const send = async ({ subject, messageId, body }: Outgoing) => {
    try {
      const ack = await jetstream.publish(subject, body, { msgID: messageId });
      report.accepted++;
      if (ack.duplicate) report.duplicates++;
      report.lastSequence = Math.max(report.lastSequence, ack.seq);
      onAccepted?.(report);
    } catch (error) {
      failure ??= error;
    }
  };

  for await (const message of messages) {
    if (failure !== undefined) break;
    const sending = send(message).finally(() => {
      underWay.delete(sending);
      wake?.();
    });
    underWay.add(sending);
    if (underWay.size >= inFlightLimit) await new Promise<void>((resolve) => (wake = resolve));
  }
  await Promise.all(underWay);
  if (failure !== undefined) throw new PublishError(describeFailure(failure), report, failure);
  return report;
}

/** The stream took no more; `report` says what it took before. */
export class PublishError extends Error {
  constructor(
    reason: string,
    readonly report: PublishReport,
    cause: unknown,
  ) {
    super(`The stream took ${report.accepted} events and then refused: ${reason}`, { cause });
    this.name = 'PublishError';
  }
}

function describeFailure(failure: unknown): string {
  if (!(failure instanceof NatsError)) return failure instanceof Error ? failure.message : String(failure);
  if (failure.code === '503') return 'there is no such stream; run "migrate" first';
  if (failure.code === 'TIMEOUT') return 'NATS did not answer in time';
  return failure.api_error?.description ?? failure.message;
}
