import type { CommittedEvent, SignatureScheme } from '@keyturn/contracts';

/**
 * What a dispatcher asks of the store. A dispatcher registers as an instance and renews one row, not one per delivery:
 * deliveries are leased to the instance, an instance whose time ran out is dead, and what it held is free again.
 */
export interface DispatchStore {
  /** A new instance: its id is never used again. Its time runs until `leaseMs` from now, on the database's clock. */
  register(leaseMs: number): Promise<InstanceId>;
  /** False when the instance is known as dead already: it must stop, drop what it holds and register anew. */
  renew(instance: InstanceId, leaseMs: number): Promise<boolean>;
  /** Marks instances whose time ran out as dead and frees their deliveries; how many deliveries became due. */
  reap(): Promise<number>;
  /** Frees what the instance still holds and forgets it: the end of a drain. */
  retire(instance: InstanceId): Promise<void>;

  /**
   * Inserts the events' messages and one delivery per subscription that owes them (by the Space's sequence) in one
   * statement; nothing for pairs that exist. What fits into `room` is leased to the instance and returned; the rest waits
   * in the queue, as does what is held (paused, disabled), paced (a rate limit), ordered, or behind an older backlog of its
   * endpoint: that goes through `claim`.
   */
  accept(instance: InstanceId, events: readonly CommittedEvent[], room: Room): Promise<Accepted>;
  /**
   * Leases deliveries that are due and free, in fair turns: Spaces take turns, and within a Space its endpoints; within an
   * endpoint first attempts before retries, oldest due first, at most its room.
   */
  claim(instance: InstanceId, room: Room): Promise<ClaimedDelivery[]>;
  /**
   * When the next free delivery falls due, on the database's clock, in ms from now: 0 when one of an endpoint outside
   * `exceptEndpoints` could be claimed at once; null when none waits.
   */
  nextDueInMs(exceptEndpoints?: readonly string[]): Promise<number | null>;
  /**
   * Writes the message and the delivery of an owner's test, leased to the instance whatever the endpoint's events and state
   * say; null when the Space has no such endpoint (T-091).
   */
  openTest(instance: InstanceId, test: TestMessage): Promise<AcceptedDelivery | null>;

  /** Settings and state of endpoints, secrets decrypted. */
  endpoints(ids: readonly string[]): Promise<Endpoint[]>;
  /** Called with endpoints that got something due besides what `accept` and `nextDueInMs` say: a record's next delivery. */
  onReady(listener: (endpointIds: readonly string[]) => void): void;
  /**
   * Writes attempts and their effects in one statement. Fenced: a delivery that is no longer leased to this instance
   * keeps its state (the attempt is still written). Ids of the deliveries that took the effect.
   */
  record(instance: InstanceId, results: readonly AttemptResult[]): Promise<string[]>;
  /** Ids of what is leased to the instance: an answer of ours that got lost on its way has left some that it does not know. */
  leasedTo(instance: InstanceId): Promise<string[]>;
  /** Frees deliveries unattempted, due at once: a lane that overflowed, or an endpoint that stopped. */
  release(instance: InstanceId, deliveryIds: readonly string[]): Promise<void>;
  /** What the queue looks like, over all instances. */
  figures(): Promise<QueueFigures>;
  /** The receiver answered 410: the endpoint goes inactive with reason `gone`, what waits is cancelled (T-112). */
  turnOff(webhookId: string, reason: 'gone'): Promise<void>;
}

/** A number as text, as Postgres's bigint comes. */
export type InstanceId = string;

export interface Accepted {
  readonly leased: AcceptedDelivery[];
  /** Written, due and not leased: a `claim` may bring them at once. */
  readonly waiting: number;
  /** Whose they are, by the number of `wh_<n>`. */
  readonly waitingOf: readonly string[];
}

/** `webhook.test`: a message of no sequence, for one endpoint. */
export interface TestMessage {
  readonly messageId: string;
  readonly spaceId: string;
  /** `wh_<n>` */
  readonly webhookId: string;
  /** ISO ms; the payload's timestamp. */
  readonly time: string;
  readonly payload: Uint8Array;
}

export interface AcceptedDelivery {
  /** The number of `dlv_<n>`, as text. */
  readonly id: string;
  readonly messageId: string;
  /** The number of `wh_<n>`, as text. */
  readonly webhookId: string;
  /** Grows with each change of the endpoint: settings are cached by it. */
  readonly revision: number;
  /** The body is `thinPayload` of the message rather than its payload; decided once, so repeats are the same bytes. */
  readonly thin: boolean;
}

/** How many deliveries the instance can start at once. */
export interface Room {
  readonly total: number;
  /** Of one endpoint, where `ofEndpoint` does not say otherwise. */
  readonly perEndpoint: number;
  /** By the number of `wh_<n>`: endpoints that have something in flight here, with what is left of their limit. */
  readonly ofEndpoint: ReadonlyMap<string, number>;
}

