import { collections, eventNames, resources, visibleFields } from '@keyturn/contracts';
import type { Answer, Door, Row } from './door';
import { startSystem, type TestSystem } from '@keyturn/testing';
import { TestSpace } from './space';

/** The Space API's reads through the public door: CONTRACT T-060 … T-078. */

const street = ['Alder', 'birch', 'Cedar', 'Zoë', '_under', '50%', "O'Hara", 'back\\slash'];

const files = Array.from({ length: 142 }, (_, i) => ({
  id: i + 1,
  name: `File ${i + 1}`,
  propertyAddress: i % 10 === 9 ? null : `${100 + i} ${street[i % street.length]} St, Seattle, WA 98101`,
  city: ['Seattle', 'Tacoma', 'Spokane'][i % 3],
  listingStatus: ['active', 'under_contract', 'sold', 'archived', null][i % 5],
  fileType: ['purchase', 'listing', 'lease', null][i % 4],
  listPrice: i % 7 === 0 ? null : 100_000 + (i % 20) * 12_500.5,
  closingDate: i % 6 === 0 ? null : `2026-0${1 + (i % 9)}-1${i % 10}`,
  yearBuilt: 1950 + (i % 50),
  mlsNumber: `MLS${1000 + i}`,
  createdAt: new Date(Date.UTC(2026, 0, 1 + (i % 28), i % 24)).toISOString(),
}));

const contacts = [
  {
    id: 1,
    firstName: 'Ann',
    lastName: 'Smith',
    phone: '(206) 555-1234',
    email: 'ann@example.com',
    tags: ['vip', 'buyer'],
  },
  { id: 2, firstName: 'Bob', lastName: 'smithers', mobilePhone: '+1 206-555-9999', email: 'bob@example.com' },
  { id: 3, firstName: 'Cy', lastName: 'Jones', officePhone: '206.555.7777 x9', company: 'Smith & Co' },
  { id: 4, firstName: 'Dee', lastName: 'Doe', homePhone: '2065551234', updatedAt: '2026-06-01T00:00:00.000Z' },
  { id: 5, firstName: 'Éva', lastName: 'Öst', phone: '555-1234' },
];

// A whole system starts first, on whatever machine this is.
jest.setTimeout(60_000);

