import { BlockList, isIPv6 } from 'node:net';
import fc from 'fast-check';
import { AddressPolicy, literalAddresses } from './address-policy';

const strict = new AddressPolicy({ allowHttp: false, allowCidrs: [] });
const loopback = new AddressPolicy({ allowHttp: true, allowCidrs: ['127.0.0.0/8', '::1/128'] });

/** What a URL's host is after the parser, without brackets. */
const hostOf = (url: string) => new URL(url).hostname.replace(/^\[|\]$/g, '');

describe('addresses that a webhook may not reach (X5)', () => {
  it.each([
    ['this network', '0.0.0.0'],
    ['this network', '0.255.255.255'],
    ['private', '10.0.0.1'],
    ['private', '172.16.0.1'],
    ['private', '172.31.255.255'],
    ['private', '192.168.1.1'],
    ['carrier-grade NAT', '100.64.0.1'],
    ['carrier-grade NAT', '100.127.255.254'],
    ['Alibaba metadata', '100.100.100.200'],
    ['loopback', '127.0.0.1'],
    ['loopback', '127.255.255.254'],
    ['link-local and metadata', '169.254.169.254'],
    ['Azure metadata', '168.63.129.16'],
    ['Oracle metadata', '192.0.0.192'],
    ['documentation', '192.0.2.7'],
    ['documentation', '198.51.100.7'],
    ['documentation', '203.0.113.7'],
    ['6to4 relay', '192.88.99.1'],
    ['benchmarking', '198.18.0.1'],
    ['benchmarking', '198.19.255.255'],
    ['multicast', '224.0.0.1'],
    ['multicast', '239.255.255.255'],
    ['reserved', '240.0.0.1'],
    ['broadcast', '255.255.255.255'],
    ['unspecified', '::'],
    ['loopback', '::1'],
    ['loopback, mapped', '::ffff:127.0.0.1'],
    ['loopback, mapped, in hex', '::ffff:7f00:1'],
    ['loopback, mapped, written out', '0:0:0:0:0:ffff:7f00:0001'],
    ['loopback, IPv4-compatible', '::127.0.0.1'],
    ['loopback, IPv4-translated', '::ffff:0:127.0.0.1'],
    ['loopback through NAT64', '64:ff9b::127.0.0.1'],
    ['metadata through NAT64', '64:ff9b::a9fe:a9fe'],
    ['local NAT64', '64:ff9b:1::1'],
    ['6to4 of a private address', '2002:0a00:0001::'],
    ['6to4 of a public address', '2002:0808:0808::'],
    ['Teredo', '2001:0:4136:e378:8000:63bf:3fff:fdd2'],
    ['benchmarking', '2001:2::1'],
    ['ORCHID', '2001:20::1'],
    ['documentation', '2001:db8::1'],
    ['documentation', '3fff::1'],
    ['discard', '100::1'],
    ['segment routing', '5f00::1'],
    ['unique local', 'fd00:ec2::254'],
    ['unique local', 'fc00::1'],
    ['link-local', 'fe80::1'],
    ['site-local', 'fec0::1'],
    ['multicast', 'ff02::1'],
    ['unassigned', '4000::1'],
    ['scoped', 'fe80::1%eth0'],
    ['no address', 'localhost'],
    ['no address', ''],
  ])('%s: %s', (_what, address) => {
    expect(strict.checkAddress(address)).toMatchObject({ ok: false, problem: expect.any(String) as string });
  });

  it.each([
    ['8.8.8.8', '8.8.8.8'],
    ['100.63.255.255', '100.63.255.255'],
    ['100.128.0.0', '100.128.0.0'],
    ['172.15.255.255', '172.15.255.255'],
    ['172.32.0.0', '172.32.0.0'],
    ['223.255.255.255', '223.255.255.255'],
    ['2606:4700:4700::1111', '2606:4700:4700::1111'],
    ['2606:4700:4700:0:0:0:0:1111', '2606:4700:4700::1111'],
    ['::ffff:8.8.8.8', '8.8.8.8'],
    ['64:ff9b::8.8.8.8', '64:ff9b::808:808'],
  ])('lets %s through, dialled as %s', (address, dialled) => {
    expect(strict.checkAddress(address)).toEqual({ ok: true, address: dialled, listed: false });
  });

  it('never lets a mapped form through where the plain one is refused', () => {
    fc.assert(
      fc.property(fc.ipV4(), (address) => {
        const plain = strict.checkAddress(address);
        expect(strict.checkAddress(`::ffff:${address}`)).toEqual(plain);
        expect(strict.checkAddress(`64:ff9b::${address}`).ok).toBe(plain.ok);
      }),
    );
  });

  it('dials an address that reads the same as the one it judged', () => {
    fc.assert(
      fc.property(fc.oneof(fc.ipV4(), fc.ipV6()), (address) => {
        const all = new AddressPolicy({ allowHttp: false, allowCidrs: ['0.0.0.0/0', '::/0'] });
        const verdict = all.checkAddress(address);
        expect(verdict.ok).toBe(true);
        if (!verdict.ok) return;
        expect(all.checkAddress(verdict.address)).toEqual(verdict);
        const same = new BlockList();
        same.addAddress(verdict.address, isIPv6(verdict.address) ? 'ipv6' : 'ipv4');
        expect(same.check(address, isIPv6(address) ? 'ipv6' : 'ipv4')).toBe(true);
      }),
    );
  });

  it('the ranges an operator has named win', () => {
    expect(loopback.checkAddress('127.0.0.1')).toEqual({ ok: true, address: '127.0.0.1', listed: true });
    expect(loopback.checkAddress('::ffff:127.0.0.1')).toEqual({ ok: true, address: '127.0.0.1', listed: true });
    expect(loopback.checkAddress('::1')).toEqual({ ok: true, address: '::1', listed: true });
    expect(loopback.checkAddress('10.0.0.1').ok).toBe(false);
    expect(() => new AddressPolicy({ allowHttp: false, allowCidrs: ['127.0.0.1'] })).toThrow('address range');
    expect(() => new AddressPolicy({ allowHttp: false, allowCidrs: ['127.0.0.0/33'] })).toThrow('address range');
  });
});