/** What a retry or a takeover needs, the message with it. */
export interface ClaimedDelivery extends AcceptedDelivery {
  readonly spaceId: string;
  readonly event: string;
  readonly recordId: number;
  /** Null for messages outside the Space's sequence: tests, operational events. */
  readonly sequence: number | null;
  readonly time: string;
  readonly committedAt: string;
  readonly traceparent?: string;
  readonly payload: Uint8Array;
  /** Counted attempts so far. */
  readonly attempts: number;
  /** Attempts before this round: what counts into the schedule is `attempts - attemptsBefore`. Above 0 after a resend. */
  readonly attemptsBefore: number;
  readonly reason: AttemptReason;
  /** Not to be sent earlier, ms from now: the endpoint's own rate. 0 where it has none. */
  readonly notBeforeInMs: number;
  /** How long it has been due, ms: backoff is measured from it. */
  readonly dueSinceMs: number;
  /**
   * Its owner or its receiver may have had it wait: by a rate or an order, or since the endpoint was paused, off, changed or
   * asked for quiet after the commit.
   */
  readonly putOff: boolean;
}

/** `suspended`: its Space is, whatever else it would be. */
export type EndpointState = 'active' | 'inactive' | 'paused' | 'disabled' | 'suspended' | 'deleted';

export interface Endpoint {
  readonly id: string;
  readonly spaceId: string;
  readonly revision: number;
  readonly state: EndpointState;
  readonly url: string;
  /** Its receiver has consented: each request says who we are, as it was asked. */
  readonly verified: boolean;
  /** The current secret first; then those that are still valid during a rotation. */
  readonly secrets: readonly string[];
  /** Private keys for `v1a`, in the same order; none where it does not sign so. */
  readonly signatureKeys: readonly string[];
  readonly signatureScheme: SignatureScheme;
  /** Until when the other scheme signs too, epoch ms; null where it does not. */
  readonly previousSchemeUntil: number | null;
  /** When the second secret and the second key end, epoch ms; null without a rotation. */
  readonly previousSecretUntil: number | null;
  /** Its own offsets between attempts; null for the setting's. */
  readonly retryScheduleMs: readonly number[] | null;
  readonly ordering: 'none' | 'record';
  /** Deliveries a second; null without a limit. `claim` keeps it over all instances. */
  readonly rateLimit: number | null;
  /** The owner's own, sent with each delivery. */
  readonly headers: Readonly<Record<string, string>>;
}

/** Why an attempt is made. */
export type AttemptReason = 'first' | 'retry' | 'repeat' | 'resend' | 'replay' | 'test' | 'probe';

/** Why an attempt failed, in one word; `status` is an answer outside 2xx, `internal` a mistake of ours. */
export type FaultClass =
  | 'dns'
  | 'blocked_address'
  | 'refused'
  | 'reset'
  | 'timeout'
  | 'tls'
  | 'protocol'
  | 'proxy'
  | 'unreachable'
  | 'status'
  | 'internal';

export interface Attempt {
  /** 1, 2, …; an immediate repeat carries the number of the attempt that it repeats. */
  readonly number: number;
  readonly startedAt: Date;
  /** Why it was made. */
  readonly reason: AttemptReason;
  readonly address: string | null;
  readonly status: number | null;
  readonly headers: string | null;
  readonly body: string | null;
  readonly faultClass: FaultClass | null;
  /** In words, for the owner. */
  readonly error: string | null;
  readonly dnsMs: number | null;
  readonly connectMs: number | null;
  readonly tlsMs: number | null;
  readonly firstByteMs: number | null;
  readonly totalMs: number;
}

export interface AttemptResult {
  readonly deliveryId: string;
  /** Of the change, epoch ms: the delivery is kept in the partition of that day. */
  readonly committedAt: number;
  readonly attempt: Attempt;
  /**
   * `repeat`: the attempt did not count and another follows at once, so only the attempt is written. `put_back`: it was a probe that
   * failed; it did not count either, and the delivery waits on as it did.
   */
  readonly effect:
    | { readonly kind: 'delivered' }
    /** `holdEndpointMs`: nothing of this endpoint is claimed for so long, by any instance (429, 503, `Retry-After`). */
    | { readonly kind: 'retry'; readonly inMs: number; readonly holdEndpointMs?: number }
    | { readonly kind: 'failed' }
    | { readonly kind: 'repeat' }
    | { readonly kind: 'put_back' };
}

export interface QueueFigures {
  /** Due, and with no instance, of endpoints that would take deliveries now; of one endpoint, no more than it can make use of. */
  readonly due: number;
  /** How long the oldest of them has been due, of endpoints that no instance is at; 0 where there is none. */
  readonly oldestDueSeconds: number;
  /** Endpoints that are not deleted, by state. */
  readonly endpoints: Readonly<Partial<Record<EndpointState, number>>>;
}
