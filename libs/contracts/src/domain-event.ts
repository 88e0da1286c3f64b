import { actionsOf, type Action } from './event-names';
import { resourceByName } from './resources';
import { allFields, givenFields, visibleFields, type AnyRecord, type Resource, type Value } from './resource';
import { checkDatetime, checkText, checkValue, isRecordId } from './values';

/** A Space's id: `spc_<n>`. */
export const spaceIdPattern = /^spc_[1-9]\d{0,17}$/;

/** The payload limit of the Space API, in bytes as sent: Express's default parser refuses more, for ever (X4). */
export const maxPayloadBytes = 100_000;

/** A domain event after its check: what an applier needs, in normal forms (DESIGN §4). */
export interface DomainEvent {
  /** Unique together with `source`; a second publish of the pair does nothing. */
  readonly id: string;
  readonly source: string;
  readonly spaceId: string;
  readonly resource: Resource;
  readonly action: Action;
  readonly recordId: number;
  /** ISO 8601 UTC with milliseconds; the payload's `timestamp`. */
  readonly time: string;
  /** CloudEvents extension `entityversion`: the order of a record's states. */
  readonly version: number | null;
  readonly backfill: boolean;
  /** Every own field of the resource, null where left out; `null` for a deletion. Derived ones are computed when applied. */
  readonly fields: Readonly<Record<string, Value>> | null;
  readonly traceparent?: string;
}

/** Why an event is refused: kept with it in stream `REJECTED`. */
export type RejectionCode =
  'malformed' | 'unknown_type' | 'unknown_space' | 'subject_mismatch' | 'invalid_field' | 'too_large';

export class Rejection {
  constructor(
    readonly code: RejectionCode,
    readonly detail: string,
  ) {}

  get reason(): string {
    return `${this.code}: ${this.detail}`;
  }
}

const maxAttributeLength = 255;
/** W3C trace context: it travels on as a header, so nothing else may stand there. */
const traceparentPattern = /^[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}$/;

const utf8 = new TextDecoder('utf-8', { fatal: true });

function parseJson(bytes: Uint8Array): unknown {
  try {
    return JSON.parse(utf8.decode(bytes));
  } catch {
    return undefined;
  }
}

function attribute(envelope: Record<string, unknown>, name: string): string | Rejection {
  const checked = checkText(envelope[name]);
  if (!checked.ok) return new Rejection('malformed', `${name} ${checked.problem}`);
  if (checked.value === '' || checked.value.length > maxAttributeLength)
    return new Rejection('malformed', `${name} must have 1 to ${maxAttributeLength} characters`);
  return checked.value;
}

/**
 * Checks one message of stream `DOMAIN` or `BACKFILL`: CloudEvents 1.0, structured JSON (DESIGN §4).
 * Whether the Space exists and the payload fits is for the applier to see.
 */
