export {
  AddressPolicy,
  literalAddresses,
  type AddressPolicyOptions,
  type AddressVerdict,
  type UrlVerdict,
} from './address-policy';
export { ensureDaysAhead } from './days';
export * from './dispatch-store.types';
export { decodeHint, encodeHint, hintSubject, type WebhookHint } from './hints';
export { webhookSettings } from './settings';
export { PostgresDispatchStore, type DispatchStoreOptions } from './dispatch-store';
export { WebhookStore, type NewWebhook, type StoredWebhook, type WebhookChange } from './webhook-store';
export { webhookMigrations } from './migrations';
export { SealedByUnknownKey, SecretBox } from './secret-box';
export { newSigningSecret, SigningKey, signatureHeaders, type SignatureHeaders, type SignedMessage } from './signature';
export { thinPayload, type ThinSource } from './thin-payload';