describe('URLs of endpoints (T-086)', () => {
  it.each([
    ['http', 'http://example.com/hook', 'must use https'],
    ['another scheme', 'ftp://example.com/hook', 'must use https'],
    ['a script', 'javascript:alert(1)', 'must use https'],
    ['no URL', 'example.com/hook', 'must be an absolute URL'],
    ['a relative one', '//example.com/hook', 'must be an absolute URL'],
    ['a user', 'https://user@example.com/', 'must not contain a user name or password'],
    ['a password', 'https://:secret@example.com/', 'must not contain a user name or password'],
    ['port 0', 'https://example.com:0/', 'must not use port 0'],
    ['a line end', 'https://example.com/\r\nx: y', 'must not contain blanks'],
    ['a trailing blank', 'https://example.com/ ', 'must not contain blanks'],
    ['a loopback literal', 'https://127.0.0.1/', 'non-public address: 127.0.0.1 is a loopback address'],
    ['a decimal literal', 'https://2130706433/', 'non-public address'],
    ['an octal literal', 'https://0177.0.0.1/', 'non-public address'],
    ['a hexadecimal literal', 'https://0x7f000001/', 'non-public address'],
    ['a short literal', 'https://127.1/', 'non-public address'],
    ['a literal with a dot behind', 'https://127.0.0.1./', 'non-public address'],
    ['full-width digits', 'https://１２７.０.０.１/', 'non-public address'],
    ['an escaped literal', 'https://%31%32%37.0.0.1/', 'non-public address'],
    ['a metadata literal', 'https://169.254.169.254/latest/meta-data', 'non-public address'],
    ['an IPv6 literal', 'https://[::1]/', 'non-public address'],
    ['a mapped literal', 'https://[::ffff:169.254.169.254]/', 'non-public address'],
    ['localhost', 'https://localhost/', 'non-public address'],
    ['localhost with a dot behind', 'https://LOCALHOST./', 'non-public address'],
    ['a name under localhost', 'https://foo.localhost/', 'non-public address'],
  ])('refuses %s', (_what, url, problem) => {
    expect(strict.checkUrl(url)).toEqual({ ok: false, problem: expect.stringContaining(problem) as string });
  });

  it.each(['https://example.com/hook?x=1', 'https://example.com:8443/', 'https://8.8.8.8/', 'https://bücher.example/'])(
    'accepts %s',
    (url) => expect(strict.checkUrl(url).ok).toBe(true),
  );

  it('with the switch and the ranges of npm start, loopback may be plain http and other addresses may not', () => {
    expect(loopback.checkUrl('http://127.0.0.1:4000/hook').ok).toBe(true);
    expect(loopback.checkUrl('http://localhost:4000/hook').ok).toBe(true);
    expect(loopback.checkUrl('http://[::1]:4000/hook').ok).toBe(true);
    expect(loopback.checkUrl('http://10.0.0.1/hook').ok).toBe(false);
    expect(loopback.checkUrl('http://8.8.8.8/hook')).toEqual({ ok: false, problem: 'must use https' });
    expect(loopback.checkUrl('https://127.0.0.1:4000/hook').ok).toBe(true);
  });

  it('knows which host names are addresses', () => {
    expect(literalAddresses(hostOf('http://0x7f.1/'))).toEqual(['127.0.0.1']);
    expect(literalAddresses('[::1]')).toEqual(['::1']);
    expect(literalAddresses('api.localhost')).toEqual(['127.0.0.1', '::1']);
    expect(literalAddresses('localhost.example.com')).toBeUndefined();
  });
});
