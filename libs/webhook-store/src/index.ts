export * from './dispatch-store.types';
export { thinPayload, type ThinSource } from './thin-payload';
export { webhookMigrations } from './migrations';
