import { X509Certificate } from 'node:crypto';
import { TestAuthority } from './certificates';

describe('certificates of a test', () => {
  it('are signed by their authority, for their hosts and no others', () => {
    const authority = new TestAuthority('authority of a test');
    const root = new X509Certificate(authority.certificate);
    const leaf = new X509Certificate(
      authority.issue({ commonName: 'server', hosts: ['127.0.0.1', 'server.test'] }).certificate,
    );
    expect(root.ca).toBe(true);
    expect(root.verify(root.publicKey)).toBe(true);
    expect(leaf.ca).toBe(false);
    expect(leaf.subject).toBe('CN=server');
    expect(leaf.checkIssued(root)).toBe(true);
    expect(leaf.verify(root.publicKey)).toBe(true);
    expect([leaf.checkIP('127.0.0.1'), leaf.checkHost('server.test')]).toEqual(['127.0.0.1', 'server.test']);
    expect([leaf.checkIP('127.0.0.2'), leaf.checkHost('other.test')]).toEqual([undefined, undefined]);
    expect(Date.parse(leaf.validFrom)).toBeLessThan(Date.now());
    expect(Date.parse(leaf.validTo)).toBeGreaterThan(Date.now());
    expect(leaf.verify(new X509Certificate(new TestAuthority('another').certificate).publicKey)).toBe(false);
  });
});
