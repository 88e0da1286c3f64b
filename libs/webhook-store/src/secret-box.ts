import { createCipheriv, createDecipheriv, createHash, hkdfSync, randomBytes } from 'node:crypto';

const version = 1;
const keyIdBytes = 4;
const nonceBytes = 12;
const tagBytes = 16;
const headBytes = 1 + keyIdBytes + nonceBytes;

interface Key {
  readonly id: Buffer;
  readonly bytes: Buffer;
}

function deriveKey(passphrase: string): Key {
  const bytes = Buffer.from(hkdfSync('sha256', passphrase, '', 'keyturn webhook secrets', 32));
  return { id: createHash('sha256').update(bytes).digest().subarray(0, keyIdBytes), bytes };
}

/** Something of ours that no key of today opens: the setting has changed without naming the old one. */
export class SealedByUnknownKey extends Error {
  constructor() {
    super('a stored secret was sealed under a key that neither SECRETS_KEY nor SECRETS_KEY_PREVIOUS names');
  }
}

/**
 * Secrets at rest: AES-256-GCM under a key derived from `SECRETS_KEY`. What is sealed names its key, so that a new key can
 * take over while the old one still opens what it has sealed. The context (whose secret it is) is authenticated: a value
 * copied to another Space's row does not open.
 */
export class SecretBox {
  private readonly current: Key;
  private readonly keys: readonly Key[];

  constructor(secretsKey: string, previousKeys: readonly string[] = []) {
    this.current = deriveKey(secretsKey);
    this.keys = [this.current, ...previousKeys.map(deriveKey)];
  }

  /** The first bytes of everything that is sealed today. */
  get prefix(): Buffer {
    return Buffer.concat([Buffer.of(version), this.current.id]);
  }

  seal(text: string, context: string): Buffer {
    const nonce = randomBytes(nonceBytes);
    const cipher = createCipheriv('aes-256-gcm', this.current.bytes, nonce).setAAD(Buffer.from(context));
    const sealed = Buffer.concat([cipher.update(text, 'utf8'), cipher.final()]);
    return Buffer.concat([this.prefix, nonce, sealed, cipher.getAuthTag()]);
  }

  open(sealed: Buffer, context: string): string {
    const key = this.keys.find(({ id }) => id.equals(sealed.subarray(1, 1 + keyIdBytes)));
    if (sealed[0] !== version || !key) throw new SealedByUnknownKey();
    const nonce = sealed.subarray(1 + keyIdBytes, headBytes);
    const decipher = createDecipheriv('aes-256-gcm', key.bytes, nonce)
      .setAAD(Buffer.from(context))
      .setAuthTag(sealed.subarray(-tagBytes));
    return Buffer.concat([decipher.update(sealed.subarray(headBytes, -tagBytes)), decipher.final()]).toString('utf8');
  }
}

/** What an endpoint's secrets are bound to. */
export const secretContext = (spaceNumber: string) => `webhook secret of space ${spaceNumber}`;
