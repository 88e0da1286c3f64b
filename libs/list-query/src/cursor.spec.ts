import fc from 'fast-check';
import { ApiError, fileResource, type ListQuery } from '@keyturn/contracts';
import { CursorCodec } from './cursor';
import { parseListQuery } from './parse';

const cursors = new CursorCodec('a key of at least thirty-two characters');
const scope = ['spc_1', 'files'];
const walkOf = (query: string, of = scope): ListQuery =>
  parseListQuery(fileResource, new URLSearchParams(query), { cursors, scope: of });

const walk = walkOf('cursor=&sort=closingDate&city=Oakland&city=Berkeley&search=main+st');
const position = { value: '2026-03-10', id: 42 };
const cursor = cursors.encode(scope, walk, position);

const refused = (decode: () => unknown) => {
  try {
    decode();
  } catch (error) {
    return error instanceof ApiError && error.code === 'VALIDATION_ERROR' && error.options.field === 'cursor';
  }
  return false;
};

it('T-069 an empty cursor begins a walk', () => {
  expect(walk.window).toEqual({ after: null });
});

it('T-072 a cursor leads back to where the walk stood', () => {
  fc.assert(
    fc.property(
      fc.oneof(
        fc.string({ unit: 'grapheme' }),
        fc.double({ noNaN: true, noDefaultInfinity: true }),
        fc.boolean(),
        fc.constant(null),
      ),
      fc.integer({ min: 1, max: Number.MAX_SAFE_INTEGER }),
      (value, id) => {
        const there = { value: Object.is(value, -0) ? 0 : value, id };
        expect(cursors.decode(scope, walk, cursors.encode(scope, walk, there))).toEqual(there);
      },
    ),
    { seed: 7 },
  );
});

it('a cursor may change page size, fields and the order of its parameters on the way', () => {
  const same = walkOf(
    `search=st+main&city=Berkeley&sort=closing_date&city=Oakland&pageSize=3&fields=id&cursor=${cursor}`,
  );
  expect(same.window).toEqual({ after: position });
});

it.each([
  'cursor=X&sort=closingDate&city=Oakland&search=main+st',
  'cursor=X&sort=closingDate&city=Oakland&city=Berkeley&search=main',
  'cursor=X&sort=closingDate&order=desc&city=Oakland&city=Berkeley&search=main+st',
  'cursor=X&sort=listingDate&city=Oakland&city=Berkeley&search=main+st',
  'cursor=X&sort=closingDate&city[ne]=Oakland&city[ne]=Berkeley&search=main+st',
  'cursor=X&sort=closingDate&city=Oakland&city=Berkeley&search=main+st&status=active',
])('a cursor holds only for its own filter, search, sort and order: %s', (query) => {
  expect(refused(() => walkOf(query.replace('X', cursor)))).toBe(true);
});

it('T-031 a cursor of another Space or collection is refused', () => {
  const query = `cursor=${cursor}&sort=closingDate&city=Oakland&city=Berkeley&search=main+st`;
  expect(walkOf(query).window).toEqual({ after: position });
  expect(refused(() => walkOf(query, ['spc_2', 'files']))).toBe(true);
  expect(refused(() => walkOf(query, ['spc_1', 'contacts']))).toBe(true);
});

it('a cursor of another key is refused', () => {
  const other = new CursorCodec('another key of thirty-two characters');
  expect(refused(() => other.decode(scope, walk, cursor))).toBe(true);
});

it('a changed cursor is refused, whatever was changed', () => {
  fc.assert(
    fc.property(fc.nat(cursor.length - 1), fc.constantFrom(...'ABab09-_=.+/ \0é'), (at, letter) => {
      const changed = cursor.slice(0, at) + letter + cursor.slice(at + 1);
      expect(changed === cursor || refused(() => cursors.decode(scope, walk, changed))).toBe(true);
    }),
    { seed: 7, numRuns: 500 },
  );
  for (const changed of [`${cursor}=`, `${cursor}A`, cursor.slice(1), 'null', 'A'.repeat(100_000)])
    expect(refused(() => cursors.decode(scope, walk, changed))).toBe(true);
});
