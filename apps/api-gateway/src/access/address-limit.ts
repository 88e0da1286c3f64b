import { clientNetwork } from './client-network';
import type { Quota } from './quota';
import { quotaWindowSeconds } from './quota';

const slotMs = 5_000;
/** Twelve whole slots make the window; the thirteenth is the one that is running, so the limit is never passed in any 60 s. */
const slots = (quotaWindowSeconds * 1000) / slotMs + 1;

interface Bucket {
  /** Requests by slot, as a ring. */
  readonly counts: Uint16Array;
  /** Number of the newest slot. */
  newest: number;
  total: number;
}

/**
 * Requests without a valid key, counted by client address: in memory, per replica (DESIGN §3). Memory is bounded: when there
 * are more addresses than room, the one that has been quiet longest is forgotten.
 */
export class AddressLimit {
  private readonly buckets = new Map<string, Bucket>();

  constructor(
    readonly limit: number,
    private readonly maxAddresses = 20_000,
    /** No clock that may be set: whoever has used up the limit would be refused for as long as it was set back. */
    private readonly now: () => number = () => performance.now(),
  ) {}

  /** Counts one request; false when the address has none left. A refused request does not count (T-043). */
  take(address: string): boolean {
    const bucket = this.current(address);
    if (bucket.total >= this.limit) return false;
    bucket.total++;
    const slot = bucket.newest % slots;
    bucket.counts[slot] = (bucket.counts[slot] ?? 0) + 1;
    return true;
  }

  quota(address: string): Quota {
    const key = clientNetwork(address);
    const bucket = this.buckets.get(key);
    const newest = this.slot();
    if (bucket) age(bucket, newest);
    const total = bucket?.total ?? 0;
    return {
      policy: 'address',
      limit: this.limit,
      remaining: this.limit - total,
      resetSeconds: bucket && total ? this.secondsUntilOldestEnds(bucket) : 0,
    };
  }

  /** Addresses remembered now. */
  get size(): number {
    return this.buckets.size;
  }

  private slot(): number {
    return Math.floor(this.now() / slotMs);
  }

  private current(address: string): Bucket {
    const key = clientNetwork(address);
    const newest = this.slot();
    let bucket = this.buckets.get(key);
    if (bucket) {
      age(bucket, newest);
      // Last in the map is last to be forgotten.
      this.buckets.delete(key);
    } else {
      bucket = { counts: new Uint16Array(slots), newest, total: 0 };
      if (this.buckets.size >= this.maxAddresses) this.forgetQuietest();
    }
    this.buckets.set(key, bucket);
    return bucket;
  }

  private forgetQuietest(): void {
    for (const key of this.buckets.keys()) {
      this.buckets.delete(key);
      return;
    }
  }

  private secondsUntilOldestEnds(bucket: Bucket): number {
    for (let number = bucket.newest - slots + 1; number <= bucket.newest; number++) {
      if (bucket.counts[(number + slots) % slots])
        return Math.max(1, Math.ceil(((number + slots) * slotMs - this.now()) / 1000));
    }
    return 0;
  }
}

/** Forgets the slots that have left the window. */
function age(bucket: Bucket, newest: number): void {
  if (newest <= bucket.newest) return;
  if (newest - bucket.newest >= slots) {
    bucket.counts.fill(0);
    bucket.total = 0;
  } else {
    for (let number = bucket.newest + 1; number <= newest; number++) {
      const slot = number % slots;
      bucket.total -= bucket.counts[slot] ?? 0;
      bucket.counts[slot] = 0;
    }
  }
  bucket.newest = newest;
}
