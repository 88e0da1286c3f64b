import { Client } from 'pg';
import {
  ApiError,
  collections,
  contactResource,
  phoneKeys,
  representation,
  resources,
  searchText,
  userResource,
  type AnyRecord,
  type Filter,
  type ListQuery,
  type Resource,
  type Value,
} from '@keyturn/contracts';
import { runMigrations, statement } from '@keyturn/platform/database';
import { Log } from '@keyturn/platform/logs';
import { Metrics } from '@keyturn/platform/metrics';
import { freshDatabase, listQuery, type FreshDatabase } from '@keyturn/testing';
import { migrations } from '../migrations';
import { recordMapping } from '../records/record-mappings';
import { phoneKey, recordTable } from '../records/record-table';
import type { DataSettings } from '../settings';
import { ReadPools } from './read-pools';
import { ReadReplica } from './read-replica';
import { SpaceReader } from './space-reader';

let database: FreshDatabase;
let client: Client;
let pools: ReadPools;
let reader: SpaceReader;

beforeAll(async () => {
  database = await freshDatabase({
    name: 'data',
    migrate: (url) => runMigrations({ url, schema: 'data', migrations, log: Log.create('test', 'silent') }),
  });
  client = new Client({ connectionString: database.url });
  await client.connect();
  const settings = { databaseUrl: database.url, readConnections: 2, scanConnections: 2 } as DataSettings;
  const metrics = new Metrics('data-service');
  pools = new ReadPools(settings);
  reader = new SpaceReader(pools, new ReadReplica(settings, pools, Log.create('test', 'silent'), metrics));
});

afterAll(async () => {
  await pools?.onModuleDestroy();
  await client?.end();
  await database?.drop();
});

function recordOf(resource: Resource, id: number, fields: Record<string, Value>): AnyRecord {
  const at = '2026-03-10T12:00:00.000Z';
  const record = { createdAt: at, updatedAt: at } as AnyRecord;
  for (const name of Object.keys(resource.fields)) record[name] ??= fields[name] ?? null;
  Object.assign(record, { id }, fields);
  for (const [name, derive] of Object.entries(resource.derive)) record[name] = derive(record);
  return record;
}

/** Writes records as the applier does, totals included. */
async function store(space: number, resource: Resource, records: readonly AnyRecord[]): Promise<void> {
  const table = recordTable(resource);
  const stored = table.columns.filter((column) => column.value);
  for (const record of records) {
    const row: [name: string, value: unknown][] = [
      ['space_id', space],
      ...stored.map((column): [string, unknown] => [column.name, column.value?.(record)]),
    ];
    if (table.hasPhoneKeys)
      row.push(['phone_keys', phoneKeys(resource, record).map((digits) => phoneKey(String(space), digits))]);
    const names = row.map(([name]) => `"${name}"`).join(', ');
    const places = row.map((_, i) => `$${i + 1}`).join(', ');
    await client.query(
      `insert into ${table.qualified} (${names}) values (${places})`,
      row.map(([, value]) => value),
    );
    await client.query(`insert into ${table.stateTable} (space_id, id, event_time, json) values ($1, $2, $3, $4)`, [
      space,
      record.id,
      record.updatedAt,
      representation(resource, record),
    ]);
    await client.query(`insert into ${table.searchTable} (space_id, id, search_text) values ($1, $2, $3)`, [
      space,
      record.id,
      searchText(resource, record),
    ]);
  }
  const views = resource.views.map((view): [string, number] => [
    view.collection,
    records.filter((record) => record[view.field] === view.equals).length,
  ]);
  for (const [collection, total] of [[resource.collection, records.length] as const, ...views])
    await client.query(
      `insert into data.counter values ($1, $2, $3) on conflict (space_id, collection) do update set total = counter.total + $3`,
      [space, collection, total],
    );
}

async function list(spaceId: string, collection: string, query?: Partial<ListQuery>) {
  const { head, rows } = await reader.list(spaceId, collection, listQuery(query));
  return { ...head, rows: JSON.parse(`[${rows}]`) as Record<string, unknown>[] };
}

const codeOf = async (work: Promise<unknown>) =>
  work.then(
    () => 'none',
    (error: unknown) => (error instanceof ApiError ? error.code : error),
  );

