import {
  SignatureKey,
  SigningKey,
  type DispatchStore,
  type Endpoint,
  type StandardSigner,
} from '@keyturn/webhook-store';
import { destinationOf, type Destination } from '../outbound/destination';

/** An endpoint with all that its requests have in common made ready. */
export interface Recipient {
  readonly endpoint: Endpoint;
  readonly destination: Destination;
  /** By secrets, and by private keys: the current one first, then the one before while a rotation lasts. None of a deleted endpoint. */
  readonly keys: readonly SigningKey[];
  readonly signatureKeys: readonly SignatureKey[];
  /** The owner's own headers, names and values in turn. */
  readonly headers: readonly string[];
}

const maxKept = 20_000;

/** Settings of endpoints, kept by revision: every delivery names the revision it was handed out under. */
export class EndpointBook {
  private readonly recipients = new Map<string, Recipient>();

  constructor(private readonly store: Pick<DispatchStore, 'endpoints'>) {}

  get(id: string): Recipient | undefined {
    return this.recipients.get(id);
  }

  /** Reads those that are not known in this revision. */
  async prepare(deliveries: readonly { readonly webhookId: string; readonly revision: number }[]): Promise<void> {
    const missing = new Set<string>();
    for (const { webhookId, revision } of deliveries) {
      const known = this.recipients.get(webhookId);
      if (!known || known.endpoint.revision < revision) missing.add(webhookId);
    }
    if (missing.size) await this.read([...missing]);
  }

  /** Reads one again, whatever is known of it. */
  async refresh(id: string): Promise<Recipient | undefined> {
    await this.read([id]);
    return this.recipients.get(id);
  }

  private async read(ids: readonly string[]): Promise<void> {
    for (const endpoint of await this.store.endpoints(ids)) {
      this.recipients.delete(endpoint.id);
      this.recipients.set(endpoint.id, recipientOf(endpoint));
    }
    for (const oldest of this.recipients.keys()) {
      if (this.recipients.size <= maxKept) break;
      this.recipients.delete(oldest);
    }
  }
}

function recipientOf(endpoint: Endpoint): Recipient {
  return {
    endpoint,
    destination: destinationOf(endpoint.url),
    keys: endpoint.secrets.map((secret) => new SigningKey(secret)),
    signatureKeys: endpoint.signatureKeys.map((key) => new SignatureKey(key)),
    headers: Object.entries(endpoint.headers).flat(),
  };
}

/** Who signs at a moment: what the endpoint's scheme says, and until their time is over the key and the scheme before. */
export function signersAt({ endpoint, keys, signatureKeys }: Recipient, now: number): readonly StandardSigner[] {
  const { signatureScheme, previousSchemeUntil, previousSecretUntil } = endpoint;
  const many = previousSecretUntil !== null && previousSecretUntil > now ? keys.length : 1;
  const both = previousSchemeUntil !== null && previousSchemeUntil > now;
  const symmetric = keys.slice(0, signatureScheme === 'v1' || both ? many : 0);
  const asymmetric = signatureKeys.slice(0, signatureScheme === 'v1a' || both ? many : 0);
  return signatureScheme === 'v1' ? [...symmetric, ...asymmetric] : [...asymmetric, ...symmetric];
}
