import * as sql from './webhook-statements';
import type { Consent } from './consent';
import { endpointHeaders } from './endpoint-secrets';
import { cancelReplays } from './replay-store';
import { secretContext, type SecretBox } from './secret-box';
import { newSignatureKeyPair, type SignatureKeyPair } from './signature-key';
import { webhookNumber } from './wire-ids';
import type { ListDatabases } from './list-databases';
import {
  ApiError,
  validationError,
  webhookList,
  type ListQuery,
  type ListReply,
  type SignatureScheme,
  type WebhookFilter,
  type WebhookPublicKey,
} from '@keyturn/contracts';
import { listStatement, mapColumns, type ListRow, type TableMapping } from '@keyturn/list-query';
import { spaceNumber, type Database, type Transaction } from '@keyturn/platform/database';

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

interface EndpointRow {
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

interface PublicKeysRow {
  signature_public_key: string;
  until: Date | null;
  previous_public_key: string | null;
  previous_until: Date | null;
}

const publicKeysIdPattern = /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

/** A receiver gets to know of another scheme when it is told, not when a delivery fails: as long as a rotation unless told. */
const schemeOverlapMs = 24 * 60 * 60 * 1_000;

export interface Idempotency {
  readonly key: string;
  /** Of everything that the request said. */
  readonly requestHash: Buffer;
}

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
  constructor(
    private readonly database: Database,
    private readonly secrets: SecretBox,
    private readonly lists: ListDatabases,
  ) {}

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
      await db.query(sql.lockSpace);
      const earlier = idempotency && (await this.earlierReply<R>(spaceId, idempotency, tx));
      if (earlier) return earlier;
      const [counted] = await db.query<{ endpoints: number }>(sql.count);
      if ((counted?.endpoints ?? 0) >= quota)
        throw validationError('webhooks', `A Space has at most ${quota} webhooks`);
      const [row] = await db.query<EndpointRow>(sql.insert, [
        ...this.insertValues(spaceId, webhook),
        ...consentValues(webhook, consent),
        position,
      ]);
      if (webhook.ordering === 'record') await db.query(sql.track, [position]);
      const reply = show(this.stored(row as EndpointRow));
      if (idempotency) {
        const sealed = this.secrets.seal(JSON.stringify(reply), secretContext(spaceNumber(spaceId)));
        await db.query(sql.keepReply, [idempotency.key, idempotency.requestHash, sealed]);
      }
      return reply;
    });
  }

  /** What the same request was answered before; another one under its key is a CONFLICT. */
  async earlierReply<R>(
    spaceId: string,
    { key, requestHash }: Idempotency,
    doors: Pick<Transaction, 'inSpace'> = this.database,
  ): Promise<R | undefined> {
    const [found] = await doors
      .inSpace(spaceId)
      .query<{ request_hash: Buffer; reply_enc: Buffer }>(sql.findReply, [key]);
    if (!found) return undefined;
    if (!found.request_hash.equals(requestHash))
      throw new ApiError('CONFLICT', 'This Idempotency-Key was used with another request in the last 24 hours');
    return JSON.parse(this.secrets.open(found.reply_enc, secretContext(spaceNumber(spaceId)))) as R;
  }

  private insertValues(spaceId: string, webhook: NewWebhook): unknown[] {
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

  private deliveryValues(spaceId: string, webhook: WebhookSettings): unknown[] {
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

  private keyValues(spaceId: string, pair: SignatureKeyPair | undefined): [Buffer | null, string | null] {
    if (!pair) return [null, null];
    return [this.secrets.seal(pair.privateKey, secretContext(spaceNumber(spaceId))), pair.publicKey];
  }

  async get(spaceId: string, id: string): Promise<StoredWebhook | undefined> {
    const number = webhookNumber(id);
    if (!number) return undefined;
    const [row] = await this.database.inSpace(spaceId).query<EndpointRow>(sql.get, [number]);
    return row && this.stored(row);
  }

  async list(spaceId: string, query: ListQuery): Promise<{ head: ListReply; rows: StoredWebhook[] }> {
    const list = listStatement(webhooks, query);
    const [row] = await this.lists[list.sessions].inSpace(spaceId).query<ListRow>(list.statement, list.values);
    const { head, rows } = list.reply(row as ListRow);
    const numbers = rows === '' ? [] : rows.split(',');
    const found = await this.database.inSpace(spaceId).query<EndpointRow>(sql.readAll, [numbers]);
    const byNumber = new Map(found.map((endpoint) => [endpoint.id, endpoint]));
    const inOrder = numbers.map((number) => byNumber.get(number)).filter((endpoint) => endpoint !== undefined);
    return { head, rows: inOrder.map((endpoint) => this.stored(endpoint)) };
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
      const before = this.stored(locked);
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
          ...this.deliveryValues(spaceId, after),
          after.signatureScheme,
          ...this.keyValues(spaceId, firstKey ? newSignatureKeyPair() : undefined),
          schemeOverlapMs,
          ...consentValues(after, consent),
          disabledReason,
        ]);
      if (owes(before) !== owes(after)) await addVersion(tx, spaceId, number, after, position);
      if (before.ordering !== after.ordering) await reorder(tx, spaceId, number, after.ordering, position);
      if (!after.isActive) await endDeliveries(tx, spaceId, number);
      return this.stored(row as EndpointRow);
    });
  }

  /** Held deliveries wait without end; what is on its way when it is paused may still arrive. */
  async setPaused(spaceId: string, id: string, paused: boolean): Promise<StoredWebhook | undefined> {
    const number = webhookNumber(id);
    if (!number) return undefined;
    const [row] = await this.database.inSpace(spaceId).query<EndpointRow>(sql.setPaused, [number, paused]);
    return row && this.stored(row);
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
    const pair = this.keyValues(spaceId, newSignatureKeyPair());
    const [row] = await this.database
      .inSpace(spaceId)
      .query<EndpointRow>(sql.rotate, [number, sealed, ...pair, overlapMs]);
    return row && this.stored(row);
  }

  /** The public keys that are good now, of the endpoint whose set has this name; undefined where there is none. */
  async publicKeys(keysId: string): Promise<WebhookPublicKey[] | undefined> {
    if (!publicKeysIdPattern.test(keysId)) return undefined;
    const [row] = await this.database
      .acrossSpaces('a receiver knows the name of a set of public keys and no Space')
      .query<PublicKeysRow>(sql.publicKeys, [keysId]);
    if (!row) return undefined;
    const keys = [{ publicKey: row.signature_public_key, until: row.until?.toISOString() ?? null }];
    if (row.previous_public_key !== null)
      keys.push({ publicKey: row.previous_public_key, until: row.previous_until?.toISOString() ?? null });
    return keys;
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

  /** Takes one of the Space's test calls of this minute, or says by a 429 when the next is free. */
  async takeTest(spaceId: string, quota: number): Promise<void> {
    await this.database.transaction('a quota is counted under its Space, then used', async (tx) => {
      const db = tx.inSpace(spaceId);
      await db.query(sql.lockSpace);
      const [row] = await db.query<{ taken: boolean; wait_seconds: number }>(sql.takeTest, [quota]);
      if (row && !row.taken)
        throw new ApiError('RATE_LIMIT_EXCEEDED', `A Space may send ${quota} test events and handshakes a minute`, {
          retryAfterSeconds: Math.max(1, Math.ceil(row.wait_seconds)),
        });
    });
  }

  private stored(row: EndpointRow): StoredWebhook {
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

const consentValues = ({ handshake }: WebhookSettings, consent: Consent | undefined) => [
  handshake,
  consent !== undefined,
  consent?.allowedRate ?? null,
];

/**
 * Off by its owner: it is no longer what failure made of it. On again: one that holds deliveries since it failed is tried
 * first and catches up when that succeeds; any other simply goes on.
 */
async function reasonAfter(
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
const owes = ({ isActive, events, thin, filter }: WebhookSettings) => JSON.stringify([isActive, events, thin, filter]);

async function addVersion(
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

async function reorder(
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
async function endDeliveries(tx: Transaction, spaceId: string, number: string): Promise<void> {
  await cancelReplays(tx, spaceId, number);
  await tx.inSpace(spaceId).query(sql.cancelWaiting, [number]);
}
