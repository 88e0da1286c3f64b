import { publicKeysPath, type Webhook } from '@keyturn/contracts';
import type { StoredWebhook } from '@keyturn/webhook-store';

/** A webhook as replies show it, in the order of the documentation; never a secret (T-082, T-087). */
export function webhookView(webhook: StoredWebhook): Webhook {
  return {
    id: webhook.id,
    name: webhook.name,
    url: webhook.url,
    events: [...webhook.events],
    isActive: webhook.isActive,
    createdAt: webhook.createdAt,
    updatedAt: webhook.updatedAt,
    status: webhook.status,
    disabledReason: webhook.disabledReason,
    rateLimit: webhook.rateLimit,
    ordering: webhook.ordering,
    retrySchedule: webhook.retryScheduleMs?.map((ms) => ms / 1_000) ?? null,
    thin: webhook.thin,
    filter: webhook.filter,
    headerNames: Object.keys(webhook.headers),
    previousSecretUntil: webhook.previousSecretUntil,
    signatureScheme: webhook.signatureScheme,
    previousSchemeUntil: webhook.previousSchemeUntil,
    publicKey: webhook.publicKey,
    publicKeysPath: webhook.publicKeysId === null ? null : publicKeysPath(webhook.publicKeysId),
    handshake: webhook.handshake,
    verifiedAt: webhook.verifiedAt,
    allowedRate: webhook.allowedRate,
  };
}

/** The one reply that shows the secret, in its documented place. */
export function newWebhookView(webhook: StoredWebhook, signingSecret: string): Webhook & { signingSecret: string } {
  const { id, name, url, events, ...rest } = webhookView(webhook);
  return { id, name, url, events, signingSecret, ...rest };
}
