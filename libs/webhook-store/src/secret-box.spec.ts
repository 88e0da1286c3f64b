import { SealedByUnknownKey, SecretBox } from './secret-box';

const old = 'an old key of at least thirty-two characters';
const fresh = 'a fresh key of at least thirty-two characters';

describe('secrets at rest', () => {
  it('T-084 opens what it has sealed, and never seals twice alike', () => {
    const box = new SecretBox(fresh);
    const one = box.seal('whsec_ä', 'space 1');
    expect(box.open(one, 'space 1')).toBe('whsec_ä');
    expect(box.seal('whsec_ä', 'space 1').equals(one)).toBe(false);
    expect(one.includes('whsec_')).toBe(false);
  });

  it('does not open what was changed or belongs elsewhere', () => {
    const box = new SecretBox(fresh);
    const sealed = box.seal('whsec_a', 'space 1');
    expect(() => box.open(sealed, 'space 2')).toThrow();
    for (let at = 0; at < sealed.length; at++) {
      const changed = Buffer.from(sealed);
      changed[at] = (changed[at] as number) ^ 1;
      expect(() => box.open(changed, 'space 1')).toThrow();
    }
  });

  it('a new key takes over while the old one still opens', () => {
    const sealed = new SecretBox(old).seal('whsec_a', 'space 1');
    const both = new SecretBox(fresh, [old]);
    expect(both.open(sealed, 'space 1')).toBe('whsec_a');
    expect(sealed.subarray(0, 5).equals(both.prefix)).toBe(false);
    const again = both.seal('whsec_a', 'space 1');
    expect(again.subarray(0, 5).equals(both.prefix)).toBe(true);
    expect(new SecretBox(fresh).open(again, 'space 1')).toBe('whsec_a');
    expect(() => new SecretBox(fresh).open(sealed, 'space 1')).toThrow(SealedByUnknownKey);
  });
});
