import { spaceIdPattern } from './domain-event';
import { checkDatetime } from './values';

/**
 * A message of stream `EVENTS`: one committed change of one record, after `data-service` has applied it. The body is the
 * webhook payload as it will be signed; what a dispatcher must know beside it stands in the headers.
 */
export interface CommittedEvent {
  /** `evt_<ulid>`: the webhook-id, the same for every endpoint, retry and replay. */
  readonly id: string;
  readonly spaceId: string;
  /** Position in the Space's own sequence: commit order, without gaps. */
  readonly sequence: number;
  /** One of the 22 event names. */
  readonly event: string;
  readonly recordId: number;
  /** The payload's timestamp. */
  readonly time: string;
  /** When the applying transaction ran, ISO ms: latency is measured from here. */
  readonly committedAt: string;
  /** Fields whose value differs from the record's state before; empty for created and deleted. */
  readonly changed: readonly string[];
  readonly traceparent?: string;
  /** Exact bytes of the webhook body. */
  readonly payload: Uint8Array;
}

export const eventsSubject = (event: Pick<CommittedEvent, 'spaceId' | 'event'>) =>
  `events.${event.spaceId}.${event.event}`;

/** Where a message stands in the log of all Spaces. */
export const logPositionHeader = 'Keyturn-Log';

/** Header names; `Nats-Msg-Id` is the event's id, so that a repeated relay is one message. */
export function committedEventHeaders(event: CommittedEvent): Record<string, string> {
  return {
    'Nats-Msg-Id': event.id,
    'Keyturn-Sequence': String(event.sequence),
    'Keyturn-Record': String(event.recordId),
    'Keyturn-Time': event.time,
    'Keyturn-Committed': event.committedAt,
    'Keyturn-Changed': event.changed.join(','),
    ...(event.traceparent ? { traceparent: event.traceparent } : {}),
  };
}

/** Undefined where the message is none of ours: the stream is ours alone, but nothing that arrives may stop a process. */
export function readCommittedEvent(
  subject: string,
  header: (name: string) => string,
  payload: Uint8Array,
): CommittedEvent | undefined {
  const [stream, spaceId, resource, action, ...rest] = subject.split('.');
  const id = header('Nats-Msg-Id');
  const sequence = Number(header('Keyturn-Sequence'));
  const recordId = Number(header('Keyturn-Record'));
  if (stream !== 'events' || !spaceId || !resource || !action || rest.length) return undefined;
  if (!id || !Number.isSafeInteger(sequence) || !Number.isSafeInteger(recordId)) return undefined;
  const time = header('Keyturn-Time');
  const committedAt = header('Keyturn-Committed');
  if (!spaceIdPattern.test(spaceId) || !checkDatetime(time).ok || !checkDatetime(committedAt).ok) return undefined;
  const changed = header('Keyturn-Changed');
  const traceparent = header('traceparent');
  return {
    id,
    spaceId,
    sequence,
    event: `${resource}.${action}`,
    recordId,
    time,
    committedAt,
    changed: changed ? changed.split(',') : [],
    ...(traceparent ? { traceparent } : {}),
    payload,
  };
}
