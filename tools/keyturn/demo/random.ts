/**
 * Reproducible chance. Each record draws from a stream of its own, keyed by seed, kind and number, so that a record never
 * depends on how many others are made, and the first 200 files are the same in a load of 200 and of 100,000.
 */
export class Random {
  private state: number;

  constructor(...key: (string | number)[]) {
    // FNV-1a over the key: near keys must start far apart.
    let hash = 0x811c9dc5;
    for (const char of key.join('|')) hash = Math.imul(hash ^ (char.codePointAt(0) as number), 0x01000193);
    this.state = hash >>> 0;
  }

  /** In [0, 1): mulberry32. */
  next(): number {
    this.state = (this.state + 0x6d2b79f5) >>> 0;
    let mixed = this.state;
    mixed = Math.imul(mixed ^ (mixed >>> 15), mixed | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  }

  chance(probability: number): boolean {
    return this.next() < probability;
  }

  /** A whole number from `low` to `high`, both included. */
  integer(low: number, high: number): number {
    return low + Math.floor(this.next() * (high - low + 1));
  }

  between(low: number, high: number): number {
    return low + this.next() * (high - low);
  }

  pick<T>(from: readonly T[]): T {
    return from[this.integer(0, from.length - 1)] as T;
  }

  /** One of the words, each as likely as its weight says. */
  weighted<K extends string>(weights: Readonly<Record<K, number>>): K {
    const entries = Object.entries(weights) as [K, number][];
    let rest = this.next() * entries.reduce((sum, [, weight]) => sum + weight, 0);
    for (const [word, weight] of entries) {
      rest -= weight;
      if (rest < 0) return word;
    }
    return (entries.at(-1) as [K, number])[0];
  }

  /** `count` different ones, in their own order. */
  sample<T>(from: readonly T[], count: number): T[] {
    let wanted = Math.min(count, from.length);
    return from.filter((_, index) => {
      const taken = this.next() * (from.length - index) < wanted;
      if (taken) wanted--;
      return taken;
    });
  }
}
