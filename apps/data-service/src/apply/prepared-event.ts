import {
  completeRecord,
  isCompletedTask,
  maxPayloadBytes,
  parseDomainEvent,
  Rejection,
  representation,
  webhookPayload,
  type AnyRecord,
  type DomainEvent,
} from '@keyturn/contracts';
import { EventKey } from './event-id';

/** A checked event with what can be computed before the stored record is known. */
export interface PreparedEvent {
  readonly event: DomainEvent;
  readonly key: EventKey;
  /** The record as the event alone tells it; null for a deletion. */
  readonly fresh: RecordForm | null;
}

/** A record and its JSON text. */
export interface RecordForm {
  readonly record: AnyRecord;
  readonly json: string;
}

/** Reads one message; never throws, whatever it holds. */
export function prepareEvent(subject: string, bytes: Uint8Array): PreparedEvent | Rejection {
  const event = parseDomainEvent(subject, bytes);
  return event instanceof Rejection ? event : prepare(event);
}

export function prepare(event: DomainEvent): PreparedEvent | Rejection {
  const key = new EventKey(event.source, event.id);
  if (event.action === 'deleted') return { event, key, fresh: null };
  const fresh = formOf(event, null);
  const bytes = payloadBytes(event, fresh);
  if (bytes > maxPayloadBytes)
    return new Rejection('too_large', `the webhook payload would have ${bytes} bytes, ${maxPayloadBytes} are allowed`);
  return { event, key, fresh };
}

/** The record that the event makes of the stored one. */
export function formOf(event: DomainEvent, stored: AnyRecord | null): RecordForm {
  const record = completeRecord(event, stored);
  return { record, json: representation(event.resource, record) };
}

/**
 * The size of the largest payload that this state of the record can cause: `created`, `updated` and `deleted` have one length,
 * and what `completeRecord` takes over from the stored record (moments) has the length of what it stands for.
 */
function payloadBytes({ resource, time }: DomainEvent, { record, json }: RecordForm): number {
  const action = resource.name === 'task' && isCompletedTask(record) ? 'completed' : 'updated';
  return Buffer.byteLength(webhookPayload(`${resource.name}.${action}`, json, time));
}
