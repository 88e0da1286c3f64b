import fc from 'fast-check';
import { Client } from 'pg';
import {
  boolean,
  date,
  datetime,
  defineResource,
  enumeration,
  foldCase,
  integer,
  number,
  string,
  text,
  type Filter,
  type FilterValue,
  type ListQuery,
  type Position,
} from '@keyturn/contracts';
import { freshDatabase, listQuery, type FreshDatabase } from '@keyturn/testing';
import { listStatement } from './list-statement';
import type { ListRow } from './list-sql';
import { sessionSettings, type SessionKind } from './plan';
import { mapColumns, type TableMapping } from './table-mapping';

/** A resource with a column of every kind, nullable where it may be. */
const thing = defineResource({
  name: 'thing',
  collection: 'things',
  title: 'thing',
  fields: {
    name: string('FSIQ'),
    city: string('FSQ'),
    state: enumeration(['open', 'closed', 'lost'], 'FS'),
    price: number('FSI'),
    rooms: integer('FS'),
    isNew: boolean('FS'),
    day: date('FSI'),
    seenAt: datetime('FS'),
    remarks: text('Q'),
  },
});

type Thing = { id: number; createdAt: string; updatedAt: string } & Record<string, FilterValue | null>;

const columnsOfThing = { table: 'thing', json: 'r.json', columns: mapColumns(thing) };

/** The same rows in one table, and with their texts in tables of their own. */
const layouts: Record<'together' | 'apart', TableMapping> = {
  together: { ...columnsOfThing, search: 'r.search_text' },
  apart: {
    ...columnsOfThing,
    jsonTable: 'thing_state',
    searchTable: 'thing_search',
    total: 'select total from counter where space_id = $1',
  },
};
let mapping = layouts.together;

const schema = `
create extension pg_trgm; create extension btree_gin;
create table thing (
  space_id bigint, id bigint, name text,
  name_sort text collate "C" generated always as (left(lower(name), 500)) stored,
  city text, state text, price double precision, rooms bigint, is_new boolean, day date, seen_at timestamptz(3),
  created_at timestamptz(3) not null, updated_at timestamptz(3) not null, json text, search_text text,
  primary key (space_id, id)
);
create index on thing (space_id, name_sort, id);
create index on thing (space_id, price, id);
create index on thing (space_id, day, id);
create index on thing (space_id, created_at, id);
create index on thing (space_id, updated_at, id);
create index on thing using gin (space_id, search_text gin_trgm_ops);
create table thing_state (space_id bigint, id bigint, json text, primary key (space_id, id));
create table thing_search (space_id bigint, id bigint, search_text text, primary key (space_id, id));
create index on thing_search using gin (space_id, search_text gin_trgm_ops);
create table counter (space_id bigint primary key, total bigint);
`;

let database: FreshDatabase;
const clients = {} as Record<SessionKind, Client>;

beforeAll(async () => {
  database = await freshDatabase();
  for (const kind of ['walk', 'scan'] as const) {
    const options = Object.entries(sessionSettings[kind])
      .map(([name, value]) => `-c ${name}=${value}`)
      .join(' ');
    clients[kind] = new Client({ connectionString: database.url, options });
    await clients[kind].connect();
  }
  await clients.scan.query(schema);
});

afterAll(async () => {
  await Promise.all(Object.values(clients).map((client) => client.end()));
  await database?.drop();
});

/** Puts the things into Space 1, and the same ids with other values into Space 2. */
async function store(things: readonly Thing[]): Promise<void> {
  await clients.scan.query('truncate thing, thing_state, thing_search, counter');
  await clients.scan.query(
    `insert into thing (space_id, id, name, city, state, price, rooms, is_new, day, seen_at, created_at, updated_at, json, search_text)
     select space_id, id, case space_id when 1 then name else 'foreign' end, city, state, price, rooms, "isNew", day, "seenAt",
       "createdAt", "updatedAt", json, search
     from json_populate_recordset(null::record, $1) as t(id bigint, name text, city text, state text, price float8, rooms bigint,
       "isNew" boolean, day date, "seenAt" timestamptz, "createdAt" timestamptz, "updatedAt" timestamptz, json text, search text),
       (values (1), (2)) as spaces (space_id)`,
    [JSON.stringify(things.map((item) => ({ ...item, json: JSON.stringify(item), search: searchOf(item) })))],
  );
  await clients.scan.query('insert into thing_state select space_id, id, json from thing');
  await clients.scan.query('insert into thing_search select space_id, id, search_text from thing');
  await clients.scan.query('insert into counter values (1, $1), (2, $1)', [things.length]);
  await clients.scan.query('analyze thing, thing_state, thing_search');
}

