import { spaceNumber, type Queries } from '@keyturn/platform/database';
import { putTombstones, record, removeTombstones, statementsOf, type TableStatements } from './apply.sql';
import { recordOf, type ChangedRecord, type Folded, type RecordState } from './fold';
import { arrayLiteral, bigintArray, textArray, timestampArray, uuidArray } from './pg-arrays';
import type { RecordRow } from './record-columns';
import { byResource } from './stored';

/** How far a stream is applied. */
export interface StreamPosition {
  readonly stream: string;
  readonly sequence: number;
  /** When the stream stored the message at that sequence: tells the message from another one under its number. */
  readonly moment: Date | null;
  /** When the stream was made. */
  readonly streamCreated: Date | null;
}

/** Somebody else has moved the position: this process is no longer the one that applies. */
export class PositionTaken extends Error {
  constructor(stream: string) {
    super(`the position of ${stream} was moved by another process`);
    this.name = 'PositionTaken';
  }
}

/** Writes what a batch has come to, and the position behind it: one statement per table. */
export async function writeFolded(
  queries: Queries,
  folded: Folded,
  from: StreamPosition,
  to: StreamPosition,
): Promise<void> {
  await writeRecords(queries, [...folded.records.values()]);
  const { sequences, totals, messages } = folded;
  const totalKeys = [...totals.keys()].map((key) => key.split('/') as [string, string]);
  const moved = await queries.query(record, [
    bigintArray([...sequences.keys()].map(spaceNumber)),
    bigintArray([...sequences.values()]),
    bigintArray(totalKeys.map(([space]) => spaceNumber(space))),
    textArray(totalKeys.map(([, collection]) => collection)),
    bigintArray([...totals.values()]),
    uuidArray(folded.seen),
    messages.length,
    bigintArray(messages.map(({ spaceId }) => spaceNumber(spaceId))),
    bigintArray(messages.map(({ sequence }) => sequence)),
    textArray(messages.map(({ id }) => id)),
    textArray(messages.map(({ event }) => event)),
    textArray(messages.map(({ resource }) => resource.name)),
    bigintArray(messages.map(({ recordId }) => recordId)),
    timestampArray(messages.map(({ time }) => time)),
    textArray(messages.map(({ changed }) => arrayLiteral(changed))),
    textArray(messages.map(({ traceparent }) => traceparent ?? null)),
    textArray(messages.map(({ payload }) => payload)),
    to.stream,
    from.sequence,
    to.sequence,
    to.moment,
    to.streamCreated,
  ]);
  if (moved.length === 0) throw new PositionTaken(to.stream);
}

const isDeleted = (state: RecordState | undefined) => state?.kind === 'deleted';

async function writeRecords(queries: Queries, changed: readonly ChangedRecord[]): Promise<void> {
  for (const [resource, ofResource] of byResource(changed)) {
    const { records, states, search } = statementsOf(resource);
    await upsert(queries, records, ofResource);
    await upsert(queries, states, ofResource);
    await upsert(
      queries,
      search,
      ofResource.filter(({ searchChanged }) => searchChanged),
    );
    const gone = ofResource.filter(({ before, after }) => before?.kind === 'live' && isDeleted(after));
    if (gone.length === 0) continue;
    for (const table of [records, states, search]) await queries.query(table.remove, names(gone));
  }
  const buried = changed.filter(({ after }) => isDeleted(after));
  if (buried.length)
    await queries.query(putTombstones, [
      ...tombstoneNames(buried),
      bigintArray(buried.map(({ after }) => after.version)),
      timestampArray(buried.map(({ after }) => after.time)),
    ]);
  const revived = changed.filter(({ before, after }) => isDeleted(before) && !isDeleted(after));
  if (revived.length) await queries.query(removeTombstones, tombstoneNames(revived));
}

async function upsert(queries: Queries, table: TableStatements, changed: readonly ChangedRecord[]): Promise<void> {
  const rows = changed.flatMap(({ spaceId, after }): RecordRow[] => {
    if (after.kind !== 'live') return [];
    const { json, version, time } = after;
    return [{ spaceId, record: recordOf(after), json, version, time }];
  });
  if (rows.length === 0) return;
  const values = table.columns.map((column) => column.encode(rows));
  await queries.query(table.upsert, values);
}

const names = (records: readonly ChangedRecord[]) => [
  bigintArray(records.map(({ spaceId }) => spaceNumber(spaceId))),
  bigintArray(records.map(({ recordId }) => recordId)),
];

const tombstoneNames = (records: readonly ChangedRecord[]) => [
  bigintArray(records.map(({ spaceId }) => spaceNumber(spaceId))),
  textArray(records.map(({ resource }) => resource.name)),
  bigintArray(records.map(({ recordId }) => recordId)),
];
