import { createPrivateKey, generateKeyPairSync, sign, type JsonWebKey, type KeyObject } from 'node:crypto';
import type { StandardSigner } from './signature';

/** The spelling of Standard Webhooks: of the private key, which never leaves the database unsealed, and of the public one. */
const privatePrefix = 'whsk_';
const publicPrefix = 'whpk_';
const halfBytes = 32;

export interface SignatureKeyPair {
  /** `whsk_` and base64 of the private key, followed by the public one. */
  readonly privateKey: string;
  /** `whpk_` and base64 of its 32 bytes. */
  readonly publicKey: string;
}

export function newSignatureKeyPair(): SignatureKeyPair {
  const { d, x } = generateKeyPairSync('ed25519').privateKey.export({ format: 'jwk' });
  const [seed, point] = [d, x].map((part) => Buffer.from(part as string, 'base64url')) as [Buffer, Buffer];
  return {
    privateKey: privatePrefix + Buffer.concat([seed, point]).toString('base64'),
    publicKey: publicPrefix + point.toString('base64'),
  };
}

/** A private key, ready to sign. */
export class SignatureKey implements StandardSigner {
  private readonly key: KeyObject;

  constructor(privateKey: string) {
    const bytes = Buffer.from(privateKey.slice(privatePrefix.length), 'base64');
    const key: JsonWebKey = {
      kty: 'OKP',
      crv: 'Ed25519',
      d: bytes.subarray(0, halfBytes).toString('base64url'),
      x: bytes.subarray(halfBytes).toString('base64url'),
    };
    this.key = createPrivateKey({ key, format: 'jwk' });
  }

  standard(id: string, timestamp: number, body: Uint8Array): string {
    const signed = Buffer.concat([Buffer.from(`${id}.${timestamp}.`), body]);
    return `v1a,${sign(null, signed, this.key).toString('base64')}`;
  }
}
