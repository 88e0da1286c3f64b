/**
 * How many requests an endpoint gets at a time: it grows by one for each round of successes at the limit, and halves when the
 * receiver is overloaded or hangs (additive increase, multiplicative decrease). A slow receiver ends with one slot.
 */
export class ConcurrencyLimit {
  static readonly start = 8;
  static readonly max = 64;

  private exact = ConcurrencyLimit.start;
  private lastDecreaseAt = -Infinity;

  get value(): number {
    return Math.floor(this.exact);
  }

  /** `busy`: requests in flight when the answer came; a limit that is not used is no reason to raise it. */
  succeeded(busy: number): void {
    if (busy >= this.value) this.exact = Math.min(ConcurrencyLimit.max, this.exact + 1 / this.exact);
  }

  /** Requests that were under way together report the same trouble, so it counts once. */
  struggled(startedAt: number, now: number): void {
    if (startedAt < this.lastDecreaseAt) return;
    this.exact = Math.max(1, this.exact / 2);
    this.lastDecreaseAt = now;
  }
}
