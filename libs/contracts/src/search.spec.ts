import type { AnyRecord } from './resource';
import { contactResource, userResource } from './resources';
import { foldCase, phoneKeys, searchText, searchWords } from './search';

const record = (fields: Record<string, string>): AnyRecord => ({
  id: 1,
  createdAt: '2026-03-10T12:00:00.000Z',
  updatedAt: '2026-03-10T12:00:00.000Z',
  ...fields,
});

it('T-073 search folds case, also where a letter has two lower cases or none of its own', () => {
  expect(foldCase('ΟΔΟΣ')).toBe(foldCase('οδος'));
  expect(foldCase('ΟΔΟΣ')).toBe(foldCase('οδοσ'));
  expect(foldCase('STRASSE')).toBe(foldCase('Straße'));
  expect(foldCase('Cafe\u0301')).toBe(foldCase('CAFÉ'));
});

it('T-073 a search is the set of its words', () => {
  expect(searchWords('  Main \u00a0St\tmain ')).toEqual(['main', 'st']);
  expect(searchWords(' ')).toEqual([]);
});

it('T-073 searched fields stand in the search text, telephone numbers also as digits', () => {
  const contact = record({ firstName: 'Ann', lastName: 'SMITH', phone: '(206) 555-1234', contactType: 'Lender' });
  expect(searchText(contactResource, contact)).toBe('ann\nsmith\n(206) 555-1234\n2065551234');
});

it('T-035 a sensitive field is never searched', () => {
  expect(searchText(userResource, record({ firstName: 'Ann', passwordHash: 'secret' }))).toBe('ann');
});

it('T-065 every telephone field is a key, each number once', () => {
  const contact = record({
    phone: '(206) 555-1234',
    fax: '+1 206 555 1234',
    officePhone: '206.555.9999 x9',
    email: '1',
  });
  expect(phoneKeys(contactResource, contact)).toEqual(['2065551234', '2065559999']);
});
