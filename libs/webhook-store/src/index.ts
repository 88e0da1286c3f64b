export {
  AddressPolicy,
  literalAddresses,
  type AddressPolicyOptions,
  type AddressVerdict,
  type UrlVerdict,
} from './address-policy';
export * from './dispatch-store.types';
export { decodeHint, encodeHint, hintSubject, type WebhookHint } from './hints';
export { webhookSettings } from './settings';
export { newSigningSecret, SigningKey, signatureHeaders, type SignatureHeaders, type SignedMessage } from './signature';
export { thinPayload, type ThinSource } from './thin-payload';
export { webhookMigrations } from './migrations';
