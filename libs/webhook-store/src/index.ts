export {
  AddressPolicy,
  literalAddresses,
  type AddressPolicyOptions,
  type AddressVerdict,
  type UrlVerdict,
} from './address-policy';
export { WebhookLedger } from './audit-store';
export type { Consent } from './consent';
export { ensureDaysAhead } from './days';
export { DeliveryStore } from './delivery-store';
export * from './dispatch/dispatch-store.types';
export { eventsConsumer, eventsStream } from './events-stream';
export { IntakeNotes, type IntakeNote, type IntakePosition } from './intake-notes';
export { decodeHint, encodeHint, hintSubject, type WebhookHint } from './hints';
export { webhookSettings } from './settings';
export { PostgresDispatchStore, type DispatchStoreOptions } from './dispatch/dispatch-store';
export type { Idempotency } from './kept-replies';
export { webhookDefaults } from './stored-webhook';
export type { NewWebhook, Ordering, StoredWebhook, WebhookChange, WebhookSettings } from './stored-webhook';
export { WebhookStore } from './webhook-store';
export {
  EndpointHealth,
  pressureOf,
  warningLevel,
  type HealthFigures,
  type HealthOptions,
  type HealthThresholds,
  type Pressure,
} from './endpoint-health';
export { makeListDatabases, type ListDatabases } from './list-databases';
export { webhookMigrations } from './migrations';
export { maxReplayWaiting, ReplayStore, type LogPage, type NewReplay, type ReplayJob } from './replay-store';
export { acceptErased, eraseRecord, type ErasedDeliveries, type ErasedRecord } from './erasure';
export { reseal } from './reseal';
export { dropOldDeliveries } from './retention';
export { putSpace } from './space-life';
export { purgeEndedSpaces } from './space-purge';
export { SealedByUnknownKey, SecretBox, secretContext } from './secret-box';
export {
  newSigningSecret,
  SigningKey,
  signatureHeaders,
  type SignatureHeaders,
  type SignedMessage,
  type StandardSigner,
} from './signature';
export { newSignatureKeyPair, SignatureKey, type SignatureKeyPair } from './signature-key';
export { headerNameProblem, headerValueProblem, maxStaticHeaderBytes, maxStaticHeaders } from './static-headers';
export { thinPayload, type ThinSource } from './thin-payload';
