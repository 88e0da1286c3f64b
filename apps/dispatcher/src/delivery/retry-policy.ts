import type { FaultClass } from '@keyturn/webhook-store';

/** How one attempt ended, as far as the next step depends on it. */
export interface AttemptEnd {
  /** Of the answer; null where none came. */
  readonly status: number | null;
  readonly fault: FaultClass | null;
  readonly retryAfter: string | null;
  readonly totalMs: number;
  /** 1 for the first attempt of this round. */
  readonly attempt: number;
  /** The immediate repeat of this attempt has been made, or none is wanted. */
  readonly repeated: boolean;
  /** Made to see whether a disabled endpoint answers again. */
  readonly probe: boolean;
}

export interface RetryRules {
  /** Offsets, each from the end of the attempt before: with eight of them there are nine attempts (X3). */
  readonly scheduleMs: readonly number[];
  readonly jitter: boolean;
}

export type Decision =
  | { readonly kind: 'delivered' }
  /** At once, and without counting. */
  | { readonly kind: 'repeat' }
  /** `holdMs`: the receiver has asked for quiet, so nothing else goes to it for so long. */
  | { readonly kind: 'retry'; readonly inMs: number; readonly holdMs: number }
  | { readonly kind: 'failed' }
  /** The probe has failed: its delivery waits on, whatever its schedule says, and has lost nothing. */
  | { readonly kind: 'put_back' }
  /** 410: the receiver wants nothing any more. */
  | { readonly kind: 'gone' };

const longestRetryAfterMs = 24 * 3_600_000;
/** A receiver holds up its own deliveries at most so long; what is retried waits as long as it has asked. */
const longestHoldMs = 60_000;
const repeatWithinMs = 1_000;
const jitterShare = 0.1;

/** Faults of the connection rather than of what was said on it. */
const connectionFaults: ReadonlySet<FaultClass | null> = new Set(['refused', 'reset', 'unreachable']);

/** What follows from an attempt (T-112). Pure: the moment and the chance are given. */
export function decide(end: AttemptEnd, rules: RetryRules, now: Date, chance: () => number): Decision {
  if (isSuccess(end.status)) return { kind: 'delivered' };
  if (end.status === 410) return { kind: 'gone' };
  if (!end.repeated && connectionFaults.has(end.fault) && end.totalMs < repeatWithinMs) return { kind: 'repeat' };
  if (end.probe) return { kind: 'put_back' };
  const offsetMs = rules.scheduleMs[end.attempt - 1];
  if (offsetMs === undefined) return { kind: 'failed' };
  const askedMs = parseRetryAfter(end.retryAfter, now);
  const waitMs = askedMs ?? offsetMs;
  return {
    kind: 'retry',
    inMs: Math.ceil(waitMs + (rules.jitter ? jitterOf(waitMs, askedMs !== undefined) * chance() : 0)),
    holdMs: askedMs !== undefined && asksForQuiet(end.status) ? Math.min(askedMs, longestHoldMs) : 0,
  };
}

/** At most a tenth of the wait; what a receiver has asked for ends after 24 h in any case. */
const jitterOf = (waitMs: number, asked: boolean) =>
  Math.min(waitMs * jitterShare, asked ? longestRetryAfterMs - waitMs : Infinity);

export const isSuccess = (status: number | null) => status !== null && status >= 200 && status < 300;

const asksForQuiet = (status: number | null) => status === 429 || status === 503;

/** A fault that takes so long holds a slot as a hanging receiver does: names may hang as well as those they stand for. */
const slowFaultMs = 1_000;

/** The receiver is overloaded, or too slow: fewer requests at a time. */
export function slowsDown(status: number | null, fault: FaultClass | null, totalMs: number): boolean {
  if (status !== null) return status === 429 || status === 502 || status === 503 || status === 504;
  return fault === 'timeout' || connectionFaults.has(fault) || totalMs >= slowFaultMs;
}

/** Seconds or an HTTP date, as ms from now, at most 24 h; undefined where it is neither. */
export function parseRetryAfter(text: string | null, now: Date): number | undefined {
  if (text === null) return undefined;
  const trimmed = text.trim();
  // A date without a day's name would be read as local time or worse: only the forms of RFC 9110 count.
  const ms = /^\d+$/.test(trimmed)
    ? Number(trimmed) * 1_000
    : /^[A-Z][a-z]+,? .*\d/.test(trimmed)
      ? Date.parse(trimmed.endsWith('GMT') ? trimmed : `${trimmed} GMT`) - now.getTime()
      : NaN;
  return Number.isNaN(ms) ? undefined : Math.min(Math.max(ms, 0), longestRetryAfterMs);
}