describe.each(resources)('$collection', (resource) => {
  const samples: Record<string, Value> = {
    id: 7,
    integer: 5,
    number: 1.5,
    string: 'Ünï "quoted" / 100%',
    text: 'Prose, with\nlines',
    boolean: true,
    date: '2026-03-10',
    datetime: '2026-03-10T12:00:00.000Z',
    strings: ['a', 'b,"c'],
  };
  const full: Record<string, Value> = {};
  for (const [name, field] of Object.entries(resource.fields))
    if (!field.derived)
      full[name] = field.kind === 'enum' ? (field.values?.[0] ?? null) : (samples[field.kind] ?? null);
  const record = recordOf(resource, 7, full);
  const empty = recordOf(resource, 8, {});
  const view = resource.views[0];

  beforeAll(() => store(10, resource, view ? [{ ...record, [view.field]: view.equals }, empty] : [record, empty]));

  it('T-060 T-062 T-122 shows a record in list and detail with the same bytes, unset fields as null', async () => {
    const { rows, total, count } = await list('spc_10', resource.collection);
    expect({ total, count }).toEqual({ total: 2, count: 2 });
    const detail = await reader.detail('spc_10', resource.collection, 8, null);
    expect(detail).toBe(representation(resource, empty));
    expect(rows[1]).toEqual(JSON.parse(detail));
    expect(Object.values(rows[1] ?? {})).toContain(null);
  });

  it('T-070 T-074 filters and sorts by every column that says so', async () => {
    for (const [name, field] of Object.entries(resource.fields)) {
      if (field.sortable)
        for (const order of ['asc', 'desc'] as const) {
          const { rows } = await list('spc_10', resource.collection, { sort: name, order });
          expect(rows).toHaveLength(2);
        }
      const value = (view && name === view.field ? view.equals : record[name]) as Filter['values'][number] | null;
      if (!field.filterable || value === null) continue;
      for (const operator of ['eq', 'in', 'ne'] as const) {
        const { rows } = await list('spc_10', resource.collection, {
          filters: [{ field: name, operator, values: [value] }],
        });
        expect(rows.some((row) => row['id'] === 7)).toBe(operator !== 'ne');
      }
    }
  });

  it('T-030 T-077 what a Space does not have is not found, also when another Space has it', async () => {
    for (const [space, id] of [
      ['spc_10', 9],
      ['spc_11', 7],
      ['spc_10', Number.MAX_SAFE_INTEGER],
    ] as const)
      expect(await codeOf(reader.detail(space, resource.collection, id, null))).toBe('NOT_FOUND');
  });

  it('T-029 T-031 a list shows and counts its own Space only', async () => {
    for (const window of [{ page: 1 }, { after: null }])
      for (const query of [
        {},
        { search: ['a'] },
        { filters: [{ field: 'id', operator: 'gte' as const, values: [1] }] },
      ])
        expect(await list('spc_11', resource.collection, { window, ...query })).toMatchObject({ count: 0, rows: [] });
    expect((await list('spc_11', resource.collection)).total).toBe(0);
  });

  it('shows only the wanted fields, in their order', async () => {
    const { rows } = await list('spc_10', resource.collection, { fields: ['id', 'updatedAt'] });
    expect(rows.map((row) => JSON.stringify(row))).toEqual(
      [record, empty].map(({ id, updatedAt }) => JSON.stringify({ id, updatedAt })),
    );
    expect(await reader.detail('spc_10', resource.collection, 7, ['id'])).toBe('{"id":7}');
  });
});

it('T-060 agents are the users whose role is agent', async () => {
  const user = (id: number, role: string | null, lastName: string) => recordOf(userResource, id, { role, lastName });
  await store(20, userResource, [
    user(1, 'agent', 'B'),
    user(2, 'owner', 'A'),
    user(3, 'agent', 'a'),
    user(4, null, 'C'),
  ]);
  const ids = async (query?: Partial<ListQuery>) =>
    (await list('spc_20', 'agents', query)).rows.map((row) => row['id']);
  expect(await ids()).toEqual([1, 3]);
  expect(await ids({ sort: 'lastName' })).toEqual([3, 1]);
  expect(await ids({ sort: 'lastName', order: 'desc', window: { after: null } })).toEqual([1, 3]);
  expect((await list('spc_20', 'agents')).total).toBe(2);
  expect((await list('spc_20', 'users')).total).toBe(4);
  expect(await codeOf(reader.detail('spc_20', 'agents', 2, null))).toBe('NOT_FOUND');
  expect(JSON.parse(await reader.detail('spc_20', 'agents', 3, null))).toMatchObject({ id: 3, role: 'agent' });
});

it('T-034 T-073 a password hash is stored, and neither shown nor searched', async () => {
  await store(30, userResource, [recordOf(userResource, 1, { lastName: 'Smith', passwordHash: 'argon2-secret' })]);
  expect((await list('spc_30', 'users', { search: ['smith'] })).rows).toHaveLength(1);
  expect((await list('spc_30', 'users', { search: ['argon2'] })).rows).toHaveLength(0);
  expect(await reader.detail('spc_30', 'users', 1, null)).not.toContain('argon2');
  const { rows } = await client.query(`select password_hash from data."user" where space_id = 30`);
  expect(rows).toEqual([{ password_hash: 'argon2-secret' }]);
});