const searchOf = (item: Thing) =>
  [item['name'], item['city'], item['remarks']].map((value) => foldCase(String(value ?? ''))).join('\n');

async function list(query: Partial<ListQuery>) {
  const { statement, values, sessions, reply } = listStatement(mapping, listQuery(query));
  const result = await clients[sessions].query<ListRow>({ ...statement, values: ['1', ...values] });
  const { head, rows } = reply(result.rows[0] as ListRow);
  const things = JSON.parse(`[${rows}]`) as Thing[];
  expect(head.count).toBe(things.length);
  return { ...head, ids: things.map((item) => item.id) };
}

async function walk(query: Partial<ListQuery>): Promise<number[]> {
  const ids: number[] = [];
  let after: Position | null = null;
  do {
    // The position travels as JSON between services and inside the cursor.
    const page: Awaited<ReturnType<typeof list>> = await list({ ...query, window: { after } });
    ids.push(...page.ids);
    after = JSON.parse(JSON.stringify(page.next)) as Position | null;
    expect(after === null || page.ids.length > 0).toBe(true);
  } while (after);
  return ids;
}

// The model: what DESIGN §3 says, over plain objects.

/** What a value is compared by: strings folded, in the order of code points. */
function keyOf(field: string, value: FilterValue | null): FilterValue | Buffer | null {
  const kind = thing.fields[field as keyof typeof thing.fields].kind;
  return typeof value === 'string' && kind === 'string' ? Buffer.from(value.toLowerCase().slice(0, 500)) : value;
}

function compareKeys(a: FilterValue | Buffer, b: FilterValue | Buffer): number {
  if (Buffer.isBuffer(a) && Buffer.isBuffer(b)) return Buffer.compare(a, b);
  return a < b ? -1 : a > b ? 1 : 0;
}

function ordered(things: readonly Thing[], sort: string, order: 'asc' | 'desc'): number[] {
  const direction = order === 'asc' ? 1 : -1;
  return [...things]
    .sort((x, y) => {
      const [a, b] = [keyOf(sort, x[sort] ?? null), keyOf(sort, y[sort] ?? null)];
      if (a === null || b === null) return a === b ? direction * (x.id - y.id) : a === null ? 1 : -1;
      return direction * (compareKeys(a, b) || x.id - y.id);
    })
    .map((item) => item.id);
}

/** A day stands for the first and the last millisecond of it. */
function span(field: string, value: FilterValue): [FilterValue, FilterValue] {
  if (thing.fields[field as keyof typeof thing.fields].kind !== 'datetime' || String(value).length > 10)
    return [value, value];
  return [`${value}T00:00:00.000Z`, `${value}T23:59:59.999Z`];
}

function matches(item: Thing, { field, operator, values }: Filter): boolean {
  const value = item[field] ?? null;
  return values.some((wanted) => {
    if (operator === 'null') return (value === null) === wanted;
    const [first, last] = span(field, wanted);
    const within = value !== null && value >= first && value <= last;
    if (operator === 'eq' || operator === 'in') return within;
    if (operator === 'ne') return !within;
    if (value === null) return false;
    if (operator === 'contains') return String(value).toLowerCase().includes(String(wanted).toLowerCase());
    const key = keyOf(field, value) as FilterValue | Buffer;
    const toFirst = compareKeys(key, keyOf(field, first) as FilterValue | Buffer);
    const toLast = compareKeys(key, keyOf(field, last) as FilterValue | Buffer);
    return { gt: toLast > 0, gte: toFirst >= 0, lt: toFirst < 0, lte: toLast <= 0 }[operator];
  });
}

