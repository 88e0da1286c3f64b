import { Injectable } from '@nestjs/common';
import { headers, NatsError } from 'nats';
import { spaceIdPattern, type RejectedEvent, type Rejection } from '@keyturn/contracts';
import { Log } from '@keyturn/platform/logs';
import { Metrics } from '@keyturn/platform/metrics';
import { NatsLink } from '@keyturn/platform/nats';

/** A message that is refused, as it came. */
export interface RefusedMessage {
  readonly stream: string;
  readonly sequence: number;
  readonly storedAt: Date;
  readonly subject: string;
  readonly bytes: Uint8Array;
  readonly rejection: Rejection;
}

/** Carries the facts about a refused event: ASCII JSON, since a reason may quote anything. */
export const factsHeader = 'Keyturn-Rejected';

/** Part of a message that is left for headers. */
const headerRoom = 8_192;
const attempts = 3;

/** Stream `REJECTED`: every refused event with its reason, kept for 30 days. */
@Injectable()
export class RejectedEvents {
  private readonly rejected;
  private readonly dropped;

  constructor(
    private readonly link: NatsLink,
    private readonly log: Log,
    metrics: Metrics,
  ) {
    this.rejected = metrics.counter('events_rejected_total', 'Events refused, by reason.', ['code']);
    this.dropped = metrics.counter(
      'events_rejected_dropped_total',
      'Refused events that stream REJECTED would not take; they are in the log instead.',
      [],
    );
  }

  /**
   * Keeps them before their position commits, so that a crash in between repeats them under their own message ids instead of
   * losing them.
   */
  async keep(messages: readonly RefusedMessage[]): Promise<void> {
    await Promise.all(messages.map((message) => this.keepOne(message)));
  }

  count(rejection: Rejection): void {
    this.rejected.inc({ code: rejection.code });
  }

  private async keepOne(message: RefusedMessage): Promise<void> {
    const facts = factsOf(message);
    const limit = (this.link.connection().info?.max_payload ?? 1_048_576) - headerRoom;
    const header = headers();
    header.set(factsHeader, asciiJson(facts));
    header.set('Keyturn-Stream', `${message.stream} ${message.sequence}`);
    if (message.bytes.length > limit) header.set('Keyturn-Cut', String(message.bytes.length));
    const subject = `rejected.${facts.spaceId ?? 'unknown'}`;
    const msgID = `${message.stream}-${message.sequence}-${message.storedAt.getTime()}`;
    for (let attempt = 1; ; attempt++) {
      try {
        const bytes = message.bytes.subarray(0, limit);
        await this.link.whileConnected(this.link.jetstream().publish(subject, bytes, { headers: header, msgID }));
        return;
      } catch (error) {
        // Without NATS nothing is lost by waiting. But a stream that is full, say, must not hold up what comes behind.
        if (!(error instanceof NatsError) || !error.api_error) throw error;
        if (attempt < attempts) continue;
        this.dropped.inc();
        this.log.error({ ...facts, error: error.message }, 'a refused event could not be kept');
        return;
      }
    }
  }
}

/** What can be said of a message that may be anything. */
export function factsOf({ bytes, subject, storedAt, rejection }: RefusedMessage): RejectedEvent {
  const event = readEnvelope(bytes);
  const text = (name: string) => {
    const value = event[name];
    return typeof value === 'string' && value.length <= 255 ? value : null;
  };
  const named = [text('spaceid'), subject.split('.')[1]].find((id) => id && spaceIdPattern.test(id));
  return {
    id: text('id'),
    source: text('source'),
    type: text('type'),
    spaceId: named ?? null,
    reason: rejection.reason.slice(0, 500),
    receivedAt: storedAt.toISOString(),
  };
}

function readEnvelope(bytes: Uint8Array): Record<string, unknown> {
  try {
    const value: unknown = JSON.parse(new TextDecoder().decode(bytes));
    return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {};
  } catch {
    return {};
  }
}

function asciiJson(value: unknown): string {
  return JSON.stringify(value).replace(
    /[^\x20-\x7e]/g,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
}
