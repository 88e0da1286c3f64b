import { Rejection, type Resource } from '@keyturn/contracts';
import { spaceId, spaceNumber, type Queries } from '@keyturn/platform/database';
import { findSeen, findTombstones, lockSpaces, statementsOf } from './apply.sql';
import { recordKey, type RecordState, type Stored } from './fold';
import { bigintArray, textArray, uuidArray } from './pg-arrays';
import type { PreparedEvent } from './prepared-event';

interface StateRow {
  space_id: string;
  version: string | null;
  event_time: Date;
}

type LiveRow = StateRow & { id: string; json: string };
type TombstoneRow = StateRow & { resource: string; record_id: string };

const stampOf = ({ version, event_time }: StateRow) => ({
  version: version === null ? null : Number(version),
  time: event_time.toISOString(),
});

/**
 * Locks the Spaces of a batch, then reads what is stored of its records. In this order: what a statement reads may be older
 * than the lock it waits for.
 */
export async function loadStored(queries: Queries, batch: readonly (PreparedEvent | Rejection)[]): Promise<Stored> {
  const events = batch.filter((prepared) => !(prepared instanceof Rejection)) as PreparedEvent[];
  const sequences = new Map<string, number>();
  const records = new Map<string, RecordState>();
  const seen = new Set<string>();
  if (events.length === 0) return { sequences, records, seen };

  const spaces = [...new Set(events.map(({ event }) => event.spaceId))];
  const locked = await queries.query<{ space_id: string; sequence: string }>(lockSpaces, [
    bigintArray(spaces.map(spaceNumber)),
  ]);
  for (const row of locked) sequences.set(spaceId(row.space_id), Number(row.sequence));

  const keys = uuidArray(events.map(({ key }) => key.seen));
  for (const row of await queries.query<{ key: string }>(findSeen, [keys])) seen.add(row.key);

  const wanted = distinctRecords(events);
  const tombstones = await queries.query<TombstoneRow>(findTombstones, [
    bigintArray(wanted.map((record) => spaceNumber(record.spaceId))),
    textArray(wanted.map(({ resource }) => resource.name)),
    bigintArray(wanted.map(({ recordId }) => recordId)),
  ]);
  for (const row of tombstones)
    records.set(`${row.resource}/${spaceId(row.space_id)}/${row.record_id}`, { kind: 'deleted', ...stampOf(row) });

  for (const [resource, ofResource] of byResource(wanted)) {
    const rows = await queries.query<LiveRow>(statementsOf(resource).find, [
      bigintArray(ofResource.map((record) => spaceNumber(record.spaceId))),
      bigintArray(ofResource.map(({ recordId }) => recordId)),
    ]);
    for (const row of rows)
      records.set(recordKey(resource, spaceId(row.space_id), Number(row.id)), {
        kind: 'live',
        json: row.json,
        ...stampOf(row),
      });
  }
  return { sequences, records, seen };
}

interface RecordName {
  readonly resource: Resource;
  readonly spaceId: string;
  readonly recordId: number;
}

function distinctRecords(events: readonly PreparedEvent[]): RecordName[] {
  const found = new Map<string, RecordName>();
  for (const { event } of events) found.set(recordKey(event.resource, event.spaceId, event.recordId), event);
  return [...found.values()];
}

export function byResource<T extends { readonly resource: Resource }>(items: Iterable<T>): Map<Resource, T[]> {
  const groups = new Map<Resource, T[]>();
  for (const item of items) {
    const group = groups.get(item.resource);
    if (group) group.push(item);
    else groups.set(item.resource, [item]);
  }
  return groups;
}
