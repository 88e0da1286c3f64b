import { hostLabel, isSlug } from './host-label';

describe('host labels', () => {
  it.each([
    ['acme.tcnorthwest.com', 'acme'],
    ['ACME.tcnorthwest.com:8443', 'acme'],
    ['acme.localhost:3000', 'acme'],
    ['acme', 'acme'],
  ])('T-004 finds the label that may name a Space in %s', (host, label) => {
    expect(hostLabel(host)).toBe(label);
  });

  it.each([undefined, '', 'localhost', 'localhost:3000', '127.0.0.1', '127.0.0.1:3000', '[::1]:3000', '::1'])(
    'T-004 finds none in %s',
    (host) => {
      expect(hostLabel(host)).toBeUndefined();
    },
  );

  it.each(['www.example.com', 'api.example.com', '-a.example.com', 'a_b.example.com', `${'a'.repeat(64)}.com`])(
    'T-004 finds none in %s, which no Space can have',
    (host) => {
      expect(hostLabel(host)).toBeUndefined();
    },
  );

  it.each(['', 'Acme', 'a b', 'a.b', '-a', 'a-', 'xn--caf-dma', 'localhost', 'manage', 'a'.repeat(64)])(
    'does not take %j for a slug',
    (slug) => {
      expect(isSlug(slug)).toBe(false);
    },
  );

  it.each(['a', 'acme', 'north-west-2', '9', 'a'.repeat(63)])('takes %j for a slug', (slug) => {
    expect(isSlug(slug)).toBe(true);
  });
});
