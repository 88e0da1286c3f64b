import type { ListQuery, ListReply, Operator } from './list';

/**
 * Operations between services: requests over NATS on subject `rpc.<name>`, answered by one instance of the service that
 * owns the data. Each reply is a small JSON head; where `body` is said, raw bytes follow it.
 * Those that begin with `admin.` belong to the command line and carry the admin credential.
 */
export interface Operations {
  /** Body: the rows' JSON, joined by commas. */
  'data.list': { request: { spaceId: string; collection: string; query: ListQuery }; reply: ListReply };
  /** Body: the record's JSON. NOT_FOUND when the Space has none. */
  'data.detail': {
    request: { spaceId: string; collection: string; id: number; fields: readonly string[] | null };
    reply: Record<string, never>;
  };
  /** Body: the contact's JSON (T-064). `phone` is in national digits already. */
  'data.lookup': {
    request: { spaceId: string; phone: string; fields: readonly string[] | null };
    reply: Record<string, never>;
  };
  /** Makes the Space known to the applier, or changes whether its events are taken. CONFLICT for one that has been deleted. */
  'data.space.put': { request: { spaceId: string; status: SpaceStatus }; reply: Record<string, never> };
  /** The newest sequence that has committed: what is subscribed now is owed from the next one on. */
  'data.space.position': { request: { spaceId: string }; reply: { sequence: number } };
  /**
   * How far each incoming stream is applied: a message whose stream sequence is not above it has had its effects. EVENTS: up to
   * which position of the log everything has been put there.
   */
  'data.streams.position': {
    request: Record<string, never>;
    reply: { DOMAIN: number; BACKFILL: number; EVENTS: number };
  };

  /**
   * The Space's log behind a sequence, in order: what was committed in [since, until), of these events. Body: the payloads, one
   * after the other, unless they are not wanted.
   */
  'data.events': {
    request: {
      spaceId: string;
      after: number;
      since: string | null;
      until: string | null;
      events: readonly string[] | null;
      limit: number;
      payloads: boolean;
    };
    /** `last`: everything up to it has been looked at; `more`: there may be others behind it. */
    reply: { events: LoggedEvent[]; last: number; more: boolean };
  };

  /**
   * Whether anything is sent for the Space. Suspended: what is owed waits. Deleted, for good: what waits is cancelled, and no secret is
   * left. CONFLICT for one that has been deleted.
   */
  'webhooks.space.put': { request: { spaceId: string; status: SpaceStatus }; reply: Record<string, never> };
  'webhooks.list': { request: { spaceId: string; query: ListQuery }; reply: ListReply };
  'webhooks.get': { request: { spaceId: string; id: string }; reply: Webhook };
  /** With an `Idempotency-Key` a repeat within 24 h gets the same reply; another input under the key is a CONFLICT. */
  'webhooks.create': {
    request: { spaceId: string; input: unknown; idempotencyKey?: string };
    reply: Webhook & { signingSecret: string };
  };
  'webhooks.update': { request: { spaceId: string; id: string; input: unknown }; reply: Webhook };
  /**
   * Whether a URL that is wanted (for the webhook `id`, for a new one where that is left out, or where the owner says `handshake`)
   * has its receiver asked for consent first: whoever then asks for the change has to wait for the receiver too.
   */
  'webhooks.consent': { request: { spaceId: string; id?: string; handshake: boolean }; reply: { asked: boolean } };
  'webhooks.delete': { request: { spaceId: string; id: string }; reply: { id: string; deleted: true } };
  /** Holds deliveries without dropping any; `resume` sends what was held. */
  'webhooks.pause': { request: { spaceId: string; id: string }; reply: Webhook };
  'webhooks.resume': { request: { spaceId: string; id: string }; reply: Webhook };
  /** A new secret; the one before signs too for a while. Input: `{"overlapSeconds": 86400}` or nothing. */
  'webhooks.rotate': {
    request: { spaceId: string; id: string; input: unknown };
    reply: Webhook & { signingSecret: string };
  };
  /** The keys to verify `v1a` signatures with, for whoever knows the endpoint's `publicKeysPath`; NOT_FOUND for any other. */
  'webhook_keys.get': { request: { keysId: string }; reply: { keys: WebhookPublicKey[] } };
  'webhooks.test': { request: { spaceId: string; id: string }; reply: Delivery };
  /** Body: the rows' JSON, joined by commas. */
  'webhooks.deliveries': { request: { spaceId: string; id: string; query: ListQuery }; reply: ListReply };

