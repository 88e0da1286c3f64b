import type { Consent } from './consent';
import { endpointHeaders } from './endpoint-secrets';
import { secretContext, type SecretBox } from './secret-box';
import { newSignatureKeyPair, type SignatureKeyPair } from './signature-key';
import type { SignatureScheme, WebhookFilter } from '@keyturn/contracts';
import { spaceNumber } from '@keyturn/platform/database';

export type Ordering = 'none' | 'record';

/** What an owner chooses about a webhook. */
export interface WebhookSettings {
  readonly name: string;
  readonly url: string;
  readonly events: readonly string[];
  readonly isActive: boolean;
  /** Deliveries a second; null without a limit. */
  readonly rateLimit: number | null;
  readonly ordering: Ordering;
  /** Offsets between attempts; null for the common ones. */
  readonly retryScheduleMs: readonly number[] | null;
  readonly thin: boolean;
  readonly filter: WebhookFilter | null;
  readonly headers: Readonly<Record<string, string>>;
  readonly signatureScheme: SignatureScheme;
  /** The receiver is asked for its consent before a URL is used. */
  readonly handshake: boolean;
}

/** What a webhook is like where its owner says nothing else. */
export const webhookDefaults: Omit<WebhookSettings, 'name' | 'url' | 'events'> = {
  isActive: true,
  rateLimit: null,
  ordering: 'none',
  retryScheduleMs: null,
  thin: false,
  filter: null,
  headers: {},
  signatureScheme: 'v1',
  handshake: false,
};

export type NewWebhook = WebhookSettings & { readonly signingSecret: string };
export type WebhookChange = Partial<WebhookSettings>;

export interface StoredWebhook extends WebhookSettings {
  /** `wh_<n>` */
  readonly id: string;
  readonly status: 'active' | 'inactive' | 'paused' | 'disabled';
  readonly disabledReason: string | null;
  readonly previousSecretUntil: string | null;
  readonly previousSchemeUntil: string | null;
  /** `whpk_…` of the current key pair, and the name of the set of its public keys; null with `v1`. */
  readonly publicKey: string | null;
  readonly publicKeysId: string | null;
  readonly verifiedAt: string | null;
  readonly allowedRate: number | null;
  readonly createdAt: string;
  readonly updatedAt: string;
}

export interface EndpointRow {
  id: string;
  space_id: string;
  name: string;
  url: string;
  events: string[];
  is_active: boolean;
  status: StoredWebhook['status'];
  disabled_reason: string | null;
  rate_limit: number | null;
  ordering: Ordering;
  retry_schedule: string[] | null;
  thin: boolean;
  filter: string | null;
  headers_enc: Buffer | null;
  previous_secret_until: Date | null;
  signature_scheme: SignatureScheme;
  previous_scheme_until: Date | null;
  signature_public_key: string | null;
  public_keys_id: string | null;
  handshake: boolean;
  verified_at: Date | null;
  allowed_rate: number | null;
  created_at: Date;
  updated_at: Date;
}

/** Between what an owner chose and its row: what is secret is sealed in the one and open in the other. */
export class EndpointRows {
  constructor(private readonly secrets: SecretBox) {}

  insertValues(spaceId: string, webhook: NewWebhook): unknown[] {
    const context = secretContext(spaceNumber(spaceId));
    return [
      webhook.name,
      webhook.url,
      webhook.events,
      this.secrets.seal(webhook.signingSecret, context),
      webhook.isActive,
      ...this.deliveryValues(spaceId, webhook),
      webhook.signatureScheme,
      ...this.keyValues(spaceId, webhook.signatureScheme === 'v1a' ? newSignatureKeyPair() : undefined),
    ];
  }

  deliveryValues(spaceId: string, webhook: WebhookSettings): unknown[] {
    return [
      webhook.rateLimit,
      webhook.ordering,
      webhook.retryScheduleMs,
      webhook.thin,
      webhook.filter && JSON.stringify(webhook.filter),
      Object.keys(webhook.headers).length
        ? this.secrets.seal(JSON.stringify(webhook.headers), secretContext(spaceNumber(spaceId)))
        : null,
      Object.keys(webhook.headers),
    ];
  }

  keyValues(spaceId: string, pair: SignatureKeyPair | undefined): [Buffer | null, string | null] {
    if (!pair) return [null, null];
    return [this.secrets.seal(pair.privateKey, secretContext(spaceNumber(spaceId))), pair.publicKey];
  }

  stored(row: EndpointRow): StoredWebhook {
    return {
      id: `wh_${row.id}`,
      name: row.name,
      url: row.url,
      events: row.events,
      isActive: row.is_active,
      status: row.status,
      disabledReason: row.disabled_reason,
      rateLimit: row.rate_limit,
      ordering: row.ordering,
      retryScheduleMs: row.retry_schedule?.map(Number) ?? null,
      thin: row.thin,
      filter: row.filter === null ? null : (JSON.parse(row.filter) as WebhookFilter),
      headers: endpointHeaders(this.secrets, row),
      previousSecretUntil: row.previous_secret_until?.toISOString() ?? null,
      signatureScheme: row.signature_scheme,
      previousSchemeUntil: row.previous_scheme_until?.toISOString() ?? null,
      publicKey: row.signature_scheme === 'v1a' ? row.signature_public_key : null,
      publicKeysId: row.signature_scheme === 'v1a' ? row.public_keys_id : null,
      handshake: row.handshake,
      verifiedAt: row.verified_at?.toISOString() ?? null,
      allowedRate: row.allowed_rate,
      createdAt: row.created_at.toISOString(),
      updatedAt: row.updated_at.toISOString(),
    };
  }
}

export const consentValues = ({ handshake }: WebhookSettings, consent: Consent | undefined) => [
  handshake,
  consent !== undefined,
  consent?.allowedRate ?? null,
];