describe('reads', () => {
  let system: TestSystem;
  let space: TestSpace;
  let other: TestSpace;
  let door: Door;

  beforeAll(async () => {
    system = await startSystem();
    space = await TestSpace.make(system);
    other = await TestSpace.make(system);
    door = space.door;
    await space.publish([
      ...files.map((data) => ({ type: 'file.created', data })),
      ...contacts.map((data) => ({ type: 'contact.created', time: '2026-03-01T00:00:00.000Z', data })),
      { type: 'user.created', data: { id: 1, firstName: 'Al', role: 'agent', passwordHash: '$argon2$hush' } },
      { type: 'user.created', data: { id: 2, firstName: 'Bo', role: 'coordinator', passwordHash: '$argon2$hush2' } },
      { type: 'task.created', data: { id: 1, title: 'Call the lender', fileId: 1, status: 'open', completed: false } },
      {
        type: 'calendar_item.created',
        data: { id: 1, title: 'Closing', fileId: 1, startAt: '2026-03-01T17:30:00+02:00' },
      },
      { type: 'contingency.created', data: { id: 1, name: 'Financing', status: 'active', dueDate: '2026-04-01' } },
      { type: 'contingency.created', data: { id: 2, name: 'Inspection', status: 'waived' } },
      { type: 'note.created', data: { id: 1, subject: 'Keys', body: 'Under the mat', isPinned: true } },
    ]);
    await other.publish([
      {
        type: 'file.created',
        data: { id: 1, name: 'Of the other Space', propertyAddress: 'Elsewhere', city: 'Seattle' },
      },
      { type: 'contact.created', data: { id: 99, lastName: 'Smith', phone: '4255550000' } },
    ]);
  });

  afterAll(() => system.stop());

  const ids = async (path: string) => (await door.rows(path)).map((row) => row.id);
  const expectInvalid = async (path: string, named: string) => {
    const answer = await door.get(path);
    expect([path, answer.status, answer.json.error?.code]).toEqual([path, 400, 'VALIDATION_ERROR']);
    expect(answer.json.error.message).toContain(named);
  };

  describe('collections', () => {
    it('T-060 each has a list and a detail with the same row', async () => {
      for (const collection of [
        'files',
        'contacts',
        'users',
        'agents',
        'tasks',
        'calendar-items',
        'contingencies',
        'notes',
      ]) {
        const [row] = await door.rows(`/api/v1/${collection}`);
        const detail = await door.get(`/api/v1/${collection}/${row?.id}`);
        expect([collection, detail.status, detail.json.data]).toEqual([collection, 200, row]);
      }
    });

    it('T-060 calendar items answer under both spellings, and agents are the users whose role is agent', async () => {
      expect((await door.get('/api/v1/calendar_items')).text).toBe((await door.get('/api/v1/calendar-items')).text);
      const agents = await door.page('/api/v1/agents');
      expect(agents.rows.map((row) => row['role'])).toEqual(['agent']);
      expect(agents.pagination.total).toBe(1);
      expect((await door.get('/api/v1/agents/2')).status).toBe(404);
    });

    it('T-061 a file row has every documented field, with an integer id', async () => {
      const [row] = await door.rows('/api/v1/files?pageSize=1');
      expect(Number.isInteger(row?.id)).toBe(true);
      const { resource } = collections.get('files') ?? { resource: undefined };
      expect(Object.keys(row as Row)).toEqual(visibleFields(resource as never).map(([name]) => name));
    });

    it('T-062 a detail is the list row in an object; an id that is no number or too long is not found', async () => {
      const { json } = await door.get('/api/v1/files/12');
      expect(Object.keys(json)).toEqual(['success', 'data']);
      expect(json.data).toMatchObject({ id: 12, name: 'File 12' });
      for (const id of ['abc', '1.5', '-1', '0', '1e3', '9'.repeat(30), '9007199254740993', '%00', '１２'])
        expect([id, (await door.get(`/api/v1/files/${encodeURI(id)}`)).status]).toEqual([id, 404]);
    });

    it('T-077 T-030 a record that is not there, was deleted or is of another Space is the same 404', async () => {
      await space.publish([
        { type: 'note.created', data: { id: 500, subject: 'gone soon' } },
        { type: 'note.deleted', data: { id: 500 } },
      ]);
      const missing = await door.get('/api/v1/contacts/98');
      const foreign = await door.get('/api/v1/contacts/99');
      const deleted = await door.get('/api/v1/notes/500');
      for (const answer of [missing, foreign, deleted]) {
        expect(answer.status).toBe(404);
        expect(answer.json).toEqual(missing.json);
      }
      expect(missing.json.error.code).toBe('NOT_FOUND');
    });

    it('T-006 T-007 moments are ISO UTC with milliseconds, days plain, names camelCase', async () => {
      const [item] = await door.rows('/api/v1/calendar-items');
      expect(item?.['startAt']).toBe('2026-03-01T15:30:00.000Z');
      const [contingency] = await door.rows('/api/v1/contingencies');
      expect(contingency?.['dueDate']).toBe('2026-04-01');
      for (const name of Object.keys(contingency as Row)) expect(name).toMatch(/^[a-z][a-zA-Z0-9]*$/);
    });

    it('T-034 no reply of any collection shows a sensitive field', async () => {
      for (const name of collections.keys()) {
        const { text } = await door.get(`/api/v1/${name}`);
        expect(text).not.toMatch(/passwordHash|argon2|space_?id|search_?text/i);
      }
      expect((await door.get('/api/v1/users/1')).text).not.toContain('argon2');
    });
  });

  describe('pages', () => {
    it('T-066 T-067 T-068 T-069 default to 25 rows of page 1 with exactly four keys of pagination', async () => {
      const { rows, pagination } = await door.page('/api/v1/files');
      expect(rows).toHaveLength(25);
      expect(Object.entries(pagination)).toEqual([
        ['page', 1],
        ['pageSize', 25],
        ['total', 142],
        ['totalPages', 6],
      ]);
      for (const name of collections.keys())
        expect(Object.keys((await door.page(`/api/v1/${name}`)).pagination)).toHaveLength(4);
    });

    it('T-066 beyond the last page is empty and echoes the page', async () => {
      const { rows, pagination } = await door.page('/api/v1/files?page=7');
      expect(rows).toEqual([]);
      expect(pagination).toEqual({ page: 7, pageSize: 25, total: 142, totalPages: 6 });
    });

    it('T-067 more than 100 is 100, and says so', async () => {
      const { rows, pagination } = await door.page('/api/v1/files?pageSize=1000');
      expect(rows).toHaveLength(100);
      expect(pagination).toEqual({ page: 1, pageSize: 100, total: 142, totalPages: 2 });
    });

    it('T-068 nothing found is zero pages', async () => {
      const { pagination } = await door.page('/api/v1/files?city=Nowhere');
      expect(pagination).toEqual({ page: 1, pageSize: 25, total: 0, totalPages: 0 });
    });

    it.each(['page=0', 'page=-1', 'page=1.5', 'page=x', 'page=', 'page=1&page=2', `page=${'9'.repeat(30)}`])(
      'T-066 %s is refused',
      (query) => expectInvalid(`/api/v1/files?${query}`, 'page'),
    );

    it.each(['pageSize=0', 'pageSize=-5', 'pageSize=ten', 'pageSize=2.5'])('T-067 %s is refused', (query) =>
      expectInvalid(`/api/v1/files?${query}`, 'pageSize'),
    );
  });

  describe('order', () => {
    it('T-070 T-071 is by id ascending unless told', async () => {
      expect(await ids('/api/v1/files?pageSize=100')).toEqual(Array.from({ length: 100 }, (_, i) => i + 1));
      expect(await ids('/api/v1/files?order=DESC&pageSize=3')).toEqual([142, 141, 140]);
    });

    it('T-070 accepts the snake_case alias', async () => {
      const camel = await ids('/api/v1/files?sort=listPrice');
      expect(await ids('/api/v1/files?sort=list_price')).toEqual(camel);
    });

    it('T-071 T-072 puts nulls last both ways, folds case, and shows each row once over all pages', async () => {
      for (const sort of [
        'propertyAddress',
        'closingDate',
        'listPrice',
        'city',
        'yearBuilt',
        'listingStatus',
        'updatedAt',
      ])
        for (const order of ['asc', 'desc'] as const) {
          const seen: Row[] = [];
          for (let page = 1; page <= 6; page++)
            seen.push(...(await door.rows(`/api/v1/files?sort=${sort}&order=${order}&page=${page}`)));
          expect(new Set(seen.map((row) => row.id)).size).toBe(142);
          expect(seen.map((row) => row.id)).toEqual([...seen].sort(byField(sort, order)).map((row) => row.id));
        }
    });

    it.each([
      'sort=nonsense',
      'sort=passwordHash',
      'sort=remarks',
      'sort=id;drop',
      'sort=__proto__',
      'sort=constructor',
    ])('T-070 %s is refused', (query) => expectInvalid(`/api/v1/files?${query}`, 'sort'));

    it('T-071 another order is refused', () => expectInvalid('/api/v1/files?order=up', 'order'));
  });

  describe('search', () => {
    it('T-063 finds contacts by name, whatever the case', async () => {
      expect(await ids('/api/v1/contacts?search=Smith')).toEqual([1, 2, 3]);
      expect(await ids('/api/v1/contacts?search=sMITHERS')).toEqual([2]);
      expect(await ids('/api/v1/contacts?search=%C3%B6st')).toEqual([5]);
    });

    it('T-073 joins several words by AND, each in any text column', async () => {
      expect(await ids('/api/v1/contacts?search=smith+ann')).toEqual([1]);
      expect(await ids('/api/v1/contacts?search=smith%20%20jones')).toEqual([3]);
      expect(await ids('/api/v1/contacts?search=smith%20nobody')).toEqual([]);
    });

    it('T-073 takes % _ \\ and quotes as they are', async () => {
      const found = async (word: string) =>
        (await door.page(`/api/v1/files?pageSize=100&search=${encodeURIComponent(word)}`)).pagination.total;
      const expected = (word: string) =>
        files.filter((file) => file.propertyAddress?.toLowerCase().includes(word.toLowerCase())).length;
      for (const word of ['50%', '_under', "o'hara", 'back\\slash', 'zoë'])
        expect([word, await found(word)]).toEqual([word, expected(word)]);
    });

    it('T-073 of nothing is no filter, of one letter works, and combines with filters, sort and paging', async () => {
      expect((await door.page('/api/v1/files?search=')).pagination.total).toBe(142);
      expect((await door.page('/api/v1/contacts?search=y')).pagination.total).toBe(1);
      const { rows, pagination } = await door.page(
        '/api/v1/files?search=birch&city=Tacoma&sort=id&order=desc&pageSize=2&page=2',
      );
      const expected = files
        .filter((f) => f.propertyAddress?.includes('birch') && f.city === 'Tacoma')
        .map((f) => f.id);
      expect(pagination.total).toBe(expected.length);
      expect(rows.map((row) => row.id)).toEqual(expected.reverse().slice(2, 4));
    });

    it('T-065 finds a phone number by its digits', async () => {
      expect(await ids('/api/v1/contacts?search=2065551234')).toEqual([1, 4]);
    });

    it('T-029 never looks into another Space', async () => {
      expect(await ids('/api/v1/files?search=Elsewhere')).toEqual([]);
      expect((await other.door.page('/api/v1/files')).pagination.total).toBe(1);
    });
  });

  describe('filters', () => {
    it('T-074 T-075 T-078 compare any column, several by AND, repeated ones by OR', async () => {
      const total = async (query: string) => (await door.page(`/api/v1/files?${query}`)).pagination.total;
      expect(await total('listingStatus=active')).toBe(files.filter((f) => f.listingStatus === 'active').length);
      expect(await total('listingStatus=active&city=Seattle')).toBe(
        files.filter((f) => f.listingStatus === 'active' && f.city === 'Seattle').length,
      );
      expect(await total('city=Seattle&city=Tacoma')).toBe(files.filter((f) => f.city !== 'Spokane').length);
      expect(await total('status=closed')).toBe(files.filter((f) => f.listingStatus === 'sold').length);
      expect(await total('mlsNumber=MLS1041')).toBe(1);
      expect(await total('transactionType=LEASE_OFFER')).toBe(files.filter((f) => f.fileType === 'lease').length);
      expect((await door.page('/api/v1/contingencies?status=active')).pagination.total).toBe(1);
      expect((await door.page('/api/v1/notes?isPinned=true')).pagination.total).toBe(1);
    });

    it('DESIGN §3 has the operators eq ne gt gte lt lte in contains null', async () => {
      const found = async (query: string) =>
        (await door.rows(`/api/v1/files?pageSize=100&${query}`)).map((row) => row.id);
      const where = (test: (file: (typeof files)[number]) => boolean) =>
        files
          .filter(test)
          .map((f) => f.id)
          .slice(0, 100);
      expect(await found('closingDate[gte]=2026-05-01&closingDate[lt]=2026-07-01')).toEqual(
        where((f) => f.closingDate !== null && f.closingDate >= '2026-05-01' && f.closingDate < '2026-07-01'),
      );
      expect(await found('listingStatus[ne]=active')).toEqual(where((f) => f.listingStatus !== 'active'));
      expect(await found('yearBuilt[in]=1950,1951')).toEqual(
        where((f) => f.yearBuilt === 1950 || f.yearBuilt === 1951),
      );
      expect(await found('propertyAddress[contains]=CEDAR')).toEqual(
        where((f) => !!f.propertyAddress?.includes('Cedar')),
      );
      expect(await found('listPrice[null]=true')).toEqual(where((f) => f.listPrice === null));
      expect(await found('listPrice[gt]=200000.25')).toEqual(
        where((f) => f.listPrice !== null && f.listPrice > 200000.25),
      );
      expect(await found('createdAt=2026-01-05')).toEqual(where((f) => f.createdAt.startsWith('2026-01-05')));
    });

    it.each<[string, string]>([
      ['nonsense=1', 'nonsense'],
      ['api_key=1', 'api_key'],
      ['spaceId=spc_1', 'spaceId'],
      ['__proto__=1', '__proto__'],
      ['id=abc', 'id'],
      ['yearBuilt=old', 'yearBuilt'],
      ['listPrice[contains]=5', 'listPrice'],
      ['city[like]=S', 'city'],
      ['listingStatus=ACTIVE', 'listingStatus'],
      ['closingDate=tomorrow', 'closingDate'],
      ['remarks=x', 'remarks'],
      ['page=1&cursor=', 'cursor'],
      ['city=%00', 'city'],
    ])('T-074 T-076 %s is refused and named', (query, named) => expectInvalid(`/api/v1/files?${query}`, named));

    it('T-035 T-031 a sensitive column behaves as one that is not there', async () => {
      const unknown = await door.get('/api/v1/users?sort=noSuchColumn');
      for (const query of ['sort=passwordHash', 'sort=password_hash']) {
        const answer = await door.get(`/api/v1/users?${query}`);
        expect(answer.status).toBe(400);
        expect(answer.json.error.message.replaceAll(/password_?hash/gi, 'noSuchColumn')).toBe(
          unknown.json.error.message,
        );
      }
      for (const query of ['passwordHash=x', 'passwordHash[null]=false', 'spaceId=1'])
        expect((await door.get(`/api/v1/users?${query}`)).status).toBe(400);
      expect(await ids('/api/v1/users?search=argon2')).toEqual([]);
    });

    it('T-074 a value of the wrong type of a boolean is refused', () =>
      door.get('/api/v1/notes?isPinned=maybe').then((answer) => expect(answer.status).toBe(400)));
  });

  describe('contacts/lookup', () => {
    const lookup = (phone: string) => door.get(`/api/v1/contacts/lookup?phone=${encodeURIComponent(phone)}`);

    it('T-064 T-065 finds a contact by any of its numbers, however written', async () => {
      for (const phone of ['2065559999', '+12065559999', '(206) 555-9999', '1-206-555-9999', '206.555.9999'])
        expect([phone, (await lookup(phone)).json.data]).toMatchObject([phone, { id: 2 }]);
      expect((await lookup('2065557777')).json.data).toMatchObject({ id: 3 });
    });

    it('T-064 takes the most recently updated of several', async () => {
      expect((await lookup('2065551234')).json.data).toMatchObject({ id: 4 });
    });

    it('T-064 T-065 answers 404 for nobody, also when only a part of the number matches', async () => {
      expect((await lookup('2065550000')).status).toBe(404);
      expect((await lookup('5559999')).status).toBe(404);
      expect((await lookup('4255550000')).status).toBe(404);
    });

    it('T-064 refuses a missing or short number', async () => {
      for (const path of [
        '/api/v1/contacts/lookup',
        '/api/v1/contacts/lookup?phone=',
        '/api/v1/contacts/lookup?phone=123456',
      ]) {
        const answer = await door.get(path);
        expect([answer.status, answer.json.error.code]).toEqual([400, 'VALIDATION_ERROR']);
      }
    });
  });

  describe('beyond the seed', () => {
    it('DESIGN §3 a cursor walk shows each row once and keeps its place while rows come and go', async () => {
      const seen: number[] = [];
      let cursor: string | null | undefined = '';
      let pages = 0;
      while (cursor !== null) {
        const answer: Answer = await door.get(
          `/api/v1/files?sort=listPrice&order=desc&pageSize=40&cursor=${encodeURIComponent(cursor as string)}`,
        );
        expect(answer.status).toBe(200);
        expect(Object.keys(answer.json.pagination)).toEqual(['pageSize', 'nextCursor', 'hasMore']);
        seen.push(...(answer.json.data as Row[]).map((row) => row.id));
        cursor = answer.json.pagination.nextCursor;
        expect(answer.json.pagination.hasMore).toBe(cursor !== null);
        expect(answer.headers.link?.includes('rel="next"') ?? false).toBe(cursor !== null);
        pages++;
      }
      expect(pages).toBe(4);
      expect(new Set(seen).size).toBe(142);
    });

    it('DESIGN §3 a cursor holds for its own list only', async () => {
      const { json } = await door.get('/api/v1/files?cursor=&pageSize=5');
      const cursor = json.pagination.nextCursor as string;
      const elsewhere = [
        `/api/v1/contacts?cursor=${cursor}`,
        `/api/v1/files?cursor=${cursor}&city=Tacoma`,
        `/api/v1/files?cursor=${cursor}&sort=city`,
        `/api/v1/files?cursor=${cursor.slice(0, -3)}AAA`,
        '/api/v1/files?cursor=eyJpZCI6MX0',
      ];
      for (const path of elsewhere) await expectInvalid(path, 'cursor');
      expect((await other.door.get(`/api/v1/files?cursor=${cursor}`)).status).toBe(400);
    });

    it('DESIGN §3 fields= makes sparse rows on lists, details and lookup', async () => {
      expect(await door.rows('/api/v1/files?fields=propertyAddress,id&pageSize=1')).toEqual([
        { id: 1, propertyAddress: files[0]?.propertyAddress },
      ]);
      expect((await door.get('/api/v1/files/2?fields=city')).json.data).toEqual({ city: 'Tacoma' });
      expect((await door.get('/api/v1/contacts/lookup?phone=2065559999&fields=id')).json.data).toEqual({ id: 2 });
      await expectInvalid('/api/v1/files?fields=passwordHash', 'fields');
    });

    it('DESIGN §3 an unchanged reply is 304, a long one is compressed for who asks', async () => {
      const first = await door.get('/api/v1/files');
      const etag = first.headers.etag as string;
      expect(etag).toMatch(/^W\/"/);
      const again = await door.get('/api/v1/files', { 'if-none-match': etag });
      expect([again.status, again.text]).toEqual([304, '']);
      const zipped = await door.get('/api/v1/files', { 'accept-encoding': 'gzip' });
      expect(zipped.headers['content-encoding']).toBe('gzip');
      expect(zipped.headers.vary?.toLowerCase()).toContain('accept-encoding');
      expect(zipped.bytes.length).toBeLessThan(first.bytes.length / 2);
      const short = await door.get('/api/v1/files/1?fields=id', { 'accept-encoding': 'gzip' });
      expect(short.headers['content-encoding']).toBeUndefined();
    });

    it('DESIGN §3 a page of 100 records of 95 kB arrives whole', async () => {
      const remarks = 'long '.repeat(18_500);
      const big = await TestSpace.make(system);
      await big.publish(
        Array.from({ length: 100 }, (_, i) => ({ type: 'file.created', data: { id: i + 1, remarks } })),
      );
      const rows = await big.door.rows('/api/v1/files?pageSize=100');
      expect(rows).toHaveLength(100);
      expect(rows.every((row) => row['remarks'] === remarks)).toBe(true);
    });
  });

  it('X1 every resource has its collection and its events', () => {
    for (const resource of resources) {
      expect(collections.get(resource.collection)?.resource).toBe(resource);
      expect(eventNames).toContain(`${resource.name}.created`);
    }
  });
});

/** The documented order: nulls last both ways, text by lower case and code point, ties by id in the same direction. */
function byField(field: string, order: 'asc' | 'desc') {
  const sign = order === 'asc' ? 1 : -1;
  const key = (row: Row) => {
    const value = row[field];
    return typeof value === 'string' ? value.toLowerCase() : (value as number | null);
  };
  return (a: Row, b: Row): number => {
    const [x, y] = [key(a), key(b)];
    if (x === null || y === null) {
      if (x === y) return sign * (a.id - b.id);
      return x === null ? 1 : -1;
    }
    if (x === y) return sign * (a.id - b.id);
    return x < y ? -sign : sign;
  };
}
