import { createHmac, createSecretKey, randomBytes, type KeyObject } from 'node:crypto';

const prefix = 'whsec_';

/** `whsec_` and base64 of 32 random bytes, so that Standard Webhooks libraries can decode it too (T-084). */
export const newSigningSecret = () => prefix + randomBytes(32).toString('base64');

/** A signing secret, ready to sign: both headers are made of the same text, read in two ways. */
export class SigningKey {
  /** The seed's verifier uses the whole text as the key (T-109). */
  private readonly whole: KeyObject;
  /** Standard Webhooks decodes what follows the prefix. */
  private readonly decoded: KeyObject;

  constructor(secret: string) {
    this.whole = createSecretKey(secret, 'utf8');
    this.decoded = createSecretKey(secret.startsWith(prefix) ? secret.slice(prefix.length) : secret, 'base64');
  }

  /** `X-Webhook-Signature`: bare lower-case hex over the body's bytes. */
  hex(body: Uint8Array): string {
    return createHmac('sha256', this.whole).update(body).digest('hex');
  }

  /** One item of `webhook-signature`. */
  standard(id: string, timestamp: number, body: Uint8Array): string {
    return `v1,${createHmac('sha256', this.decoded).update(`${id}.${timestamp}.`).update(body).digest('base64')}`;
  }
}

export interface SignedMessage {
  /** `evt_<ulid>`: the same for every attempt. */
  readonly id: string;
  /** Seconds since 1970, of this attempt: a receiver refuses what is older than five minutes. */
  readonly timestamp: number;
  readonly body: Uint8Array;
}

export interface SignatureHeaders {
  readonly 'x-webhook-signature': string;
  readonly 'webhook-id': string;
  readonly 'webhook-timestamp': string;
  readonly 'webhook-signature': string;
}

/**
 * Signs one attempt. The first key is the current one; during a rotation the older ones follow, and `webhook-signature`
 * lists one signature of each. The seed's header has room for one only.
 */
export function signatureHeaders(
  message: SignedMessage,
  keys: readonly [SigningKey, ...SigningKey[]],
): SignatureHeaders {
  const { id, timestamp, body } = message;
  return {
    'x-webhook-signature': keys[0].hex(body),
    'webhook-id': id,
    'webhook-timestamp': String(timestamp),
    'webhook-signature': keys.map((key) => key.standard(id, timestamp, body)).join(' '),
  };
}
