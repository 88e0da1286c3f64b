import fc from 'fast-check';
import { Client } from 'pg';
import { freshDatabase, type FreshDatabase } from '@keyturn/testing';
import {
  arrayLiteral,
  bigintArray,
  booleanArray,
  dateArray,
  doubleArray,
  textArray,
  timestampArray,
  uuidArray,
} from './pg-arrays';

/** Postgres reads the arrays back as what went in. */

let database: FreshDatabase;
let client: Client;

beforeAll(async () => {
  database = await freshDatabase();
  client = new Client({ connectionString: database.url, options: '-c timezone=UTC -c extra_float_digits=1' });
  await client.connect();
});

afterAll(async () => {
  await client.end();
  await database.drop();
});

async function readBack(type: string, array: Buffer, asText = 'v::text'): Promise<unknown[]> {
  const { rows } = await client.query<{ v: unknown }>(
    `select ${asText} as v from unnest($1::${type}[]) with ordinality as t (v, n) order by n`,
    [array],
  );
  return rows.map(({ v }) => v);
}

const lists = <T>(values: fc.Arbitrary<T>) => fc.array(fc.option(values, { nil: null }), { maxLength: 20 });
const runs = { numRuns: 60 };

it('whole numbers', async () => {
  await fc.assert(
    fc.asyncProperty(lists(fc.maxSafeInteger()), async (values) => {
      expect(await readBack('bigint', bigintArray(values))).toEqual(values.map((v) => (v === null ? null : String(v))));
    }),
    runs,
  );
  expect(await readBack('bigint', bigintArray(['999999999999999999', '-1']))).toEqual(['999999999999999999', '-1']);
});

it('numbers', async () => {
  const finite = fc.double({ noNaN: true, noDefaultInfinity: true }).map((v) => (v === 0 ? 0 : v));
  await fc.assert(
    fc.asyncProperty(lists(finite), async (values) => {
      expect(await readBack('double precision', doubleArray(values), 'v')).toEqual(values);
    }),
    runs,
  );
});

it('texts, and lists of texts', async () => {
  const text = fc.string({ unit: 'binary' }).map((v) => v.replaceAll('\0', ''));
  await fc.assert(
    fc.asyncProperty(lists(text), async (values) => {
      expect(await readBack('text', textArray(values))).toEqual(values);
    }),
    runs,
  );
  await fc.assert(
    fc.asyncProperty(fc.array(text), async (items) => {
      expect(await readBack('text', textArray([arrayLiteral(items)]), 'to_json(v::text[])')).toEqual([items]);
    }),
    runs,
  );
});

it('days and moments, from the first year to the last', async () => {
  const moment = fc
    .date({ min: new Date('0001-01-01T00:00:00.000Z'), max: new Date('9999-12-31T23:59:59.999Z'), noInvalidDate: true })
    .map((date) => date.toISOString());
  await fc.assert(
    fc.asyncProperty(lists(moment), async (values) => {
      const text = `to_char(v at time zone 'utc', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')`;
      expect(await readBack('timestamptz', timestampArray(values), text)).toEqual(
        values.map((v) => (v === null ? null : v.replace('Z', '000Z'))),
      );
      const days = values.map((v) => v && v.slice(0, 10));
      expect(await readBack('date', dateArray(days))).toEqual(days);
    }),
    runs,
  );
});

it('truth values and digests', async () => {
  expect(await readBack('boolean', booleanArray([true, null, false]), 'v')).toEqual([true, null, false]);
  const digest = '0123456789abcdef0123456789abcdef';
  expect(await readBack('uuid', uuidArray([digest]), `encode(uuid_send(v), 'hex')`)).toEqual([digest]);
});
