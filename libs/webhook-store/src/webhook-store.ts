import type { Consent } from './consent';
import { KeptReplies, type Idempotency } from './kept-replies';
import type { ListDatabases } from './list-databases';
import { publicKeys } from './public-keys';
import { lockSpace } from './space-life';
import { secretContext, type SecretBox } from './secret-box';
import { newSignatureKeyPair } from './signature-key';
import {
  consentValues,
  EndpointRows,
  type EndpointRow,
  type NewWebhook,
  type StoredWebhook,
  type WebhookChange,
} from './stored-webhook';
import { addVersion, endDeliveries, owes, reasonAfter, reorder } from './webhook-change';
import * as sql from './webhook-statements';
import { webhookNumber } from './wire-ids';
import {
  ApiError,
  validationError,
  webhookList,
  type ListQuery,
  type ListReply,
  type WebhookPublicKey,
} from '@keyturn/contracts';
import { listStatement, mapColumns, type ListRow, type TableMapping } from '@keyturn/list-query';
import { spaceNumber, type Database } from '@keyturn/platform/database';

/** A receiver gets to know of another scheme when it is told, not when a delivery fails: as long as a rotation unless told. */
const schemeOverlapMs = 24 * 60 * 60 * 1_000;

export interface Creation<R> {
  readonly position: number;
  readonly quota: number;
  readonly idempotency?: Idempotency | undefined;
  readonly consent?: Consent | undefined;
  readonly show: (webhook: StoredWebhook) => R;
}

/** A page is a list of numbers; the rows are read by them. */
const webhooks: TableMapping = {
  table: 'webhooks.endpoint',
  where: ['r.deleted_at is null', 'r.parent_id is null'],
  json: 'r.id::text',
  columns: mapColumns(webhookList, { notNull: ['name', 'url', 'isActive', 'status'] }),
  search: `lower(r.name || chr(10) || r.url)`,
};

/** Subscriptions of a Space: their settings, their history, and what changes with them. */
export class WebhookStore {
  private readonly rows: EndpointRows;
  private readonly replies: KeptReplies;

  constructor(
    private readonly database: Database,
    private readonly secrets: SecretBox,
    private readonly lists: ListDatabases,
  ) {
    this.rows = new EndpointRows(secrets);
    this.replies = new KeptReplies(secrets);
  }

  /** `position` is the newest sequence of the Space: every event behind it is owed. */
  create(
    spaceId: string,
    webhook: NewWebhook,
    limits: { readonly position: number; readonly quota: number },
  ): Promise<StoredWebhook> {
    return this.createOnce(spaceId, webhook, { ...limits, show: (stored) => stored });
  }

  /**
   * The same under a key: the reply that `show` makes of the webhook is kept for 24 hours, and a repeat gets it again; another
   * request under the key is a CONFLICT.
   */
  async createOnce<R extends object>(
    spaceId: string,
    webhook: NewWebhook,
    { position, quota, idempotency, consent, show }: Creation<R>,
  ): Promise<R> {
    return this.database.transaction('a quota is counted under its Space, then used', async (tx) => {
      const db = tx.inSpace(spaceId);
      const status = await lockSpace(tx, spaceId);
      const earlier = idempotency && (await this.replies.find<R>(tx, spaceId, idempotency));
      if (earlier) return earlier;
      const [counted] = await db.query<{ endpoints: number }>(sql.count);
      if ((counted?.endpoints ?? 0) >= quota)
        throw validationError('webhooks', `A Space has at most ${quota} webhooks`);
      const [row] = await db.query<EndpointRow>(sql.insert, [
        ...this.rows.insertValues(spaceId, webhook),
        ...consentValues(webhook, consent),
        position,
        status === 'suspended',
      ]);
      if (webhook.ordering === 'record') await db.query(sql.track, [position]);
      const reply = show(this.rows.stored(row as EndpointRow));
      if (idempotency) await this.replies.keep(tx, spaceId, idempotency, reply);
      return reply;
    });
  }

  /** What the same request was answered before; another one under its key is a CONFLICT. */
  earlierReply<R>(spaceId: string, idempotency: Idempotency): Promise<R | undefined> {
    return this.replies.find<R>(this.database, spaceId, idempotency);
  }

  /** `until`, here and below: whoever asked has been answered otherwise by then (`Database.inSpace`). */
  async get(spaceId: string, id: string, until?: number): Promise<StoredWebhook | undefined> {
    const number = webhookNumber(id);
    if (!number) return undefined;
    const [row] = await this.database.inSpace(spaceId, until).query<EndpointRow>(sql.get, [number]);
    return row && this.rows.stored(row);
  }

