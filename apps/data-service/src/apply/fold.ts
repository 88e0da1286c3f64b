import {
  isCompletedTask,
  Rejection,
  webhookPayload,
  type AnyRecord,
  type DomainEvent,
  type Resource,
  type Value,
} from '@keyturn/contracts';
import { formOf, type PreparedEvent } from './prepared-event';

/**
 * What happens to the records when events come in: DESIGN §4's table, as a pure function. A batch of events and what is stored
 * go in; the new states, the messages to emit, and what became of each event come out.
 */

/** What orders the states of one record: the version where both sides have one, else the time. */
interface Stamp {
  readonly version: number | null;
  readonly time: string;
}

/** A record that exists. `record` is at hand for one that this batch has written; else it is read from `json` when needed. */
export interface LiveState extends Stamp {
  readonly kind: 'live';
  readonly json: string;
  readonly record?: AnyRecord;
}

/** A tombstone: the record was deleted, or its deletion came before it. */
export interface DeletedState extends Stamp {
  readonly kind: 'deleted';
}

export type RecordState = LiveState | DeletedState;

export type AppliedOutcome = 'created' | 'updated' | 'deleted' | 'tombstoned' | 'unchanged' | 'stale' | 'duplicate';

/** One message of the log: what a webhook will say. */
export interface Message {
  readonly id: string;
  readonly spaceId: string;
  readonly sequence: number;
  readonly event: string;
  readonly resource: Resource;
  readonly recordId: number;
  readonly time: string;
  readonly changed: readonly string[];
  readonly traceparent: string | undefined;
  readonly payload: string;
}

/** What is stored, as far as a batch touches it. */
export interface Stored {
  /** The event sequence of each Space that takes events. */
  readonly sequences: ReadonlyMap<string, number>;
  readonly records: ReadonlyMap<string, RecordState>;
  /** Which of the batch's events have been applied before. */
  readonly seen: ReadonlySet<string>;
}

/** A record that a batch has changed. */
export interface ChangedRecord {
  readonly resource: Resource;
  readonly spaceId: string;
  readonly recordId: number;
  readonly before: RecordState | undefined;
  readonly after: RecordState;
  /** Whether anything has changed that `search=` looks into. */
  readonly searchChanged: boolean;
}

export interface Folded {
  /** What became of each event, in their order. */
  readonly outcomes: readonly (AppliedOutcome | Rejection)[];
  readonly records: ReadonlyMap<string, ChangedRecord>;
  readonly messages: readonly Message[];
  /** New values, for the Spaces that emit. */
  readonly sequences: ReadonlyMap<string, number>;
  /** By how much the totals of the collections change, by {@link totalKey}. */
  readonly totals: ReadonlyMap<string, number>;
  /** Events not to be applied again. */
  readonly seen: readonly string[];
}

export const recordKey = (resource: Resource, spaceId: string, recordId: number) =>
  `${resource.name}/${spaceId}/${recordId}`;

export const totalKey = (spaceId: string, collection: string) => `${spaceId}/${collection}`;

export function fold(batch: readonly (PreparedEvent | Rejection)[], stored: Stored): Folded {
  const outcomes: (AppliedOutcome | Rejection)[] = [];
  const records = new Map<string, ChangedRecord>();
  const messages: Message[] = [];
  const sequences = new Map<string, number>();
  const seen = new Set<string>();

  for (const prepared of batch) {
    if (prepared instanceof Rejection) {
      outcomes.push(prepared);
      continue;
    }
    const { event, key } = prepared;
    const { resource, spaceId, recordId } = event;
    if (stored.seen.has(key.seen) || seen.has(key.seen)) {
      outcomes.push('duplicate');
      continue;
    }
    const lastSequence = sequences.get(spaceId) ?? stored.sequences.get(spaceId);
    if (lastSequence === undefined) {
      outcomes.push(new Rejection('unknown_space', `${spaceId} is not a Space that takes events`));
      continue;
    }
    seen.add(key.seen);
    const at = recordKey(resource, spaceId, recordId);
    const changed = records.get(at);
    const before = changed ? changed.after : stored.records.get(at);
    const step = advance(before, prepared);
    outcomes.push(step.outcome);
    if (step.after) {
      const first = changed ? changed.before : before;
      const searchChanged = (changed?.searchChanged ?? false) || step.searchChanged;
      records.set(at, { resource, spaceId, recordId, before: first, after: step.after, searchChanged });
    }
    if (event.backfill) continue;
    step.emits.forEach(({ action, json, changed: fields }, n) => {
      const name = `${resource.name}.${action}`;
      const sequence = lastSequence + n + 1;
      sequences.set(spaceId, sequence);
      messages.push({
        id: key.messageId(event.time, n),
        spaceId,
        sequence,
        event: name,
        resource,
        recordId,
        time: event.time,
        changed: fields,
        traceparent: event.traceparent,
        payload: webhookPayload(name, json, event.time),
      });
    });
  }
  return { outcomes, records, messages, sequences, totals: totals(records.values()), seen: [...seen] };
}

