import {
  ApiError,
  contactResource,
  deliveryList,
  fileResource,
  userResource,
  webhookList,
  type ListDefinition,
  type ListQuery,
} from '@keyturn/contracts';
import { CursorCodec } from './cursor';
import { parseDetailQuery, parseListQuery } from './parse';

const cursors = new CursorCodec('a key of at least thirty-two characters');
const scope = ['spc_1', 'files'];

function parse(query: string | [string, string][], definition: ListDefinition = fileResource): ListQuery {
  const parameters = typeof query === 'string' ? new URLSearchParams(query) : query;
  return parseListQuery(definition, parameters, { cursors, scope });
}

function refusal(query: string | [string, string][], definition?: ListDefinition): { field?: string; message: string } {
  try {
    parse(query, definition);
  } catch (error) {
    if (!(error instanceof ApiError) || error.code !== 'VALIDATION_ERROR') throw error;
    return { field: error.options.field ?? '', message: error.message };
  }
  throw new Error(`was not refused: ${String(query).slice(0, 200)}`);
}

describe('paging', () => {
  it('T-066 T-067 T-070 T-071 has defaults', () => {
    expect(parse('')).toEqual({
      filters: [],
      search: [],
      sort: 'id',
      order: 'asc',
      pageSize: 25,
      window: { page: 1 },
      fields: null,
    });
  });

  it('T-067 X7 a page beyond 100 rows is cut to 100', () => {
    expect(parse('page=7&pageSize=5000')).toMatchObject({ pageSize: 100, window: { page: 7 } });
    expect(parse('pageSize=1').pageSize).toBe(1);
  });

  it.each(['0', '-1', '1.5', 'abc', '', '1e3', '0x10', ' 1', '+1', '9'.repeat(30), '1\0'])(
    'T-066 T-067 page and pageSize are whole numbers from 1, not %j',
    (value) => {
      expect(refusal([['page', value]]).field).toBe('page');
      expect(refusal([['pageSize', value]]).field).toBe('pageSize');
    },
  );

  it.each(['page', 'pageSize', 'sort', 'order', 'search', 'cursor', 'fields'])('%s may be given once', (name) => {
    const value = { sort: 'id', order: 'asc', search: 'a', cursor: '', fields: 'id' }[name] ?? '1';
    expect(refusal(`${name}=${value}&${name}=${value}`).field).toBe(name);
  });

  it('page and cursor exclude each other', () => {
    expect(refusal('page=1&cursor=').field).toBe('page');
  });
});

describe('sort', () => {
  it('T-070 takes names in camelCase and snake_case', () => {
    expect(parse('sort=closingDate')).toMatchObject({ sort: 'closingDate', order: 'asc' });
    expect(parse('sort=closing_date&order=DESC')).toMatchObject({ sort: 'closingDate', order: 'desc' });
  });

  it('T-070 an unknown column is refused with the nearest and the allowed ones', () => {
    const { field, message } = refusal('sort=closngDate');
    expect(field).toBe('sort');
    expect(message).toContain('Did you mean closingDate?');
    expect(message).toContain('propertyAddress');
  });

  it.each(['', 'remarks', 'tags', '__proto__', 'constructor', 'id;drop table', '-id', 'spaceId'])(
    'T-070 %j is no sortable column',
    (name) => expect(refusal([['sort', name]]).field).toBe('sort'),
  );

  it('T-071 order is asc or desc', () => {
    for (const order of ['up', '', 'ascending']) expect(refusal([['order', order]]).field).toBe('order');
  });

  it('T-092 a list may begin with its newest', () => {
    expect(parse('', deliveryList)).toMatchObject({ sort: 'id', order: 'desc' });
    expect(parse('order=asc', deliveryList)).toMatchObject({ sort: 'id', order: 'asc' });
    expect(parse('sort=createdAt', deliveryList)).toMatchObject({ sort: 'createdAt', order: 'asc' });
  });
});