export function parseDomainEvent(subject: string, bytes: Uint8Array): DomainEvent | Rejection {
  const envelope = parseJson(bytes);
  if (typeof envelope !== 'object' || envelope === null || Array.isArray(envelope))
    return new Rejection('malformed', 'the message is not a JSON object in UTF-8');
  const event = envelope as Record<string, unknown>;

  if (event['specversion'] !== '1.0') return new Rejection('malformed', 'specversion must be 1.0');
  const id = attribute(event, 'id');
  if (id instanceof Rejection) return id;
  const source = attribute(event, 'source');
  if (source instanceof Rejection) return source;
  const type = attribute(event, 'type');
  if (type instanceof Rejection) return type;
  const spaceId = attribute(event, 'spaceid');
  if (spaceId instanceof Rejection) return spaceId;
  const time = checkDatetime(event['time']);
  if (!time.ok) return new Rejection('malformed', `time ${time.problem}`);

  const [name = '', action = ''] = type.split('.');
  const resource = resourceByName(name);
  if (!resource || `${name}.${action}` !== type || !actionsOf(name).includes(action as Action))
    return new Rejection('unknown_type', `"${type}" is no event of ours`);
  if (!spaceIdPattern.test(spaceId)) return new Rejection('unknown_space', `"${spaceId}" is no Space`);

  const backfill = event['backfill'] ?? false;
  if (typeof backfill !== 'boolean') return new Rejection('malformed', 'backfill must be true or false');
  const expected = `${backfill ? 'backfill' : 'domain'}.${spaceId}.${name}.${action}`;
  if (subject !== expected) return new Rejection('subject_mismatch', `the event belongs on subject ${expected}`);

  const version = event['entityversion'] ?? null;
  if (version !== null && !(Number.isSafeInteger(version) && (version as number) >= 0))
    return new Rejection('malformed', 'entityversion must be a whole number from 0');

  const { data } = event;
  if (typeof data !== 'object' || data === null || Array.isArray(data))
    return new Rejection('invalid_field', 'data must be an object');
  const recordId = (data as Record<string, unknown>)['id'];
  if (!isRecordId(recordId)) return new Rejection('invalid_field', 'id must be a positive integer below 2^53');
  const fields = action === 'deleted' ? null : checkFields(resource, data as Record<string, unknown>);
  if (fields instanceof Rejection) return fields;

  const traceparent = event['traceparent'];
  return {
    id,
    source,
    spaceId,
    resource,
    action: action as Action,
    recordId,
    time: time.value,
    version: version as number | null,
    backfill,
    fields,
    ...(typeof traceparent === 'string' && traceparentPattern.test(traceparent) ? { traceparent } : {}),
  };
}

function checkFields(resource: Resource, data: Record<string, unknown>): Record<string, Value> | Rejection {
  const fields: Record<string, Value> = {};
  for (const [name, field] of givenFields(resource)) {
    const checked = checkValue(field, Object.hasOwn(data, name) ? data[name] : null);
    if (!checked.ok) return new Rejection('invalid_field', `${name} ${checked.problem}`);
    fields[name] = checked.value;
  }
  return fields;
}

/** A whole record in JSON order: derived fields computed, missing times filled. `stored` is the record it replaces. */
export function completeRecord(event: DomainEvent, stored: AnyRecord | null): AnyRecord {
  const given = event.fields ?? {};
  const record = {} as AnyRecord;
  for (const [name] of allFields(event.resource)) record[name] = given[name] ?? null;
  record.createdAt = (given['createdAt'] as string | null) ?? stored?.createdAt ?? event.time;
  record.updatedAt = (given['updatedAt'] as string | null) ?? event.time;
  if (event.resource.name === 'task') completeTask(record, event);
  for (const [name, derive] of Object.entries(event.resource.derive)) record[name] = derive(record);
  return record;
}

/** `status` and `completed` say one thing: either alone completes the task, and so does the event `task.completed` (T-103). */
function completeTask(task: AnyRecord, event: DomainEvent): void {
  if (event.action === 'completed') {
    task['completed'] = true;
    task['status'] = 'completed';
  } else if (isCompletedTask(task)) {
    task['completed'] ??= true;
    task['status'] ??= 'completed';
  }
}

export function isCompletedTask(task: Readonly<Record<string, Value>>): boolean {
  return task['completed'] === true || task['status'] === 'completed';
}

/** The record as JSON text, the one form that REST replies and webhook payloads repeat (T-108, X4). */
export function representation(resource: Resource, record: AnyRecord): string {
  const shown: Record<string, Value> = {};
  for (const [name] of visibleFields(resource)) shown[name] = record[name] ?? null;
  return JSON.stringify(shown);
}

/** The exact bytes of a webhook body, as text: keys `event`, `data`, `timestamp` in this order (T-108). */
export function webhookPayload(event: string, dataJson: string, timestamp: string): string {
  return `{"event":${JSON.stringify(event)},"data":${dataJson},"timestamp":${JSON.stringify(timestamp)}}`;
}
