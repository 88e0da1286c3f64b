import { Injectable, type OnApplicationBootstrap } from '@nestjs/common';
import { ApiError } from '@keyturn/contracts';
import { Log } from '@keyturn/platform/logs';
import { Drain } from '@keyturn/platform/service';
import { maxReplayWaiting, ReplayStore, type LogPage, type ReplayJob } from '@keyturn/webhook-store';
import { LogReader } from '../operations/log-reader';
import { WebhookHints } from '../webhooks/webhook-hints';

const pollMs = 500;
const pageSize = 200;
const jobsAtOnce = 4;
const laterMs = 1_000;

/** Works at replays, one page of the log at a time. Several runners share the jobs; one that dies leaves them to others. */
@Injectable()
export class ReplayRunner implements OnApplicationBootstrap {
  private timer: NodeJS.Timeout | undefined;
  private working: Promise<void> | undefined;

  constructor(
    private readonly replays: ReplayStore,
    private readonly reader: LogReader,
    private readonly hints: WebhookHints,
    private readonly drain: Drain,
    private readonly log: Log,
  ) {}

  onApplicationBootstrap(): void {
    this.sleep();
    this.drain.on('replays', async () => {
      clearTimeout(this.timer);
      await this.working;
    });
  }

  /** Works at what is due until nothing is. Calls at once share the work. */
  run(): Promise<void> {
    this.working ??= this.work().finally(() => {
      this.working = undefined;
    });
    return this.working;
  }

  private sleep(): void {
    this.timer = setTimeout(() => {
      void this.run().finally(() => {
        if (!this.drain.draining) this.sleep();
      });
    }, pollMs);
  }

  private async work(): Promise<void> {
    try {
      for (;;) {
        const jobs = await this.replays.take(jobsAtOnce);
        if (jobs.length === 0 || this.drain.draining) return;
        await Promise.all(jobs.map((job) => this.step(job)));
      }
    } catch (error) {
      this.log.warn({ error: String(error) }, 'replays not worked at');
    }
  }

  private async step(job: ReplayJob): Promise<void> {
    try {
      if (job.read) {
        if (!(await this.replays.finish(job))) await this.replays.wait(job, laterMs);
      } else if (job.ratePerSecond === null && job.waiting >= maxReplayWaiting) {
        await this.replays.wait(job, laterMs);
      } else {
        await this.replays.step(job, await this.page(job));
        this.hints.changed(`wh_${job.targetId}`);
      }
    } catch (error) {
      const passing = error instanceof ApiError && error.code === 'UNAVAILABLE';
      this.log.warn({ replayId: `rpl_${job.id}`, error: String(error) }, 'replay not continued');
      await (passing ? this.replays.wait(job, laterMs) : this.replays.fail(job, 'The replay met an unexpected error'));
    }
  }

  private async page(job: ReplayJob): Promise<LogPage> {
    if (job.events.length === 0) return { events: [], last: job.position, more: false };
    return this.reader.page({
      spaceId: job.spaceId,
      after: job.position,
      since: job.since,
      until: job.until,
      events: job.events,
      limit: pageSize,
      payloads: job.payloads,
    });
  }
}
