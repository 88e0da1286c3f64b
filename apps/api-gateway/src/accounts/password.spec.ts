import { hashPassword, isPassword, makePassword } from './password';
import { emailOf } from './email';

describe('accounts', () => {
  it('knows a password by its hash', async () => {
    const stored = await hashPassword('correct horse');
    expect(stored).toMatch(/^scrypt\$32768\$8\$1\$/);
    expect(stored).not.toContain('horse');
    expect(await isPassword('correct horse', stored)).toBe(true);
    expect(await isPassword('correct horsf', stored)).toBe(false);
    expect(await isPassword('correct horse', 'nothing')).toBe(false);
  });

  it('takes one spelling of a letter for the other', async () => {
    expect(await isPassword('caf\u00e9 au lait', await hashPassword('cafe\u0301 au lait'))).toBe(true);
  });

  it('makes passwords that nobody guesses', () => {
    expect(makePassword()).toMatch(/^[A-Za-z0-9_-]{20}$/);
    expect(makePassword()).not.toBe(makePassword());
  });

  it.each([
    ['Owner@Acme.Example', 'owner@acme.example'],
    [' a.b+c@x.co ', 'a.b+c@x.co'],
    ['jörg@bücher.example', 'jörg@bücher.example'],
    ['root@localhost', 'root@localhost'],
  ])('takes %s for the address %s', (text, email) => {
    expect(emailOf(text)).toBe(email);
  });

  it.each([
    '',
    'a',
    '@x',
    'a@',
    'a b@x.co',
    'a@x..co',
    'a@-x.co',
    'a@b@c',
    'a\n@x.co',
    `${'a'.repeat(250)}@x.co`,
    7,
    null,
  ])('takes %j for no address', (text) => {
    expect(emailOf(text)).toBeUndefined();
  });
});