// Few values of each kind, so that ties, nulls and matches are common.

const few = {
  name: fc.constantFrom(
    'Ann',
    'ann',
    'ANN',
    'Éva',
    'zoë',
    'a%b_c\\d',
    '',
    "O'Neil",
    '日本',
    '😀 house',
    'x'.repeat(600),
  ),
  city: fc.constantFrom('Oakland', 'oakland', 'San Mateo', 'Ōsaka', '', 'st. john'),
  state: fc.constantFrom('open', 'closed', 'lost'),
  price: fc.constantFrom(0, -1.5, 450_000, 450_000.25, 1e-7, Number.MAX_SAFE_INTEGER),
  rooms: fc.constantFrom(-1, 0, 3, Number.MAX_SAFE_INTEGER),
  isNew: fc.boolean(),
  day: fc.constantFrom('2026-03-09', '2026-03-10', '2026-12-31', '0001-01-01'),
  seenAt: fc.constantFrom(
    '2026-03-09T23:59:59.999Z',
    '2026-03-10T00:00:00.000Z',
    '2026-03-10T12:00:00.000Z',
    '2026-03-11T00:00:00.000Z',
  ),
};
const remarks = fc.constantFrom('Corner home, two decks', 'ends with 100%', 'ΟΔΟΣ Straße');
const orNull = <T>(values: fc.Arbitrary<T>) => fc.option(values, { nil: null, freq: 4 });
const moment = few.seenAt;
const things = fc
  .uniqueArray(
    fc.record({
      id: fc.integer({ min: 1, max: 1_000 }),
      name: orNull(few.name),
      city: orNull(few.city),
      state: orNull(few.state),
      price: orNull(few.price),
      rooms: orNull(few.rooms),
      isNew: orNull(few.isNew),
      day: orNull(few.day),
      seenAt: orNull(few.seenAt),
      remarks: orNull(remarks),
      createdAt: moment,
      updatedAt: moment,
    }),
    { selector: (item) => item.id, maxLength: 40, minLength: 5 },
  )
  .map((items) => items as Thing[]);

const columns = ['id', ...Object.keys(few), 'createdAt', 'updatedAt'];
const sorting = fc.record({
  sort: fc.constantFrom(...columns),
  order: fc.constantFrom('asc' as const, 'desc' as const),
});

const comparisons = ['eq', 'ne', 'gt', 'gte', 'lt', 'lte', 'in'] as const;
const equalities = ['eq', 'ne', 'in'] as const;
const several = <T extends FilterValue>(values: fc.Arbitrary<T>) =>
  fc.uniqueArray(values, { minLength: 1, maxLength: 3 }) as fc.Arbitrary<FilterValue[]>;
const filterOn = (
  field: string,
  operators: readonly Filter['operator'][],
  values: fc.Arbitrary<FilterValue>,
): fc.Arbitrary<Filter> =>
  fc.record({ field: fc.constant(field), operator: fc.constantFrom(...operators), values: several(values) });
const dayOrMoment = fc.oneof(few.seenAt, fc.constantFrom('2026-03-09', '2026-03-10', '2026-03-11', '9999-12-31'));
const piece = fc.constantFrom('a', 'N', 'É', '%', '_', '\\', "'", '', 'land', '日', 'x'.repeat(600));
const filter: fc.Arbitrary<Filter> = fc.oneof(
  filterOn('id', comparisons, fc.integer({ min: 1, max: 1_000 })),
  filterOn('name', comparisons, few.name),
  filterOn('city', comparisons, few.city),
  filterOn('name', ['contains'], piece),
  filterOn('city', ['contains'], piece),
  filterOn('state', equalities, few.state),
  filterOn('price', comparisons, few.price),
  filterOn('rooms', comparisons, few.rooms),
  filterOn('isNew', equalities, few.isNew),
  filterOn('day', comparisons, few.day),
  filterOn('seenAt', comparisons, dayOrMoment),
  filterOn('updatedAt', comparisons, dayOrMoment),
  fc.constantFrom(...columns).chain((field) => filterOn(field, ['null'], fc.boolean())),
);
const search = fc.oneof(
  { weight: 3, arbitrary: fc.constant([] as string[]) },
  fc.uniqueArray(
    fc.constantFrom('ann', 'ak', 'decks', '100%', '%', '_', 'οδοσ', 'strasse', "o'neil", 'nowhere', '日本', '😀'),
    {
      maxLength: 2,
    },
  ),
);

