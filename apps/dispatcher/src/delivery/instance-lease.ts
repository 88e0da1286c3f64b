import type { DispatchStore, InstanceId } from '@keyturn/webhook-store';
import type { Log } from '@keyturn/platform/logs';

export interface InstanceLeaseOptions {
  readonly leaseMs: number;
  /** The lease holds for a while again. */
  readonly onHeld: () => void;
  /** The lease is over before it could be renewed: what was held under it belongs to others. */
  readonly onLost: () => void;
  /** Deliveries of an instance that died have come free. */
  readonly onFreed: (count: number) => void;
}

/** Below what remains of the lease, nothing new is started: the clocks of two machines run a little apart. */
const marginShare = 0.1;
const beats = 6;

/** This process as the store knows it: one row that is renewed, under which all deliveries are leased. */
export class InstanceLease {
  private current: InstanceId | undefined;
  private validUntil = 0;
  private timer: NodeJS.Timeout | undefined;
  private beating: Promise<void> = Promise.resolve();
  private stopped = false;

  constructor(
    private readonly store: Pick<DispatchStore, 'register' | 'renew' | 'reap' | 'retire'>,
    private readonly log: Log,
    private readonly options: InstanceLeaseOptions,
  ) {}

  /** The instance under which work may be started now; undefined while there is none. */
  get id(): InstanceId | undefined {
    return performance.now() < this.validUntil ? this.current : undefined;
  }

  start(): void {
    this.beat();
  }

  /** Frees what is still held; where the database is away, the lease runs out by itself. */
  async stop(): Promise<void> {
    this.stopped = true;
    clearTimeout(this.timer);
    await this.beating;
    if (this.current !== undefined)
      await this.store
        .retire(this.current)
        .catch((error: unknown) => this.log.warn({ error: String(error) }, 'lease not given back'));
    this.validUntil = 0;
    this.current = undefined;
  }

  private beat(): void {
    this.beating = this.renew()
      .catch((error: unknown) => this.log.warn({ error: String(error) }, 'lease not renewed'))
      .finally(() => {
        if (!this.stopped) this.timer = setTimeout(() => this.beat(), this.options.leaseMs / beats);
      });
  }

  private async renew(): Promise<void> {
    const asked = performance.now();
    const { leaseMs } = this.options;
    if (this.current === undefined) this.current = await this.store.register(leaseMs);
    else if (!(await this.store.renew(this.current, leaseMs))) {
      this.log.warn({ instance: this.current }, 'lease lost');
      this.current = undefined;
      this.validUntil = 0;
      this.options.onLost();
      return this.renew();
    }
    this.validUntil = asked + leaseMs * (1 - marginShare);
    this.options.onHeld();
    const freed = await this.store.reap();
    if (freed) this.options.onFreed(freed);
  }
}
