import { cancelReplays } from './replay-store';
import type { Ordering, StoredWebhook, WebhookChange, WebhookSettings } from './stored-webhook';
import * as sql from './webhook-statements';
import type { Transaction } from '@keyturn/platform/database';

/** What follows from another setting, within its transaction. */

/**
 * Off by its owner: it is no longer what failure made of it. On again: one that holds deliveries since it failed is tried
 * first and catches up when that succeeds; any other simply goes on.
 */
export async function reasonAfter(
  tx: Transaction,
  spaceId: string,
  number: string,
  before: StoredWebhook,
  change: WebhookChange,
): Promise<string | null> {
  if (change.isActive === undefined || before.disabledReason === null) return before.disabledReason;
  const holds = change.isActive && before.isActive;
  const tried = holds && (await tx.inSpace(spaceId).query(sql.probeNow, [number])).length > 0;
  if (!tried) await tx.inSpace(spaceId).query(sql.cleanSlate, [number]);
  return tried ? before.disabledReason : null;
}

/** What decides which events are owed and as which bytes: one text per version. */
export const owes = ({ isActive, events, thin, filter }: WebhookSettings) =>
  JSON.stringify([isActive, events, thin, filter]);

export async function addVersion(
  tx: Transaction,
  spaceId: string,
  number: string,
  { isActive, events, thin, filter }: WebhookSettings,
  position: number,
): Promise<void> {
  const db = tx.inSpace(spaceId);
  await db.query(sql.addVersion, [number, position, isActive, events, thin, filter && JSON.stringify(filter)]);
  await db.query(sql.dropEmptyVersions, [number]);
}

export async function reorder(
  tx: Transaction,
  spaceId: string,
  number: string,
  ordering: Ordering,
  position: number,
): Promise<void> {
  const db = tx.inSpace(spaceId);
  if (ordering === 'record') await db.query(sql.track, [position]);
  await db.query(sql.orderWaiting, [number, ordering === 'record']);
}

/** Nothing is sent any more, neither what waits nor what a replay would bring. */
export async function endDeliveries(tx: Transaction, spaceId: string, number: string): Promise<void> {
  await cancelReplays(tx, spaceId, number);
  await tx.inSpace(spaceId).query(sql.cancelWaiting, [number, null]);
}
