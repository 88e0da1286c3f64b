import { nationalDigits } from './phone';

describe('nationalDigits', () => {
  it.each([
    '2065551234',
    '+12065551234',
    ' 12065551234',
    '(206) 555-1234',
    '+1 206-555-1234',
    '1 (206) 555.1234',
    '206.555.1234 x9',
    '206.555.1234x9',
    '206-555-1234 ext. 9',
    '206-555-1234, Ext 9012',
    '206-555-1234 extension: 12 (after six)',
    '206-555-1234 #9',
    'mobile: 206 555 1234',
    '２０６-５５５-１２３４',
  ])('T-065 reads %j as one number', (phone) => {
    expect(nationalDigits(phone)).toBe('2065551234');
  });

  it('T-065 keeps what belongs to the number', () => {
    expect(nationalDigits('555-1234')).toBe('5551234');
    expect(nationalDigits('+44 20 7946 0958')).toBe('442079460958');
    expect(nationalDigits('1555-1234')).toBe('15551234');
    expect(nationalDigits('11065551234')).toBe('11065551234');
  });

  it.each([
    ['nothing', ''],
    ['too few digits', '555-123'],
    ['words', 'call the office'],
    ['more text than a number has', '5'.repeat(101)],
    ['a page of markers', `5${'x'.repeat(100_000)}`],
  ])('T-064 finds no number in %s', (_, phone) => {
    expect(nationalDigits(phone)).toBeUndefined();
  });
});