interface Emission {
  readonly action: 'created' | 'updated' | 'completed' | 'deleted';
  readonly json: string;
  readonly changed: readonly string[];
}

interface Step {
  readonly outcome: AppliedOutcome;
  /** The record's new state; left out where nothing is to be stored. */
  readonly after?: RecordState;
  readonly searchChanged: boolean;
  readonly emits: readonly Emission[];
}

/** One event meets the state of its record. */
function advance(before: RecordState | undefined, { event, fresh }: PreparedEvent): Step {
  const { version, time } = event;
  if (before && isOlder(event, before)) return { outcome: 'stale', searchChanged: false, emits: [] };

  if (!fresh) {
    const after: DeletedState = { kind: 'deleted', version, time };
    if (before?.kind !== 'live') return { outcome: 'tombstoned', after, searchChanged: false, emits: [] };
    const emits: Emission[] = [{ action: 'deleted', json: before.json, changed: [] }];
    return { outcome: 'deleted', after, searchChanged: true, emits };
  }

  if (before?.kind !== 'live') {
    const after: LiveState = { kind: 'live', version, time, ...fresh };
    const emits: Emission[] = [{ action: 'created', json: fresh.json, changed: [] }];
    if (completes(event, undefined, fresh.record)) emits.push({ action: 'completed', json: fresh.json, changed: [] });
    return { outcome: 'created', after, searchChanged: true, emits };
  }

  const old = recordOf(before);
  const form = takesOver(event) ? formOf(event, old) : fresh;
  const after: LiveState = { kind: 'live', version, time, ...form };
  const changed = changedFields(event.resource, old, form.record);
  if (changed.every((name) => name === 'updatedAt'))
    return { outcome: 'unchanged', after, searchChanged: false, emits: [] };
  const emits: Emission[] = [{ action: 'updated', json: form.json, changed }];
  if (completes(event, old, form.record)) emits.push({ action: 'completed', json: form.json, changed });
  const searchChanged = changed.some((name) => event.resource.fields[name]?.searched);
  return { outcome: 'updated', after, searchChanged, emits };
}

/** Whether the event leaves out what `completeRecord` takes from the stored record. */
function takesOver({ fields }: DomainEvent): boolean {
  return fields?.['createdAt'] === null;
}

/** By version where both have one, else by time; of two equals the later in the stream wins. */
function isOlder(event: Stamp, stored: Stamp): boolean {
  if (event.version !== null && stored.version !== null) return event.version < stored.version;
  // Both are ISO 8601 in UTC with milliseconds, so text order is time order.
  return event.time < stored.time;
}

/** A task that is completed now and was not before (T-103). */
function completes(event: DomainEvent, before: AnyRecord | undefined, after: AnyRecord): boolean {
  return event.resource.name === 'task' && isCompletedTask(after) && !(before && isCompletedTask(before));
}

export function recordOf(state: LiveState): AnyRecord {
  return state.record ?? (JSON.parse(state.json) as AnyRecord);
}

function changedFields(resource: Resource, before: AnyRecord, after: AnyRecord): string[] {
  const names: string[] = [];
  for (const [name, field] of Object.entries(resource.fields))
    if (!field.sensitive && !isEqual(before[name] ?? null, after[name] ?? null)) names.push(name);
  return names;
}

function isEqual(a: Value, b: Value): boolean {
  if (a === b) return true;
  return Array.isArray(a) && Array.isArray(b) && a.length === b.length && a.every((item, index) => item === b[index]);
}

function totals(changes: Iterable<ChangedRecord>): Map<string, number> {
  const deltas = new Map<string, number>();
  const add = (spaceId: string, collection: string, by: number) => {
    if (by !== 0) deltas.set(totalKey(spaceId, collection), (deltas.get(totalKey(spaceId, collection)) ?? 0) + by);
  };
  for (const { resource, spaceId, before, after } of changes) {
    const [was, is] = [liveOrUndefined(before), liveOrUndefined(after)];
    add(spaceId, resource.collection, Number(is !== undefined) - Number(was !== undefined));
    for (const { collection, field, equals } of resource.views) {
      const shows = (state: LiveState | undefined) => state !== undefined && recordOf(state)[field] === equals;
      add(spaceId, collection, Number(shows(is)) - Number(shows(was)));
    }
  }
  for (const [key, by] of deltas) if (by === 0) deltas.delete(key);
  return deltas;
}

function liveOrUndefined(state: RecordState | undefined): LiveState | undefined {
  return state?.kind === 'live' ? state : undefined;
}