describe('filters', () => {
  const filter = (query: string, definition?: ListDefinition) => parse(query, definition).filters;

  it('T-074 T-075 a column is compared with its value in its own type', () => {
    expect(filter('status=active&agentId=7&listPrice=450000.5&closing_date=2026-03-10')).toEqual([
      { field: 'status', operator: 'eq', values: ['active'] },
      { field: 'agentId', operator: 'eq', values: [7] },
      { field: 'listPrice', operator: 'eq', values: [450000.5] },
      { field: 'closingDate', operator: 'eq', values: ['2026-03-10'] },
    ]);
    expect(filter('isActive=false', contactResource)).toEqual([{ field: 'isActive', operator: 'eq', values: [false] }]);
  });

  it('T-074 a repeated parameter is one or the other, in either spelling of its name', () => {
    expect(filter('zipCode=98101&zip_code=98102&zipCode[eq]=98103&zipCode=98101')).toEqual([
      { field: 'zipCode', operator: 'eq', values: ['98101', '98102', '98103'] },
    ]);
  });

  it('operators stand in brackets; in splits on commas', () => {
    expect(filter('closingDate[gte]=2026-01-01&closingDate[lt]=2026-02-01&city[in]=Oakland,,Berkeley')).toEqual([
      { field: 'closingDate', operator: 'gte', values: ['2026-01-01'] },
      { field: 'closingDate', operator: 'lt', values: ['2026-02-01'] },
      { field: 'city', operator: 'in', values: ['Oakland', '', 'Berkeley'] },
    ]);
    expect(filter('closingDate[null]=true&city[contains]=50%25')).toEqual([
      { field: 'closingDate', operator: 'null', values: [true] },
      { field: 'city', operator: 'contains', values: ['50%'] },
    ]);
  });

  it('an empty value is the empty string', () => {
    expect(filter('city=')).toEqual([{ field: 'city', operator: 'eq', values: [''] }]);
  });

  it('moments come in any offset, also with the + that a query string turns into a space; a plain day stays a day', () => {
    const values = (query: string) => filter(query)[0]?.values;
    expect(values('updatedAt[gt]=2026-03-10T14:00:00%2B02:00')).toEqual(['2026-03-10T12:00:00.000Z']);
    expect(values('updatedAt[gt]=2026-03-10T14:00:00+02:00')).toEqual(['2026-03-10T12:00:00.000Z']);
    expect(values('updatedAt[gt]=2026-03-10T12:00:00Z')).toEqual(['2026-03-10T12:00:00.000Z']);
    expect(values('updatedAt=2026-03-10')).toEqual(['2026-03-10']);
  });

  it('T-083 an id with a prefix is filtered as it is shown', () => {
    expect(filter('id=wh_42', webhookList)).toEqual([{ field: 'id', operator: 'eq', values: [42] }]);
    for (const id of ['42', 'wh_', 'wh_042', 'dlv_42', 'wh_0'])
      expect(refusal(`id=${id}`, webhookList).field).toBe('id');
  });

  it.each([
    ['id', 'abc'],
    ['id', '0'],
    ['id', '-5'],
    ['id', '1'.repeat(30)],
    ['agentId', '1.5'],
    ['agentId', '1e3'],
    ['agentId', '0x1F'],
    ['agentId', ''],
    ['agentId', '007'],
    ['listPrice', 'NaN'],
    ['listPrice', 'Infinity'],
    ['listPrice', '1e400'],
    ['listPrice', '0x10'],
    ['listPrice', '1_000'],
    ['listPrice', '1,5'],
    ['closingDate', '2026-02-30'],
    ['closingDate', '2026-03-10T00:00:00Z'],
    ['closingDate', '10/03/2026'],
    ['updatedAt', '2026-03-10T12:00:00'],
    ['updatedAt', 'yesterday'],
    ['listingStatus', 'Active'],
    ['status', 'unknown'],
    ['city', 'a\0b'],
    ['city', 'a\ud800'],
    ['closingDate[null]', 'yes'],
    ['agentId[in]', '1,,2'],
    ['closingDate[]', '2026-01-01'],
    ['closingDate[between]', '2026-01-01'],
    ['listPrice[contains]', '5'],
    ['listingStatus[contains]', 'act'],
    ['status[gt]', 'active'],
  ])('T-074 refuses %s=%j and names the column', (name, value) => {
    expect(refusal([[name, value]]).field).toBe(name.replace(/\[.*/, ''));
  });

  it('T-074 a boolean is true or false', () => {
    expect(refusal('isActive=maybe', contactResource)).toEqual({
      field: 'isActive',
      message: 'isActive must be true or false',
    });
  });

  it('an operator that a column does not know is refused with those it knows', () => {
    expect(refusal('listPrice[contains]=5').message).toMatch(/"contains".*eq, ne, gt, gte, lt, lte, in, null$/);
  });

  it('T-031 T-074 an unknown parameter is refused with the nearest and the allowed ones', () => {
    const { field, message } = refusal('listingstatus=active');
    expect(field).toBe('listingstatus');
    expect(message).toContain('Did you mean listingStatus?');
    expect(message).toContain('closingDate');
    expect(refusal('page_size=5').message).toContain('Did you mean pageSize?');
    expect(refusal('spaceId=spc_2').field).toBe('spaceId');
  });

  it.each([
    '__proto__',
    'constructor',
    'toString',
    'hasOwnProperty',
    '',
    '[gte]',
    'city[eq][eq]',
    'city]',
    'remarks',
    'loopStatus',
  ])('T-074 %j is no column', (name) => expect(refusal([[name, 'x']]).message).toMatch(/^Unknown parameter/));

  it('T-035 a sensitive column is as unknown as one that does not exist', () => {
    const like = (query: string) => refusal(query, userResource).message;
    for (const name of ['passwordHash', 'password_hash']) {
      expect(like(`${name}=x`)).toBe(like('passwordHxsh=x').replace('passwordHxsh', name));
      expect(like(`sort=${name}`)).toContain('sort names no sortable column');
      expect(like(`fields=${name}`)).toContain('fields names no field');
    }
    expect(like('passwordHas=x')).not.toContain('passwordHash');
  });

  it('a hostile name is repeated short and without control characters', () => {
    const { message } = refusal([[`evil\r\nX: y\0\ud800${'x'.repeat(100_000)}`, 'x']]);
    expect(message).toContain('"evil??X: y??xxx');
    expect(message.length).toBeLessThan(2_000);
  });

  it('parameters and values are bounded', () => {
    expect(refusal(Array.from({ length: 201 }, (_, i): [string, string] => ['agentId', String(i)])).field).toBe(
      'query',
    );
    expect(refusal(`agentId[in]=${Array.from({ length: 501 }, (_, i) => i).join(',')}`).field).toBe('agentId');
  });
});

describe('search', () => {
  it('T-073 is a set of folded words; empty is no search', () => {
    expect(parse('search=Main%20%20STRASSE+main').search).toEqual(['main', 'strasse']);
    expect(parse('search=').search).toEqual([]);
    expect(parse('search=%25_%5C%27').search).toEqual(["%_\\'"]);
  });

  it.each(['a\0', '\ud800', 'x'.repeat(501), Array.from({ length: 21 }, (_, i) => i).join(' ')])(
    'T-073 refuses what cannot be searched',
    (search) => expect(refusal([['search', search]]).field).toBe('search'),
  );
});

describe('fields', () => {
  it('come in the order of the rows, in either spelling, each once', () => {
    expect(parse('fields=property_address,id,propertyAddress').fields).toEqual(['id', 'propertyAddress']);
    expect(parse('fields=tags,id', contactResource).fields).toEqual(['id', 'tags']);
  });

  it.each(['', 'id,', 'nope', 'id,__proto__', 'spaceId'])('refuses %j', (fields) => {
    expect(refusal([['fields', fields]]).field).toBe('fields');
  });

  it('are all that a detail takes', () => {
    expect(parseDetailQuery(fileResource, new URLSearchParams('fields=id'))).toEqual({ fields: ['id'] });
    expect(parseDetailQuery(fileResource, [])).toEqual({ fields: null });
    for (const query of ['page=1', 'city=x', 'fields=id&fields=id', 'fields=nope'])
      expect(() => parseDetailQuery(fileResource, new URLSearchParams(query))).toThrow(ApiError);
  });
});
