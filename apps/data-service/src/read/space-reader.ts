import { Injectable } from '@nestjs/common';
import {
  collections,
  contactResource,
  notFound,
  type Collection,
  type ListQuery,
  type ListReply,
  type Read,
} from '@keyturn/contracts';
import { explanationOf, listStatement, type ListRow, type SessionKind } from '@keyturn/list-query';
import { spaceNumber, statement, type Statement } from '@keyturn/platform/database';
import { recordMapping } from '../records/record-mappings';
import { phoneKey, recordTable } from '../records/record-table';
import { ReadPools } from './read-pools';
import { ReadReplica } from './read-replica';
import { sparseRows } from './sparse-rows';

/** One record's text. */
interface TextRow {
  json: string;
}

interface Prepared {
  readonly statement: Statement;
  /** From `$2` on; `$1` is the Space. */
  readonly values: readonly unknown[];
  readonly sessions: SessionKind;
}

/**
 * Everything that can be read of a Space. The Space is an argument of the one method that starts a query, so no read can
 * leave it out. `until`, by `performance.now()`, is how long somebody waits for the answer.
 */
@Injectable()
export class SpaceReader {
  constructor(
    private readonly pools: ReadPools,
    private readonly replica: ReadReplica,
  ) {}

  async list(
    spaceId: string,
    collectionName: string,
    query: ListQuery,
    until?: number,
  ): Promise<{ head: ListReply; rows: string }> {
    const prepared = listStatement(recordMapping(collectionOf(collectionName)), query);
    const [row] = await this.read<ListRow>(spaceId, prepared, until);
    if (!row) throw new Error('a list answers with one row');
    const { head, rows } = prepared.reply(row);
    return { head, rows: sparseRows(rows, query.fields) };
  }

  /** One record's JSON; NOT_FOUND also where the record is another Space's (T-030). */
  async detail(
    spaceId: string,
    collection: string,
    id: number,
    fields: readonly string[] | null,
    until?: number,
  ): Promise<string> {
    return this.text(spaceId, detailOf(collection, id), fields, until);
  }

  /** The contact that has this telephone number, in national digits; of several the one last updated (T-064). */
  async lookup(spaceId: string, phone: string, fields: readonly string[] | null, until?: number): Promise<string> {
    return this.text(spaceId, lookupOf(spaceId, phone), fields, until);
  }

  /** How Postgres carries a read out. */
  async explain(spaceId: string, read: Read): Promise<string> {
    const { statement: explained, values, sessions } = preparedOf(spaceId, read);
    return this.pools.of(sessions).session('a plan is seen on the connection that has it', async (session) => {
      // Every other door of this class binds the Space as `$1`; EXECUTE takes literals, so it is one here.
      const { prepare, explain, deallocate } = explanationOf(explained.text, [spaceNumber(spaceId), ...values]);
      const queries = session.acrossSpaces('explains a statement that names its Space');
      await queries.query({ name: '', text: prepare });
      try {
        const lines = await queries.query<{ 'QUERY PLAN': string }>({ name: '', text: explain });
        return lines.map((line) => line['QUERY PLAN']).join('\n');
      } finally {
        await queries.query({ name: '', text: deallocate });
      }
    });
  }

  private async text(
    spaceId: string,
    prepared: Prepared,
    fields: readonly string[] | null,
    until: number | undefined,
  ): Promise<string> {
    const [row] = await this.read<TextRow>(spaceId, prepared, until);
    if (!row) throw notFound();
    return sparseRows(row.json, fields);
  }

  private async read<R extends object>(spaceId: string, prepared: Prepared, until: number | undefined): Promise<R[]> {
    const { statement: sql, values, sessions } = prepared;
    const rows = await this.replica.read<R>(spaceId, sessions, sql, values, until);
    return rows ?? this.pools.of(sessions).inSpace(spaceId, until).query<R>(sql, values);
  }
}

function preparedOf(spaceId: string, read: Read): Prepared {
  switch (read.operation) {
    case 'data.list':
      return listStatement(recordMapping(collectionOf(read.collection)), read.query);
    case 'data.detail':
      return detailOf(read.collection, read.id);
    case 'data.lookup':
      return lookupOf(spaceId, read.phone);
  }
}

function collectionOf(name: string): Collection {
  const collection = collections.get(name);
  if (!collection) throw notFound();
  return collection;
}

const details = new Map<Collection, Statement>();

function detailOf(collectionName: string, id: number): Prepared {
  const collection = collectionOf(collectionName);
  const known = details.get(collection) ?? detailStatement(collection);
  details.set(collection, known);
  return { statement: known, values: [id], sessions: 'walk' };
}

function detailStatement(collection: Collection): Statement {
  const { qualified, stateTable } = recordTable(collection.resource);
  const { where } = recordMapping(collection);
  // A view shows what the record's own row says it may.
  const shown = where
    ? ` and exists (select from ${qualified} r where r.space_id = $1 and r.id = s.id and ${where.join(' and ')})`
    : '';
  return statement(
    `detail_${collection.name.replace(/\W/g, '_')}`,
    `select s.json from ${stateTable} s where s.space_id = $1 and s.id = $2::bigint${shown}`,
  );
}

const { qualified: contacts, stateTable: contactStates } = recordTable(contactResource);

/** A key names its Space already; saying so once more would let the plan walk all contacts of the Space for it. */
const lookupStatement = statement(
  'lookup',
  `with hits as materialized (select r.id, r.updated_at from ${contacts} r where r.phone_keys @> array[$2::text])
  select s.json from ${contactStates} s
  where s.space_id = $1 and s.id = (select id from hits order by updated_at desc, id desc limit 1)`,
);

const lookupOf = (spaceId: string, phone: string): Prepared => ({
  statement: lookupStatement,
  values: [phoneKey(spaceNumber(spaceId), phone)],
  sessions: 'walk',
});