describe('lookup', () => {
  beforeAll(() =>
    store(40, contactResource, [
      recordOf(contactResource, 1, { phone: '(206) 555-1234' }),
      recordOf(contactResource, 2, { officePhone: '+1 206-555-0000 x9', updatedAt: '2026-03-01T00:00:00.000Z' }),
      recordOf(contactResource, 3, { fax: '206.555.0000', updatedAt: '2026-03-02T00:00:00.000Z' }),
      recordOf(contactResource, 4, { mobilePhone: '2065550000', updatedAt: '2026-03-01T12:00:00.000Z' }),
    ]),
  );
  const lookup = async (phone: string) => (JSON.parse(await reader.lookup('spc_40', phone, null)) as AnyRecord).id;

  it('T-064 T-065 finds a contact by any of its numbers; of several the one last updated', async () => {
    expect(await lookup('2065551234')).toBe(1);
    expect(await lookup('2065550000')).toBe(3);
    expect(await reader.lookup('spc_40', '2065551234', ['id', 'phone'])).toBe('{"id":1,"phone":"(206) 555-1234"}');
  });

  it('T-030 T-065 finds no part of a number, nor one of another Space', async () => {
    for (const phone of ['5551234', '0655512', '12065551234'])
      expect(await codeOf(reader.lookup('spc_40', phone, null))).toBe('NOT_FOUND');
    expect(await codeOf(reader.lookup('spc_41', '2065551234', null))).toBe('NOT_FOUND');
  });
});

describe('plans', () => {
  beforeAll(async () => {
    await client.query(
      `insert into data.file (space_id, id, property_address, list_price, created_at, updated_at)
       select 50, i, case when i % 3 > 0 then 'Street ' || i end, i, now(), now()
       from generate_series(1, 5000) i`,
    );
    await client.query(`insert into data.file_search select 50, i, 'street ' || i from generate_series(1, 5000) i`);
    await client.query(`insert into data.counter values (50, 'files', 5000)`);
    await client.query(`vacuum analyze data.file, data.file_state, data.file_search`);
  });

  const planOf = (query: Partial<ListQuery>) =>
    reader.explain('spc_50', { operation: 'data.list', collection: 'files', query: listQuery(query) });

  it.each(['id', 'createdAt', 'updatedAt', 'propertyAddress', 'listPrice', 'closingDate'])(
    'the first page by %s, and any page of a walk, touches no more rows than it shows',
    async (sort) => {
      const value = { id: 2_000, propertyAddress: 'street 3', listPrice: 2_000, closingDate: '2026-03-10' }[sort];
      for (const order of ['asc', 'desc'] as const)
        for (const window of [
          { page: 1 },
          { after: null },
          { after: { value: value ?? '2026-03-10T12:00:00.000Z', id: 2_000 } },
          ...(sort === 'propertyAddress' ? [{ after: { value: null, id: 2_000 } }] : []),
        ]) {
          const plan = await planOf({ sort, order, window });
          expect(plan).not.toMatch(/Seq Scan|Bitmap/);
          const rows = [...plan.matchAll(/Index(?: Only)? Scan.*rows=([\d.]+) loops/g)].map((match) =>
            Number(match[1]),
          );
          expect(rows.length).toBeGreaterThan(0);
          expect(Math.max(...rows)).toBeLessThanOrEqual(26);
        }
    },
  );

  it('detail and lookup go by their index', async () => {
    expect(
      await reader.explain('spc_50', { operation: 'data.detail', collection: 'files', id: 7, fields: null }),
    ).toMatch(/Index Scan using file_state_pkey/);
    expect(await reader.explain('spc_50', { operation: 'data.lookup', phone: '2065551234', fields: null })).toMatch(
      /Bitmap Index Scan on contact_phone/,
    );
  });
});

it('DESIGN §3 no read runs longer than five seconds', async () => {
  for (const kind of ['walk', 'scan'] as const) {
    const settings = statement('settings', `select current_setting('statement_timeout') as timeout`);
    expect(await pools.of(kind).acrossSpaces('a setting').query(settings)).toEqual([{ timeout: '5s' }]);
  }
});

it('every collection has its mapping, and it maps what its definition filters and sorts by', () => {
  for (const collection of collections.values()) {
    const named = Object.entries(collection.resource.fields).filter(([, field]) => field.filterable || field.sortable);
    expect(Object.keys(recordMapping(collection).columns)).toEqual(named.map(([name]) => name));
  }
});
