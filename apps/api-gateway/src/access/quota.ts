/** What a response says about the limit that its request counted against (T-041). */
export interface Quota {
  /** Which limit: a key's own, or that of a client address. */
  readonly policy: 'key' | 'address';
  /** Requests in any 60 s. */
  readonly limit: number;
  readonly remaining: number;
  /** Until the next permits come back. */
  readonly resetSeconds: number;
}

export const quotaWindowSeconds = 60;