  /** One delivery with every attempt. */
  'webhooks.delivery': {
    request: { spaceId: string; id: string; deliveryId: string };
    reply: Delivery & { attemptLog: DeliveryAttempt[] };
  };
  /** Sends it again, now and by the schedule from its beginning; what waits for its retry goes now. */
  'webhooks.resend': { request: { spaceId: string; id: string; deliveryId: string }; reply: Delivery };

  /** Input: `since`, and `until`, `events`, `status`, `ratePerSecond`, `url`, `dryRun` at will. */
  'webhooks.replay.create': { request: { spaceId: string; id: string; input: unknown }; reply: Replay };
  /** Body: the rows' JSON, joined by commas. */
  'webhooks.replay.list': { request: { spaceId: string; id: string; query: ListQuery }; reply: ListReply };
  'webhooks.replay.get': { request: { spaceId: string; id: string; replayId: string }; reply: Replay };
  'webhooks.replay.cancel': { request: { spaceId: string; id: string; replayId: string }; reply: Replay };

  /**
   * Removes what payloads and answers say of a record up to an event of its Space's sequence, and cancels what waits of it.
   * `events`: some of them, which dispatchers may not have taken in and never will. Body: their payloads.
   */
  'webhooks.erase': {
    request: { spaceId: string; resource: string; recordId: number; upTo: number; events: LoggedEvent[] };
    reply: { messages: number; attempts: number; cancelled: number };
  };

  /** Enters in the Space's audit log that the command line has a record forgotten: asked before anything of it goes. */
  'audit.erasure': { request: { spaceId: string; resource: string; recordId: number }; reply: Record<string, never> };

  /** Sends the test event of one endpoint now, once, and answers when the attempt is over (T-091). */
  'dispatcher.test': { request: { spaceId: string; webhookId: string }; reply: { deliveryId: string } };
  /** Asks a receiver for its consent; a refusal is an answer: `problem` says why, in words that follow the receiver's name. */
  'dispatcher.handshake': {
    request: { url: string; ratePerMinute: number | null };
    reply: { problem: string | null; allowedRate: number | null };
  };

  'admin.spaces.create': {
    request: { name: string; slug: string; ownerEmail: string; ownerPassword?: string };
    reply: SpaceSummary & { ownerPassword?: string };
  };
  'admin.spaces.list': { request: Record<string, never>; reply: { spaces: SpaceSummary[] } };
  'admin.spaces.suspend': { request: { slug: string }; reply: SpaceSummary };
  'admin.spaces.resume': { request: { slug: string }; reply: SpaceSummary };
  'admin.spaces.delete': { request: { slug: string; confirm: string }; reply: { id: string; deleted: true } };
  'admin.members.list': { request: { space: string }; reply: { members: MemberSummary[] } };
  /** An account that does not exist begins with it; a password that was made up for it comes back this once. */
  'admin.members.add': {
    request: { space: string; email: string; role?: string; password?: string };
    reply: MemberSummary & { password?: string };
  };
  'admin.members.remove': { request: { space: string; email: string }; reply: { email: string; removed: true } };
  'admin.keys.create': {
    request: { space: string; name: string; rateLimit?: number; expiresAt?: string; scopes?: string[] };
    reply: ApiKeySummary & { key: string };
  };
  'admin.keys.list': { request: { space: string }; reply: { keys: ApiKeySummary[] } };
  'admin.keys.revoke': { request: { id: string }; reply: { id: string; revokedAt: string } };
  /** How Postgres carries a read out: the plan, with times and buffers of one run. */
  'admin.reads.explain': { request: { spaceId: string; read: Read }; reply: { plan: string } };
  'admin.events.rejected': { request: { spaceId?: string }; reply: { rejected: RejectedEvent[] } };
  /** Whether everything that was owed in a Space is accounted for, per subscription, from the log and the deliveries. */
  'admin.webhooks.audit': { request: { spaceId: string; since?: string }; reply: WebhookAudit };
  /** Seals secrets anew that are still sealed under a key before `SECRETS_KEY`; `left` is 0 when that key may go. */
  'admin.webhooks.reseal': { request: Record<string, never>; reply: { resealed: number; left: number } };
  /** Enters in the Space's audit log what the command line has done to its webhooks. */
  'admin.webhooks.deed': {
    request: { spaceId: string; operation: string; object: string };
    reply: Record<string, never>;
  };
  /**
   * Forgets a record: its state and everything that the log, the feed, the streams and deliveries say of it, up to this moment.
   * What waits of it is cancelled. A repetition finishes what broke off. `resource` as in event names.
   */
  'admin.data.erase': { request: { spaceId: string; resource: string; recordId: number }; reply: Erasure };
  /** Drops what is older than its owner's retention; `now` is the moment to count from, ISO. */
  'admin.retention.access': { request: { now?: string }; reply: RetentionReport };
  'admin.retention.data': { request: { now?: string }; reply: RetentionReport };
  'admin.retention.webhooks': { request: { now?: string }; reply: RetentionReport };
}

