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
   * Inserts the events' messages and one delivery per subscription that owes them (by the Space's sequence), leased to
   * the instance, in one statement. Nothing for pairs that exist. Deliveries of paused or disabled endpoints are written
   * too, held and not returned.
   */
  accept(instance: InstanceId, events: readonly AcceptedEvent[]): Promise<AcceptedDelivery[]>;
  /**
   * Leases deliveries that are due and free, oldest due first but at most `perEndpoint` of one endpoint, so that one
   * endpoint's backlog does not fill the batch; none of `exceptEndpoints` (their lanes are full).
   */
  claim(instance: InstanceId, limit: ClaimLimit): Promise<ClaimedDelivery[]>;
  /** When the next free delivery falls due, on the database's clock, in ms from now; null when none waits. */
  nextDueInMs(): Promise<number | null>;

  /** Settings and state of endpoints, secrets decrypted. */
  endpoints(ids: readonly string[]): Promise<Endpoint[]>;
  /**
   * Writes attempts and their effects in one statement. Fenced: a delivery that is no longer leased to this instance
   * keeps its state (the attempt is still written). Ids of the deliveries that took the effect.
   */
  record(instance: InstanceId, results: readonly AttemptResult[]): Promise<string[]>;
  /** Frees deliveries unattempted, due at once: a lane that overflowed, or an endpoint that stopped. */
  release(instance: InstanceId, deliveryIds: readonly string[]): Promise<void>;
  /** The receiver answered 410: the endpoint goes inactive with reason `gone`, what waits is cancelled (T-112). */
  turnOff(webhookId: string, reason: 'gone'): Promise<void>;
}

/** A number as text, as Postgres's bigint comes. */
export type InstanceId = string;

export interface AcceptedEvent {
  readonly id: string;
  readonly spaceId: string;
  readonly sequence: number;
  readonly event: string;
  readonly recordId: number;
  readonly time: string;
  readonly committedAt: string;
  readonly changed: readonly string[];
  readonly traceparent?: string;
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
}

export interface ClaimLimit {
  readonly total: number;
  readonly perEndpoint: number;
  readonly exceptEndpoints: readonly string[];
}

/** What a retry or a takeover needs, the message with it. */
export interface ClaimedDelivery extends AcceptedDelivery {
  readonly spaceId: string;
  readonly event: string;
  readonly recordId: number;
  readonly sequence: number;
  readonly committedAt: string;
  readonly traceparent?: string;
  readonly payload: Uint8Array;
  /** Counted attempts so far. */
  readonly attempts: number;
  /** How long it has been due, ms: backoff is measured from it. */
  readonly dueSinceMs: number;
}

export type EndpointState = 'active' | 'inactive' | 'paused' | 'disabled' | 'deleted';

export interface Endpoint {
  readonly id: string;
  readonly spaceId: string;
  readonly revision: number;
  readonly state: EndpointState;
  readonly url: string;
  /** The current secret first; then those that are still valid during a rotation. */
  readonly secrets: readonly string[];
}

/** Why an attempt failed, in one word; `status` is an answer outside 2xx. */
export type FaultClass =
  'dns' | 'blocked_address' | 'refused' | 'reset' | 'timeout' | 'tls' | 'protocol' | 'proxy' | 'unreachable' | 'status';

export interface Attempt {
  /** 1, 2, …; an immediate repeat carries the number of the attempt that it repeats. */
  readonly number: number;
  readonly startedAt: Date;
  /** Why it was made. */
  readonly reason: 'first' | 'retry' | 'repeat' | 'resend' | 'replay' | 'test' | 'probe';
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
  readonly attempt: Attempt;
  /** `repeat`: the attempt did not count and another follows at once, so only the attempt is written. */
  readonly effect:
    | { readonly kind: 'delivered' }
    | { readonly kind: 'retry'; readonly inMs: number }
    | { readonly kind: 'failed' }
    | { readonly kind: 'repeat' };
}
