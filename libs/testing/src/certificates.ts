import { createHash, generateKeyPairSync, randomBytes, sign, type KeyObject } from 'node:crypto';
import { isIP } from 'node:net';

/** A certificate in PEM with its private key. */
export interface Certificate {
  readonly certificate: string;
  readonly key: string;
}

export interface CertificateOptions {
  readonly commonName: string;
  /** Host names and IPv4 addresses that it is good for. */
  readonly hosts?: readonly string[];
}

/** Of the values of ASN.1 (X.690), those that a certificate is made of. */
const tag = {
  boolean: 0x01,
  integer: 0x02,
  bits: 0x03,
  octets: 0x04,
  utf8: 0x0c,
  utcTime: 0x17,
  sequence: 0x30,
  set: 0x31,
};
const implicit = (number: number) => 0x80 | number;
const explicit = (number: number) => 0xa0 | number;

function der(type: number, ...content: readonly Buffer[]): Buffer {
  const value = Buffer.concat(content);
  const { length } = value;
  if (length < 0x80) return Buffer.concat([Buffer.from([type, length]), value]);
  const digits = Buffer.from(length.toString(16).padStart(length > 0xff ? 4 : 2, '0'), 'hex');
  return Buffer.concat([Buffer.from([type, 0x80 | digits.length]), digits, value]);
}

const bytes = (hex: string) => Buffer.from(hex, 'hex');
const sequence = (...items: readonly Buffer[]) => der(tag.sequence, ...items);
/** Object identifiers, as they are encoded. */
const oid = {
  ecdsaWithSha256: bytes('06082a8648ce3d040302'),
  commonName: bytes('0603550403'),
  subjectKeyId: bytes('0603551d0e'),
  keyUsage: bytes('0603551d0f'),
  alternativeName: bytes('0603551d11'),
  basicConstraints: bytes('0603551d13'),
  authorityKeyId: bytes('0603551d23'),
  extendedKeyUsage: bytes('0603551d25'),
  serverAuth: bytes('06082b06010505070301'),
  clientAuth: bytes('06082b06010505070302'),
};
const yes = der(tag.boolean, Buffer.from([0xff]));
const day = 86_400_000;

const utcTime = (moment: number) =>
  der(tag.utcTime, Buffer.from(`${new Date(moment).toISOString().replace(/\D/g, '').slice(2, 14)}Z`));
const nameOf = (commonName: string) =>
  sequence(der(tag.set, sequence(oid.commonName, der(tag.utf8, Buffer.from(commonName)))));
const extension = (id: Buffer, critical: boolean, value: Buffer) =>
  sequence(id, ...(critical ? [yes] : []), der(tag.octets, value));

function hostOf(host: string): Buffer {
  if (isIP(host) === 4) return der(implicit(7), Buffer.from(host.split('.').map(Number)));
  return der(implicit(2), Buffer.from(host, 'ascii'));
}

const spkiOf = (key: KeyObject) => key.export({ type: 'spki', format: 'der' });
const keyIdOf = (key: KeyObject) => createHash('sha1').update(spkiOf(key)).digest();

/** A certificate authority that lives as long as a test, and the certificates that it gives out. */
export class TestAuthority {
  private readonly keys = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  /** What whoever trusts it has to be given, in PEM. */
  readonly certificate: string;

  constructor(private readonly commonName: string) {
    this.certificate = this.signed(commonName, this.keys.publicKey, [
      extension(oid.basicConstraints, true, sequence(yes)),
      // Signs certificates and revocations.
      extension(oid.keyUsage, true, der(tag.bits, bytes('0106'))),
    ]);
  }

  /** For a server and for a client alike. */
  issue({ commonName, hosts = [] }: CertificateOptions): Certificate {
    const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    const certificate = this.signed(commonName, publicKey, [
      extension(oid.basicConstraints, true, sequence()),
      // Signs what it says.
      extension(oid.keyUsage, true, der(tag.bits, bytes('0780'))),
      extension(oid.extendedKeyUsage, false, sequence(oid.serverAuth, oid.clientAuth)),
      ...(hosts.length ? [extension(oid.alternativeName, false, sequence(...hosts.map(hostOf)))] : []),
    ]);
    return { certificate, key: privateKey.export({ type: 'pkcs8', format: 'pem' }) as string };
  }

  private signed(commonName: string, key: KeyObject, extensions: readonly Buffer[]): string {
    const algorithm = sequence(oid.ecdsaWithSha256);
    const serial = randomBytes(8);
    serial[0] = ((serial[0] as number) & 0x7f) | 0x40; // positive, and without a leading zero
    const ids = [
      extension(oid.subjectKeyId, false, der(tag.octets, keyIdOf(key))),
      extension(oid.authorityKeyId, false, sequence(der(implicit(0), keyIdOf(this.keys.publicKey)))),
    ];
    const body = sequence(
      der(explicit(0), der(tag.integer, Buffer.from([2]))),
      der(tag.integer, serial),
      algorithm,
      nameOf(this.commonName),
      sequence(utcTime(Date.now() - day), utcTime(Date.now() + day)),
      nameOf(commonName),
      spkiOf(key),
      der(explicit(3), sequence(...extensions, ...ids)),
    );
    const signature = sign('sha256', body, this.keys.privateKey);
    const whole = sequence(body, algorithm, der(tag.bits, Buffer.from([0]), signature));
    const lines = whole
      .toString('base64')
      .replace(/(.{64})/g, '$1\n')
      .trimEnd();
    return `-----BEGIN CERTIFICATE-----\n${lines}\n-----END CERTIFICATE-----\n`;
  }
}