type ReadName = 'data.list' | 'data.detail' | 'data.lookup';
/** One of the reads, without its Space. */
export type Read = { [N in ReadName]: { operation: N } & Omit<Operations[N]['request'], 'spaceId'> }[ReadName];

export type OperationName = keyof Operations;
export type RequestOf<N extends OperationName> = Operations[N]['request'];
export type ReplyOf<N extends OperationName> = Operations[N]['reply'];

export interface Erasure {
  /** The record existed, and is deleted: its subscribers are told so, with its id alone. */
  deleted: boolean;
  /** Events of the log, and of the feed, that have lost their data. */
  events: number;
  /** Messages that are gone from the streams. */
  streamMessages: number;
  /** Stored payloads that have become ids; answers of receivers that are gone; deliveries that will not be made. */
  payloads: number;
  answers: number;
  cancelled: number;
}

/** What was dropped, by kind. */
export type RetentionReport = Record<string, number>;

export type SpaceStatus = 'active' | 'suspended' | 'deleted';

export interface SpaceSummary {
  /** `spc_<n>` */
  id: string;
  slug: string;
  name: string;
  status: SpaceStatus;
  ownerEmail: string;
  createdAt: string;
}

/** An account in a Space. */
export interface MemberSummary {
  email: string;
  role: 'owner' | 'member';
  /** When it joined. */
  since: string;
}

/** A key as lists show it: never the key itself, nor its hash (T-026). */
export interface ApiKeySummary {
  id: string;
  name: string;
  /** The first 12 characters of the key. */
  prefix: string;
  scopes: string[];
  /** Requests a minute. */
  rateLimit: number;
  createdAt: string;
  lastUsedAt: string | null;
  expiresAt: string | null;
  revokedAt: string | null;
}

export interface RejectedEvent {
  id: string | null;
  source: string | null;
  type: string | null;
  spaceId: string | null;
  reason: string;
  receivedAt: string;
}

/** A subscription as replies show it (T-082, T-087). */
export interface Webhook {
  /** `wh_<n>` */
  id: string;
  name: string;
  url: string;
  events: string[];
  isActive: boolean;
  createdAt: string;
  updatedAt: string;
  /** `active`, `inactive` by its owner, `paused`, or `disabled` by failure (DESIGN §4). */
  status: 'active' | 'inactive' | 'paused' | 'disabled';
  disabledReason: string | null;
  /** Deliveries a second; null without a limit. */
  rateLimit: number | null;
  /** `record`: deliveries of one record never overtake one another. */
  ordering: 'none' | 'record';
  /** Seconds between attempts; null for the common schedule. */
  retrySchedule: number[] | null;
  /** Payloads carry the record's id only. */
  thin: boolean;
  filter: WebhookFilter | null;
  /** Names of the headers that each delivery carries besides ours; their values may be secrets and are not shown. */
  headerNames: string[];
  /** Until when what signed before the last rotation signs too. */
  previousSecretUntil: string | null;
  /** What `webhook-signature` holds: HMAC with the secret (`v1`), or Ed25519 with a key pair (`v1a`). */
  signatureScheme: SignatureScheme;
  /** Until when the scheme before the last change of it signs too. */
  previousSchemeUntil: string | null;
  /** `whpk_…` of the current key pair; null with `v1`. */
  publicKey: string | null;
  /** Where the gateway serves all keys that are good now, for everybody who knows this path; null with `v1`. */
  publicKeysPath: string | null;
  /** Its receiver is asked for consent before the URL is used, whatever the installation does by itself. */
  handshake: boolean;
  /** When the receiver at this URL consented; null where it was not asked. */
  verifiedAt: string | null;
  /** Requests a minute that it takes; null where it named no number. */
  allowedRate: number | null;
}

/** Served by the gateway to whoever asks, with a key or without. */
export const publicKeysPrefix = '/.well-known/webhook-keys/';
export const publicKeysPath = (keysId: string) => publicKeysPrefix + keysId;

