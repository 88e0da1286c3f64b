import fc from 'fast-check';
import { checkDate, checkDatetime } from './values';

const twoDigits = (n: number) => String(n).padStart(2, '0');

describe('T-006 dates and moments', () => {
  it('a date is a day of the calendar', () => {
    const part = fc.tuple(
      fc.integer({ min: 0, max: 9999 }),
      fc.integer({ min: 0, max: 13 }),
      fc.integer({ max: 32, min: 0 }),
    );
    fc.assert(
      fc.property(part, ([year, month, day]) => {
        const text = `${String(year).padStart(4, '0')}-${twoDigits(month)}-${twoDigits(day)}`;
        const at = new Date(`${text}T00:00:00.000Z`);
        const exists = year > 0 && !Number.isNaN(at.getTime()) && at.toISOString().startsWith(text);
        expect(checkDate(text).ok).toBe(exists);
        expect(checkDatetime(`${text}T10:20:30.400Z`).ok).toBe(exists);
      }),
      { numRuns: 2_000 },
    );
  });

  it.each(['2000-02-29', '2024-02-29', '0001-01-01', '9999-12-31'])('%s exists', (text) => {
    expect(checkDate(text)).toEqual({ ok: true, value: text });
  });

  it.each(['1900-02-29', '2100-02-29', '2026-04-31', '0000-01-01', '2026-1-1', '2026-01-01 '])(
    '%s does not',
    (text) => {
      expect(checkDate(text).ok).toBe(false);
    },
  );

  it.each([
    ['2026-03-10T12:00:00.000Z', '2026-03-10T12:00:00.000Z'],
    ['2026-03-10T12:00:00Z', '2026-03-10T12:00:00.000Z'],
    ['2026-03-10t12:00z', '2026-03-10T12:00:00.000Z'],
    ['2026-03-10 23:59:59.9999+01:00', '2026-03-10T22:59:59.999Z'],
    ['2026-12-31T23:00:00.000-02:00', '2027-01-01T01:00:00.000Z'],
  ])('%s is %s', (text, normal) => {
    expect(checkDatetime(text)).toEqual({ ok: true, value: normal });
  });

  it.each([
    '2026-03-10T25:00:00.000Z',
    '2026-03-10T12:60:00.000Z',
    '2026-03-10T12:00:00.000',
    '2026-02-29T12:00:00.000Z',
  ])('%s is no moment', (text) => {
    expect(checkDatetime(text).ok).toBe(false);
  });
});
