import { createHmac, createSecretKey, randomBytes, type KeyObject } from 'node:crypto';

const prefix = 'whsec_';

/** `whsec_` and base64 of 32 random bytes, so that Standard Webhooks libraries can decode it too (T-084). */
export const newSigningSecret = () => prefix + randomBytes(32).toString('base64');

/** Makes one item of `webhook-signature`: a scheme, a comma, and base64. */
export interface StandardSigner {
  standard(id: string, timestamp: number, body: Uint8Array): string;
}

/** A signing secret, ready to sign: both headers are made of the same text, read in two ways. */
export class SigningKey implements StandardSigner {
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
 * Signs one attempt: `webhook-signature` lists one signature of each signer, the current one's first, those of keys that are on
 * their way out behind it. The seed's header has room for one only, the current secret's.
 */
export function signatureHeaders(
  message: SignedMessage,
  secret: SigningKey,
  signers: readonly StandardSigner[],
): SignatureHeaders {
  const { id, timestamp, body } = message;
  return {
    'x-webhook-signature': secret.hex(body),
    'webhook-id': id,
    'webhook-timestamp': String(timestamp),
    'webhook-signature': signers.map((signer) => signer.standard(id, timestamp, body)).join(' '),
  };
}
