import { AddressLimit } from './address-limit';

describe('the limit of a client address', () => {
  let now: number;
  let limit: AddressLimit;
  const take = (count: number, address = '10.0.0.1') =>
    Array.from({ length: count }, () => limit.take(address)).filter(Boolean).length;

  beforeEach(() => {
    now = 1_000_000_000;
    limit = new AddressLimit(600, 100, () => now);
  });

  it('T-041 counts down, and starts full', () => {
    expect(limit.quota('10.0.0.1')).toMatchObject({ limit: 600, remaining: 600 });
    take(3);
    expect(limit.quota('10.0.0.1')).toMatchObject({ limit: 600, remaining: 597 });
  });

  it('T-043 lets exactly the limit pass in 60 s, and refusals do not extend it', () => {
    expect(take(1_000)).toBe(600);
    now += 30_000;
    expect(take(1_000)).toBe(0);
    now += 36_000;
    expect(take(1_000)).toBe(600);
  });

  it('never lets more than the limit pass in any 60 s', () => {
    const passed: number[] = [];
    for (let step = 0; step < 2_000; step++) {
      now += 137;
      passed.push(...Array.from({ length: take(7) }, () => now));
    }
    for (const [index, at] of passed.entries()) {
      const before = passed[index - 600];
      if (before !== undefined) expect(at - before).toBeGreaterThanOrEqual(60_000);
    }
  });

  it('says when the next permits come back', () => {
    take(600);
    const { resetSeconds } = limit.quota('10.0.0.1');
    expect(resetSeconds).toBeGreaterThan(55);
    now += resetSeconds * 1000;
    expect(take(1)).toBe(1);
  });

  it('counts one address in all its spellings, and an IPv6 network of one line as one', () => {
    take(1, '::ffff:10.0.0.1');
    expect(limit.quota('10.0.0.1').remaining).toBe(599);
    take(1, '2001:db8:0:1::1');
    take(1, '2001:0db8::1:aaaa:bbbb:cccc:dddd');
    expect(limit.quota('2001:db8:0:1:ffff::').remaining).toBe(598);
    expect(limit.quota('2001:db8:0:2::1').remaining).toBe(600);
  });

  it('remembers a bounded number of addresses, the quietest being forgotten first', () => {
    take(1, '10.0.0.1');
    for (let i = 0; i < 1_000; i++) {
      take(1, `10.1.${i >> 8}.${i & 255}`);
      take(1, '10.0.0.2');
    }
    expect(limit.size).toBe(100);
    expect(limit.quota('10.0.0.1').remaining).toBe(600);
    expect(limit.quota('10.0.0.2').remaining).toBe(0);
  });
});
