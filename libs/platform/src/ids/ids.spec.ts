import { newUlid } from '.';

describe('a ULID', () => {
  it('has 26 characters of Crockford base 32 and rises, also within one millisecond', () => {
    const ids = Array.from({ length: 5_000 }, () => newUlid());
    for (const id of ids) expect(id).toMatch(/^[0-7][0-9A-HJKMNP-TV-Z]{25}$/);
    expect([...ids].sort()).toEqual(ids);
    expect(new Set(ids).size).toBe(ids.length);
  });

  it('begins with its time, and never goes back with the clock', () => {
    const future = Date.now() + 1_000_000;
    const first = newUlid(future);
    expect(newUlid(future + 1) > first).toBe(true);
    expect(newUlid(0) > first).toBe(true);
  });
});
