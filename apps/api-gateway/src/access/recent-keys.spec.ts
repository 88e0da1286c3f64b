import { RecentKeys } from './recent-keys';

describe('recently good keys', () => {
  it('remembers a bounded number, the one used longest ago being forgotten first', () => {
    const recent = new RecentKeys(3);
    for (const key of ['a', 'b', 'c', 'a', 'd']) recent.add(key);
    expect(['a', 'b', 'c', 'd'].filter((key) => recent.has(key))).toEqual(['a', 'c', 'd']);
    recent.delete('a');
    expect(recent.has('a')).toBe(false);
  });
});
