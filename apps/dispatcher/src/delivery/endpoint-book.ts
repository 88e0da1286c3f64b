import { SigningKey, type DispatchStore, type Endpoint } from '@keyturn/webhook-store';
import { destinationOf, type Destination } from '../outbound/destination';

/** An endpoint with all that its requests have in common made ready. */
export interface Recipient {
  readonly endpoint: Endpoint;
  readonly destination: Destination;
  readonly keys: readonly SigningKey[];
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
    headers: Object.entries(endpoint.headers).flat(),
  };
}

/** The current key first, the one before it while a rotation lasts; none of a deleted endpoint. */
export function keysAt({ endpoint, keys }: Recipient, now: number): readonly SigningKey[] {
  const rotated = endpoint.previousSecretUntil !== null && endpoint.previousSecretUntil > now;
  return rotated ? keys : keys.slice(0, 1);
}
