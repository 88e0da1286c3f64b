import type { AttemptResult, DispatchStore, InstanceId } from '@keyturn/webhook-store';
import { isUnavailable } from '@keyturn/platform/database';
import type { Log } from '@keyturn/platform/logs';

export interface RecorderOptions {
  /** As many results make a batch that does not wait. */
  readonly fullBatch?: number;
  /** A result waits at most so long for others, ms. */
  readonly lingerMs?: number;
  /** The same while many come: a statement costs something for itself, so fewer and larger ones leave more for sending. */
  readonly busyLingerMs?: number;
  /** A batch is through, whatever became of it: these deliveries are no longer in this process's hands. */
  readonly onWritten?: (results: readonly AttemptResult[]) => void;
  /** Results that were refused, since the lease they were made under is over. */
  readonly onRefused?: (count: number) => void;
}

interface Entry {
  readonly instance: InstanceId;
  readonly result: AttemptResult;
}

const maxBatch = 400;
/** A batch of so many says that many come. */
const busyBatch = 50;
/** While one batch is written the next one gathers: a statement costs by the row, and something for itself. */
const maxWrites = 1;
const retryMs = 250;

/** Writes results in batches, beside the sending: no attempt waits for the database, and none is forgotten while it is away. */
export class Recorder {
  private readonly entries: Entry[] = [];
  private timer: NodeJS.Timeout | undefined;
  private writes = 0;
  private unwritten = 0;
  private onEmpty: (() => void)[] = [];
  private lastBatch = 0;
  private finished = false;
  private readonly fullBatch: number;
  private readonly lingerMs: number;
  private readonly busyLingerMs: number;

  constructor(
    private readonly store: Pick<DispatchStore, 'record'>,
    private readonly log: Log,
    private readonly options: RecorderOptions = {},
  ) {
    this.fullBatch = options.fullBatch ?? 250;
    this.lingerMs = options.lingerMs ?? 5;
    this.busyLingerMs = options.busyLingerMs ?? 50;
  }

  /** Results that are not in the database yet. */
  get pending(): number {
    return this.unwritten;
  }

  add(instance: InstanceId, result: AttemptResult): void {
    this.entries.push({ instance, result });
    this.unwritten++;
    this.schedule();
  }

  /** Resolves when everything that was added is written. */
  private written(): Promise<void> {
    return this.unwritten ? new Promise((resolve) => this.onEmpty.push(resolve)) : Promise.resolve();
  }

  /**
   * For a process that ends: writes what it can within `withinMs`. What the database does not take by then is as if this process
   * had died: the lease runs out, and others send it again under the same id.
   */
  async finish(withinMs: number): Promise<void> {
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<void>((resolve) => (timer = setTimeout(resolve, withinMs)));
    await Promise.race([this.written(), late]);
    clearTimeout(timer);
    this.finished = true;
    if (this.unwritten) this.log.warn({ count: this.unwritten }, 'results not written: others send these again');
  }

  private schedule(): void {
    if (!this.entries.length || this.writes >= maxWrites) return;
    if (this.entries.length >= this.fullBatch) this.start();
    else this.timer ??= setTimeout(() => this.start(), this.lastBatch >= busyBatch ? this.busyLingerMs : this.lingerMs);
  }

  private start(): void {
    clearTimeout(this.timer);
    this.timer = undefined;
    const [first] = this.entries;
    if (!first || this.writes >= maxWrites) return;
    // One statement is of one instance; after a lost lease there may be results of two.
    const count = this.entries.findIndex(({ instance }) => instance !== first.instance);
    const batch = this.entries.splice(0, Math.min(count === -1 ? this.entries.length : count, maxBatch));
    this.writes++;
    this.lastBatch = batch.length;
    void this.write(
      first.instance,
      batch.map(({ result }) => result),
    ).finally(() => {
      this.writes--;
      this.unwritten -= batch.length;
      this.options.onWritten?.(batch.map(({ result }) => result));
      if (!this.unwritten) for (const done of this.onEmpty.splice(0)) done();
      this.schedule();
    });
  }

  private async write(instance: InstanceId, results: readonly AttemptResult[]): Promise<void> {
    for (;;) {
      try {
        const taken = await this.store.record(instance, results);
        const refused = new Set(results.map(({ deliveryId }) => deliveryId)).size - taken.length;
        if (refused > 0) this.options.onRefused?.(refused);
        return;
      } catch (error) {
        if (!isUnavailable(error)) return this.writeApart(instance, results, error);
        if (this.finished) return;
        await new Promise((resolve) => setTimeout(resolve, retryMs));
      }
    }
  }

  /** One result that the database refuses must not take the others with it. */
  private async writeApart(instance: InstanceId, results: readonly AttemptResult[], error: unknown): Promise<void> {
    if (results.length > 1) {
      const half = Math.ceil(results.length / 2);
      await this.write(instance, results.slice(0, half));
      await this.write(instance, results.slice(half));
      return;
    }
    const [result] = results;
    if (!result) return;
    this.log.error({ deliveryId: result.deliveryId, error: String(error) }, 'result refused by the database');
    if (result.attempt.body === null && result.attempt.headers === null) return;
    // What a receiver has sent is the only part that we have not made ourselves.
    const bare = { ...result.attempt, body: null, headers: null };
    await this.write(instance, [{ ...result, attempt: bare }]);
  }
}