  async list(spaceId: string, query: ListQuery, until?: number): Promise<{ head: ListReply; rows: StoredWebhook[] }> {
    const list = listStatement(webhooks, query);
    const [row] = await this.lists[list.sessions].inSpace(spaceId, until).query<ListRow>(list.statement, list.values);
    const { head, rows } = list.reply(row as ListRow);
    const numbers = rows === '' ? [] : rows.split(',');
    const found = await this.database.inSpace(spaceId, until).query<EndpointRow>(sql.readAll, [numbers]);
    const byNumber = new Map(found.map((endpoint) => [endpoint.id, endpoint]));
    const inOrder = numbers.map((number) => byNumber.get(number)).filter((endpoint) => endpoint !== undefined);
    return { head, rows: inOrder.map((endpoint) => this.rows.stored(endpoint)) };
  }

  /**
   * Changes settings. What a change says of events holds from behind `position` on; deactivation ends what waits (T-089).
   * Undefined when the Space has no such webhook.
   */
  async update(
    spaceId: string,
    id: string,
    change: WebhookChange,
    position: number,
    consent?: Consent,
  ): Promise<StoredWebhook | undefined> {
    const number = webhookNumber(id);
    if (!number) return undefined;
    return this.database.transaction('settings, their history and what waits change together', async (tx) => {
      const [locked] = await tx.inSpace(spaceId).query<EndpointRow>(sql.lock, [number]);
      if (!locked) return undefined;
      const before = this.rows.stored(locked);
      const after = { ...before, ...change };
      const disabledReason = await reasonAfter(tx, spaceId, number, before, change);
      // Back to v1a while the key of before still signs: that one goes on.
      const firstKey =
        before.signatureScheme === 'v1' && after.signatureScheme === 'v1a' && before.previousSchemeUntil === null;
      const [row] = await tx
        .inSpace(spaceId)
        .query<EndpointRow>(sql.update, [
          number,
          after.name,
          after.url,
          after.events,
          after.isActive,
          ...this.rows.deliveryValues(spaceId, after),
          after.signatureScheme,
          ...this.rows.keyValues(spaceId, firstKey ? newSignatureKeyPair() : undefined),
          schemeOverlapMs,
          ...consentValues(after, consent),
          disabledReason,
        ]);
      if (owes(before) !== owes(after)) await addVersion(tx, spaceId, number, after, position);
      if (before.ordering !== after.ordering) await reorder(tx, spaceId, number, after.ordering, position);
      if (!after.isActive) await endDeliveries(tx, spaceId, number);
      return this.rows.stored(row as EndpointRow);
    });
  }

  /** Held deliveries wait without end; what is on its way when it is paused may still arrive. */
  async setPaused(spaceId: string, id: string, paused: boolean): Promise<StoredWebhook | undefined> {
    const number = webhookNumber(id);
    if (!number) return undefined;
    const [row] = await this.database.inSpace(spaceId).query<EndpointRow>(sql.setPaused, [number, paused]);
    return row && this.rows.stored(row);
  }

  /** Another secret, and with `v1a` another key pair; those before sign too for `overlapMs`. */
  async rotate(
    spaceId: string,
    id: string,
    { signingSecret, overlapMs }: { signingSecret: string; overlapMs: number },
  ): Promise<StoredWebhook | undefined> {
    const number = webhookNumber(id);
    if (!number) return undefined;
    const sealed = this.secrets.seal(signingSecret, secretContext(spaceNumber(spaceId)));
    const pair = this.rows.keyValues(spaceId, newSignatureKeyPair());
    const [row] = await this.database
      .inSpace(spaceId)
      .query<EndpointRow>(sql.rotate, [number, sealed, ...pair, overlapMs]);
    return row && this.rows.stored(row);
  }

  /** The public keys that are good now, of the endpoint whose set has this name; undefined where there is none. */
  publicKeys(keysId: string): Promise<WebhookPublicKey[] | undefined> {
    return publicKeys(this.database, keysId);
  }

  /** False when the Space has no such webhook. Nothing more is delivered, and its secrets are gone. */
  async remove(spaceId: string, id: string): Promise<boolean> {
    const number = webhookNumber(id);
    if (!number) return false;
    return this.database.transaction('an endpoint and what waits for it go together', async (tx) => {
      const db = tx.inSpace(spaceId);
      if (!(await db.query(sql.remove, [number])).length) return false;
      await endDeliveries(tx, spaceId, number);
      return true;
    });
  }

  /** Takes one of the Space's test calls of this minute, or says by a 429 when the next is free. Nothing is sent for a suspended one. */
  async takeTest(spaceId: string, quota: number): Promise<void> {
    await this.database.transaction('a quota is counted under its Space, then used', async (tx) => {
      if ((await lockSpace(tx, spaceId)) === 'suspended')
        throw new ApiError('CONFLICT', 'The Space is suspended: nothing is sent for it');
      const [row] = await tx.inSpace(spaceId).query<{ taken: boolean; wait_seconds: number }>(sql.takeTest, [quota]);
      if (row && !row.taken)
        throw new ApiError('RATE_LIMIT_EXCEEDED', `A Space may send ${quota} test events and handshakes a minute`, {
          retryAfterSeconds: Math.max(1, Math.ceil(row.wait_seconds)),
        });
    });
  }
}
