import { ConcurrencyLimit } from './concurrency';
import type { Outgoing } from './outgoing';

/** Deliveries kept in memory for each slot of an endpoint: enough to bridge the way to the database. */
const waitingPerSlot = 16;
const leastWaiting = 4;
/** Requests of which none is answered for so long are slots that others could use. */
export const slowMs = 1_000;
/** What is late catches up by so much of its rate and no faster. */
const catchUpShare = 0.05;
/** Later than that, a paced delivery gives its moment up and is paced anew. */
const maxLateMs = 250;

/** What one endpoint has in this process: deliveries that wait, requests in flight, and how many of them it bears. */
export class Lane {
  readonly limit = new ConcurrencyLimit();
  inFlight = 0;
  /** The last answer was one of trouble, or slow: such lanes together get a part of the slots only. */
  strained = false;
  /** By `performance.now()`: the receiver has asked for quiet until then. */
  holdUntil = 0;
  /** Since the last sweep, and by `performance.now()`. */
  used = true;
  usedAt = 0;
  /** The database holds more for this endpoint that is due. */
  backlog = false;

  private readonly first = new Fifo<Outgoing>();
  private readonly later = new Fifo<Outgoing>();
  private answered = false;
  /** By `performance.now()`: the last answer, or the first request since none was under way. */
  private heardAt = 0;
  /** The last paced delivery that was started: its moment, and when it really was. */
  private paced: { readonly moment: number; readonly startedAt: number } | undefined;

  constructor(
    readonly endpointId: string,
    readonly spaceId: string,
  ) {}

  get waiting(): number {
    return this.first.size + this.later.size;
  }

  get idle(): boolean {
    return this.waiting === 0 && this.inFlight === 0;
  }

  /** How many deliveries the lane still takes. */
  get room(): number {
    return Math.max(0, Lane.capacity(this.limit.value) - this.waiting - this.inFlight);
  }

  /** Room for a claim: none until the lane is half empty, so that claims are few and large. */
  get claimRoom(): number {
    const capacity = Lane.capacity(this.limit.value);
    return this.room * 2 >= capacity ? this.room : 0;
  }

  static capacity(limit: number): number {
    return limit === 1 ? leastWaiting : limit * waitingPerSlot;
  }

  add(delivery: Outgoing): void {
    (delivery.reason === 'first' ? this.first : this.later).push(delivery);
  }

  /** First attempts before late ones; undefined where none waits. */
  peek(): Outgoing | undefined {
    return this.first.peek() ?? this.later.peek();
  }

  /** The next delivery begins. */
  start(now: number): Outgoing | undefined {
    const delivery = this.first.shift() ?? this.later.shift();
    if (!delivery) return undefined;
    if (this.inFlight++ === 0) this.heardAt = now;
    if (delivery.notBefore) this.paced = { moment: delivery.notBefore, startedAt: now };
    return delivery;
  }

  /** One of those under way has ended, however. */
  ended(now: number): void {
    this.inFlight--;
    this.answered = true;
    this.heardAt = now;
  }

  /** It has been given requests and is not heard of: for the first time, or any more. */
  silent(now: number): boolean {
    return this.inFlight > 0 && (!this.answered || now - this.heardAt >= slowMs);
  }

  /** By `performance.now()`: when the next delivery may start; undefined while none may. */
  readyAt(now: number): number | undefined {
    const next = this.peek();
    if (!next || this.inFlight >= this.limit.value) return undefined;
    return Math.max(now, this.holdUntil, next.notBefore, this.paceOf(next));
  }

  /** What waited for a slot must not make up for it in a burst. */
  private paceOf({ notBefore }: Outgoing): number {
    if (!notBefore || !this.paced) return 0;
    return this.paced.startedAt + (1 - catchUpShare) * (notBefore - this.paced.moment);
  }

  /** Takes out what has missed its moment: another one is given to it where the rate is kept, over all instances. */
  takeLate(now: number): Outgoing[] {
    const late: Outgoing[] = [];
    for (const fifo of [this.first, this.later])
      for (let next = fifo.peek(); next?.notBefore && now - next.notBefore > maxLateMs; next = fifo.peek()) {
        late.push(next);
        fifo.shift();
      }
    return late;
  }

  /** Takes out what is beyond the lane's room, the newest first: another instance may have more luck with it. */
  overflow(): Outgoing[] {
    const excess = this.waiting + this.inFlight - Lane.capacity(this.limit.value);
    const out: Outgoing[] = [];
    while (out.length < excess) {
      const last = this.later.pop() ?? this.first.pop();
      if (!last) break;
      out.push(last);
    }
    return out;
  }

  clear(): Outgoing[] {
    return [...this.first.drain(), ...this.later.drain()];
  }
}

/** A queue whose head is taken without moving the rest. */
class Fifo<T> {
  private items: T[] = [];
  private head = 0;

  get size(): number {
    return this.items.length - this.head;
  }

  push(item: T): void {
    this.items.push(item);
  }

  peek(): T | undefined {
    return this.items[this.head];
  }

  shift(): T | undefined {
    if (this.head === this.items.length) return undefined;
    const item = this.items[this.head++];
    if (this.head > 256 && this.head * 2 > this.items.length) {
      this.items = this.items.slice(this.head);
      this.head = 0;
    }
    return item;
  }

  pop(): T | undefined {
    return this.size ? this.items.pop() : undefined;
  }

  drain(): T[] {
    const rest = this.items.slice(this.head);
    this.items = [];
    this.head = 0;
    return rest;
  }
}
