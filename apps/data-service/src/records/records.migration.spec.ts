import { DataSource } from 'typeorm';
import { freshDatabase, type FreshDatabase } from '@keyturn/testing';
import { Log } from '@keyturn/platform/logs';
import { runMigrations } from '@keyturn/platform/database';
import { snakeCase } from '@keyturn/contracts';
import { migrations } from '../migrations';
import { recordSchemas } from './record-schema';
import { hasSortColumn, recordTables, sortColumnName } from './record-table';

let database: FreshDatabase;
let source: DataSource;

beforeAll(async () => {
  database = await freshDatabase();
  const log = Log.create('test', 'silent');
  await runMigrations({ url: database.url, schema: 'data', migrations, log });
  source = new DataSource({ type: 'postgres', url: database.url, entities: recordTables.flatMap(recordSchemas) });
  await source.initialize();
});

afterAll(async () => {
  await source?.destroy();
  await database?.drop();
});

const tables = recordTables.flatMap(recordSchemas).map(({ options }) => `data."${options.name}"`);

it.each(tables)('%s has the columns of its definition', async (table) => {
  const metadata = source.getMetadata(table.replace(/^data\."(.*)"$/, '$1'));
  const defined = metadata.columns.map((column) => ({
    name: column.databaseName,
    type: source.driver.normalizeType(column) + (column.isArray ? '[]' : ''),
    precision: column.precision ?? null,
    nullable: column.isNullable,
    collation: column.collation ?? null,
    key: column.isPrimary,
  }));
  const migrated = await source.query(
    `select a.attname as name,
            regexp_replace(format_type(a.atttypid, a.atttypmod), '\\(\\d+\\)', '') as type,
            (substring(format_type(a.atttypid, a.atttypmod) from '\\((\\d+)\\)'))::int as precision,
            not a.attnotnull as nullable,
            nullif(c.collname, 'default') as collation,
            coalesce(a.attnum = any(i.indkey::int2[]), false) as key
       from pg_attribute a
       left join pg_collation c on c.oid = a.attcollation
       left join pg_index i on i.indrelid = a.attrelid and i.indisprimary
      where a.attrelid = $1::regclass and a.attnum > 0 and not a.attisdropped
      order by a.attnum`,
    [table],
  );
  expect(byName(defined)).toEqual(byName(migrated));
});

describe.each(recordTables)('table $qualified', (table) => {
  it('leaves to Postgres exactly what the definition does not store', async () => {
    const computed: { name: string }[] = await source.query(
      `select attname as name from pg_attribute where attrelid = $1::regclass and attgenerated = 's'`,
      [table.qualified],
    );
    expect(computed.map((column) => column.name).sort()).toEqual(
      table.columns
        .filter((column) => !column.value)
        .map((column) => column.name)
        .sort(),
    );
  });

  it('has an index for each sort that is promised one, also for its views', async () => {
    const indexes: { definition: string }[] = await source.query(
      `select pg_get_indexdef(indexrelid) as definition from pg_index where indrelid = $1::regclass`,
      [table.qualified],
    );
    const found = indexes.map(({ definition }) => definition.replace(/^.* USING /, ''));
    const filters = ['', ...table.resource.views.map((view) => ` WHERE (${view.field} = '${view.equals}'::text)`)];
    for (const [name, field] of Object.entries(table.resource.fields)) {
      if (!field.indexed) continue;
      const key = hasSortColumn(field) ? sortColumnName(name) : snakeCase(name);
      const columns = name === 'id' ? 'space_id, id' : `space_id, ${key}, id`;
      for (const filter of filters) expect(found).toContain(`btree (${columns})${filter}`);
    }
  });
});

it.each(recordTables)('$searchTable has an index for words within its text', async ({ searchTable }) => {
  const indexes: { definition: string }[] = await source.query(
    `select pg_get_indexdef(indexrelid) as definition from pg_index where indrelid = $1::regclass`,
    [searchTable],
  );
  expect(indexes.map(({ definition }) => definition.replace(/^.* USING /, ''))).toEqual(
    expect.arrayContaining([
      'btree (space_id, id)',
      expect.stringContaining('gin (space_id, search_text gin_trgm_ops)') as string,
    ]),
  );
});

it('a file has one stored pair behind fileType, listingStatus and status (CONTRACT §2.3)', async () => {
  await source.query(
    `insert into data.file (space_id, id, transaction_type, loop_status, created_at, updated_at)
     values (1, 1, 'LISTING_FOR_LEASE', 'LEASED', now(), now()), (1, 2, null, null, now(), now())`,
  );
  expect(await source.query(`select file_type, listing_status, status from data.file order by id`)).toEqual([
    { file_type: 'lease_listing', listing_status: 'leased', status: 'closed' },
    { file_type: null, listing_status: null, status: 'active' },
  ]);
});

function byName<T extends { name: string }>(columns: T[]): T[] {
  return [...columns].sort((a, b) => (a.name < b.name ? -1 : 1));
}
