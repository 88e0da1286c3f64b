import type { ClaimedDelivery, DispatchStore, InstanceId, Room } from '@keyturn/webhook-store';
import type { Log } from '@keyturn/platform/logs';

export interface ClaimerOptions {
  /** Under which deliveries are leased; undefined while nothing may be. */
  readonly instance: () => InstanceId | undefined;
  readonly room: () => Room;
  /** `room` is what the claim was given. */
  readonly take: (instance: InstanceId, deliveries: readonly ClaimedDelivery[], room: Room) => Promise<void>;
}

/** A wake-up may be lost with the process that owed it, so the queue is looked at in any case after so long. */
const longestRestMs = 1_000;
/** After a claim that brought nothing, so long at least, also when woken; after one that brought something, so long at most. */
const shortRestMs = 20;
const failureRestMs = 500;

/** Brings what has fallen due: retries, overflow, what dead instances left. Woken by the next due time and by word of mouth. */
export class Claimer {
  private running: Promise<void> = Promise.resolve();
  private stopped = false;
  private woken = false;
  private claiming = false;
  private wakeUp: (() => void) | undefined;
  /** By `performance.now()`: something that this process has put back falls due. */
  private dueAt = Infinity;
  private alarm: NodeJS.Timeout | undefined;

  constructor(
    private readonly store: Pick<DispatchStore, 'claim' | 'nextDueInMs'>,
    private readonly log: Log,
    private readonly options: ClaimerOptions,
  ) {}

  start(): void {
    this.running = this.run();
  }

  /** There may be something to claim, or room for it. */
  wake(): void {
    this.woken = true;
    this.wakeUp?.();
  }

  /**
   * What was claimed has gone and there is more. While a claim is under way that says nothing: what it brings is not counted
   * yet, and the next delivery that ends says it again.
   */
  thirst(): void {
    if (!this.claiming) this.wake();
  }

  /** Something falls due in so long; the database need not be asked. */
  wakeIn(ms: number): void {
    const at = performance.now() + ms;
    if (at >= this.dueAt || ms > longestRestMs) return;
    clearTimeout(this.alarm);
    this.dueAt = at;
    this.alarm = setTimeout(() => {
      this.dueAt = Infinity;
      this.wake();
    }, ms);
  }

  async stop(): Promise<void> {
    this.stopped = true;
    clearTimeout(this.alarm);
    this.wake();
    await this.running;
  }

  private async run(): Promise<void> {
    while (!this.stopped) {
      this.woken = false;
      this.claiming = true;
      const { leastMs, mostMs } = await this.claim().catch((error: unknown) => {
        this.log.warn({ error: String(error) }, 'claim failed');
        return { leastMs: failureRestMs, mostMs: failureRestMs };
      });
      this.claiming = false;
      await this.rest(leastMs, mostMs);
    }
  }

  /** How long to rest until the next claim, at least and, if nobody wakes us, at most. */
  private async claim(): Promise<{ leastMs: number; mostMs: number }> {
    const instance = this.options.instance();
    const room = this.options.room();
    if (instance === undefined || room.total === 0) return { leastMs: 0, mostMs: longestRestMs };
    const claimed = await this.store.claim(instance, room);
    if (claimed.length) {
      await this.options.take(instance, claimed, room);
      return { leastMs: 0, mostMs: shortRestMs };
    }
    const full = [...room.ofEndpoint].filter(([, left]) => left === 0).map(([endpointId]) => endpointId);
    const nextMs = await this.store.nextDueInMs(full);
    return { leastMs: shortRestMs, mostMs: Math.min(Math.max(nextMs ?? longestRestMs, shortRestMs), longestRestMs) };
  }

  private async rest(leastMs: number, mostMs: number): Promise<void> {
    if (leastMs) await new Promise((resolve) => setTimeout(resolve, leastMs));
    if (this.woken || this.stopped || mostMs <= leastMs) return;
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, mostMs - leastMs);
      this.wakeUp = () => {
        clearTimeout(timer);
        resolve();
      };
    });
    this.wakeUp = undefined;
  }
}