/** Of Standard Webhooks. */
export type SignatureScheme = 'v1' | 'v1a';

export interface WebhookPublicKey {
  /** `whpk_…` */
  publicKey: string;
  /** When it will sign no more; null for a current one. */
  until: string | null;
}

/** Per resource, conditions on its fields that an event must all meet; events of other resources pass. */
export type WebhookFilter = Record<string, FilterCondition[]>;

export interface FilterCondition {
  field: string;
  /** An operator of list filters, or `changed`. */
  operator: Operator | 'changed';
  value?: unknown;
}

export type DeliveryStatus = 'pending' | 'retrying' | 'success' | 'failed' | 'cancelled';

/** One message of a Space's log. */
export interface LoggedEvent {
  /** `evt_<ulid>` */
  id: string;
  /** In the order of all Spaces, which is that of stream `EVENTS`. */
  position: number;
  /** In the order of its Space. */
  sequence: number;
  event: string;
  recordId: number;
  time: string;
  committedAt: string;
  changed: string[];
  traceparent: string | null;
  /** Length of its payload in the body. */
  bytes: number;
}

/** A job that sends again what was missed, or what failed, or everything of a time. */
export interface Replay {
  /** `rpl_<n>` */
  id: string;
  webhookId: string;
  status: ReplayStatus;
  /** Which events are sent again: their delivery failed, there was none (or it was cancelled), or both and the delivered. */
  selection: ReplaySelection;
  since: string;
  until: string;
  events: string[] | null;
  ratePerSecond: number | null;
  /** Where they go instead of the webhook's own URL. */
  url: string | null;
  /** Only counts. */
  dryRun: boolean;
  /** Events chosen so far; all of them once it is done. */
  matched: number;
  /** Its deliveries by their state. */
  deliveries: Record<DeliveryStatus, number>;
  createdAt: string;
  finishedAt: string | null;
  error: string | null;
}

export type ReplaySelection = 'failed' | 'missed' | 'all';
export type ReplayStatus = 'running' | 'done' | 'cancelled' | 'failed';

export interface WebhookAudit {
  spaceId: string;
  since: string;
  /** The Space's newest event that was looked at. */
  sequence: number;
  /** Nothing unaccounted for, in any subscription. */
  balanced: boolean;
  webhooks: WebhookBalance[];
}

/** owed = delivered + waiting + failed + cancelled + missing. */
export interface WebhookBalance {
  webhookId: string;
  name: string;
  owed: number;
  delivered: number;
  /** Its delivery waits, or the event is still on its way to the dispatchers. */
  waiting: number;
  failed: number;
  cancelled: number;
  /** Owed and taken in by the dispatchers, and there is no delivery. */
  missing: number;
  /** Of those that wait, the ones that nothing would ever send. */
  stuck: number;
  /** Some of the missing, by event id. */
  examples: string[];
}

/** One attempt of a delivery, as its owner sees it. */
export interface DeliveryAttempt {
  /** 1, 2, …; an immediate repeat carries the number of the attempt that it repeats. */
  number: number;
  /** Why it was made. */
  reason: 'first' | 'retry' | 'repeat' | 'resend' | 'replay' | 'test' | 'probe';
  startedAt: string;
  durationMs: number;
  dnsMs: number | null;
  connectMs: number | null;
  tlsMs: number | null;
  firstByteMs: number | null;
  /** The address that was dialled. */
  address: string | null;
  responseStatus: number | null;
  responseHeaders: Record<string, string | string[]> | null;
  /** At most 16 KiB of it. */
  responseBody: string | null;
  /** What kind of failure, in one word. */
  fault: string | null;
  /** The failure in words. */
  error: string | null;
  nextRetryAt: string | null;
  /** Made by a dispatcher that had been given up meanwhile: it may have arrived, another attempt counts. */
  superseded: boolean;
}

/** One endpoint × one message (T-092). */
export interface Delivery {
  /** `dlv_<n>` */
  id: string;
  webhookId: string;
  /** `evt_<ulid>`: `webhook-id` of every attempt. */
  messageId: string;
  event: string;
  status: DeliveryStatus;
  attempts: number;
  maxAttempts: number;
  responseStatus: number | null;
  /** At most 2 kB of it. */
  responseBody: string | null;
  error: string | null;
  durationMs: number | null;
  createdAt: string;
  lastAttemptAt: string | null;
  nextRetryAt: string | null;
  deliveredAt: string | null;
  payload: unknown;
}
