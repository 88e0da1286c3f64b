import { boolean, datetime, enumeration, identifier, integer, string } from './resource';
import type { ListDefinition } from './list';

/** `GET /api/v1/webhooks`: what the list may filter, sort and search by (T-069, T-080). */
export const webhookList = {
  name: 'webhook',
  fields: {
    id: identifier('wh_'),
    name: string('FSQ'),
    url: string('FSQ'),
    isActive: boolean('FS'),
    status: enumeration(['active', 'inactive', 'paused', 'disabled'], 'FS'),
    createdAt: datetime('FSI'),
    updatedAt: datetime('FS'),
  },
} as const satisfies ListDefinition;

/** `GET /api/v1/webhooks/{id}/deliveries`: newest first (T-092). */
export const deliveryList = {
  name: 'delivery',
  fields: {
    id: identifier('dlv_'),
    event: string('FSQ'),
    status: enumeration(['pending', 'retrying', 'success', 'failed', 'cancelled'], 'FS'),
    attempts: integer('FS'),
    responseStatus: integer('FS'),
    durationMs: integer('FS'),
    error: string('Q'),
    createdAt: datetime('FSI'),
    lastAttemptAt: datetime('FS'),
    nextRetryAt: datetime('FS'),
    deliveredAt: datetime('FS'),
  },
  defaultSort: { field: 'id', order: 'desc' },
} as const satisfies ListDefinition;

/** `GET /api/v1/webhooks/{id}/replays`: newest first. */
export const replayList = {
  name: 'replay',
  fields: {
    id: identifier('rpl_'),
    status: enumeration(['running', 'done', 'cancelled', 'failed'], 'FS'),
    dryRun: boolean('FS'),
    createdAt: datetime('FSI'),
    finishedAt: datetime('FS'),
  },
  defaultSort: { field: 'id', order: 'desc' },
} as const satisfies ListDefinition;
