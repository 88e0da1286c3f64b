import type { AttemptReason, InstanceId } from '@keyturn/webhook-store';

/** A delivery in the dispatcher's hands: leased, and with everything that its next attempt needs. */
export interface Outgoing {
  /** The lease it is held under: what is reported under another one counts no more. */
  readonly instance: InstanceId;
  readonly id: string;
  /** `evt_<ulid>` */
  readonly messageId: string;
  readonly webhookId: string;
  readonly spaceId: string;
  readonly event: string;
  /** Exact bytes of the body. */
  readonly body: Uint8Array;
  readonly committedAt: number;
  readonly traceparent: string | undefined;
  /** Counted attempts so far, and those of them that belong to an earlier round. */
  readonly attempts: number;
  readonly attemptsBefore: number;
  readonly reason: AttemptReason;
  /** By `performance.now()`: not to be sent earlier, for the endpoint's own rate. */
  readonly notBefore: number;
  /** Its owner or its receiver may have had it wait: how late it is says nothing of us. */
  readonly putOff: boolean;
}
