import { Inject, Injectable, type OnApplicationBootstrap } from '@nestjs/common';
import { Database } from '@keyturn/platform/database';
import { Log } from '@keyturn/platform/logs';
import { Drain, SETTINGS } from '@keyturn/platform/service';
import { EndpointHealth } from '@keyturn/webhook-store';
import type { WebhookServiceSettings } from '../settings';
import { WebhookHints } from '../webhooks/webhook-hints';

/** Looks at failing endpoints from time to time. Several at once do no harm: each change is made by one of them. */
@Injectable()
export class HealthJudge implements OnApplicationBootstrap {
  private readonly health: EndpointHealth;
  private timer: NodeJS.Timeout | undefined;
  private judging: Promise<void> = Promise.resolve();

  constructor(
    database: Database,
    private readonly hints: WebhookHints,
    private readonly drain: Drain,
    private readonly log: Log,
    @Inject(SETTINGS) private readonly settings: WebhookServiceSettings,
  ) {
    this.health = new EndpointHealth(database, {
      thresholds: {
        withoutSuccessMs: settings.disableAfterMs,
        failurePercent: settings.disablePercent,
        minAttempts: settings.disableMinAttempts,
      },
      probeIntervalMs: settings.probeIntervalMs,
      maxAttempts: settings.retryScheduleMs.length + 1,
    });
  }

  onApplicationBootstrap(): void {
    this.wait();
    this.drain.on('health of endpoints', async () => {
      clearTimeout(this.timer);
      await this.judging;
    });
  }

  private wait(): void {
    this.timer = setTimeout(() => {
      this.judging = this.judge().finally(() => {
        if (!this.drain.draining) this.wait();
      });
    }, this.settings.healthIntervalMs);
  }

  private async judge(): Promise<void> {
    try {
      for (const endpointId of await this.health.judge()) this.hints.changed(`wh_${endpointId}`);
    } catch (error) {
      this.log.warn({ error: String(error) }, 'endpoints not judged');
    }
  }
}