const runs = { numRuns: 25, seed: 20260310 };

describe.each(['together', 'apart'] as const)('texts %s', (layout) => {
  beforeAll(() => void (mapping = layouts[layout]));

  it('T-070 T-071 T-072 pages and cursor walks show each row once, in order, nulls last', async () => {
    await fc.assert(
      fc.asyncProperty(
        things,
        fc.array(sorting, { minLength: 3, maxLength: 3 }),
        fc.integer({ min: 1, max: 12 }),
        async (items, sorts, pageSize) => {
          await store(items);
          for (const by of sorts) {
            const expected = ordered(items, by.sort, by.order);
            const seen: number[] = [];
            for (let page = 1; page <= Math.ceil(items.length / pageSize); page++) {
              const { ids, total } = await list({ ...by, pageSize, window: { page } });
              expect(total).toBe(items.length);
              seen.push(...ids);
            }
            expect(seen).toEqual(expected);
            expect(await walk({ ...by, pageSize })).toEqual(expected);
          }
        },
      ),
      runs,
    );
  });

  it('T-073 T-074 filters and search choose what they say, in pages as in walks, with an exact total', async () => {
    const query = fc.record({ by: sorting, filters: fc.array(filter, { maxLength: 3 }), search });
    await fc.assert(
      fc.asyncProperty(things, fc.array(query, { minLength: 8, maxLength: 8 }), async (items, queries) => {
        await store(items);
        for (const { by, filters, search: words } of queries) {
          const wanted = items.filter(
            (item) => filters.every((f) => matches(item, f)) && words.every((word) => searchOf(item).includes(word)),
          );
          const expected = ordered(wanted, by.sort, by.order);
          const { ids, total } = await list({ ...by, filters, search: words, pageSize: 7, window: { page: 1 } });
          expect({ ids, total }).toEqual({ ids: expected.slice(0, 7), total: wanted.length });
          expect(await walk({ ...by, filters, search: words, pageSize: 7 })).toEqual(expected);
        }
      }),
      runs,
    );
  });

  describe('in a Space of 700', () => {
    const items = Array.from({ length: 700 }, (_, i): Thing => {
      const id = i + 1;
      return {
        id,
        name: id % 3 ? `Name ${id % 50}` : null,
        city: 'Oakland',
        state: null,
        price: id > 300 ? id % 7 : null,
        rooms: null,
        isNew: null,
        day: null,
        seenAt: null,
        remarks: null,
        createdAt: '2026-03-10T12:00:00.000Z',
        updatedAt: `2026-03-10T12:00:00.${String(id % 10)}00Z`,
      };
    });

    beforeAll(() => store(items));

    it.each(['id', 'name', 'price', 'day', 'updatedAt', 'city'])(
      'T-066 T-072 deep pages by %s are the whole order, too',
      async (sort) => {
        for (const order of ['asc', 'desc'] as const) {
          const expected = ordered(items, sort, order);
          for (const page of [1, 2, 3, 4, 5, 6, 7])
            expect((await list({ sort, order, pageSize: 100, window: { page } })).ids).toEqual(
              expected.slice((page - 1) * 100, page * 100),
            );
        }
      },
    );

    it('T-066 a page beyond the last one is empty and keeps its total', async () => {
      for (const sort of ['id', 'price', 'city'])
        for (const page of [8, 9, 1_000_000, Number.MAX_SAFE_INTEGER])
          expect(await list({ sort, pageSize: 100, window: { page } })).toMatchObject({
            ids: [],
            total: 700,
            next: null,
          });
    });
  });
});
