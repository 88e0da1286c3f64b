import { hashApiKey, isApiKey, makeApiKey } from './api-key';

describe('API keys', () => {
  it('T-023 begins with tc_live_ and has at least 32 random characters of base 62', () => {
    const keys = Array.from({ length: 200 }, makeApiKey);
    for (const key of keys) expect(key).toMatch(/^tc_live_[0-9A-Za-z]{38}$/);
    expect(new Set(keys).size).toBe(keys.length);
  });

  it('T-022 tells a key from noise by its checksum', () => {
    const key = makeApiKey();
    expect(isApiKey(key)).toBe(true);
    for (const at of [8, 20, 39, 45]) {
      const other = key[at] === 'a' ? 'b' : 'a';
      expect(isApiKey(key.slice(0, at) + other + key.slice(at + 1))).toBe(false);
    }
    for (const noise of ['', 'tc_live_', key.slice(1), `${key} `, `${key}x`, key.toUpperCase(), `${key}, ${key}`])
      expect(isApiKey(noise)).toBe(false);
  });

  it('T-026 is kept as the SHA-256 of its text', () => {
    expect(hashApiKey('abc')).toBe('ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad');
  });
});
