import { Injectable } from '@nestjs/common';
import { Metrics } from '@keyturn/platform/metrics';
import type { Report } from './sender';

/** What the engine shows of itself, read when `/metrics` is. */
export interface Gauges {
  readonly inFlight: () => number;
  readonly waiting: () => number;
  readonly endpoints: () => number;
  readonly unwritten: () => number;
  readonly streamLag: () => Promise<number | undefined>;
  readonly oldestDueSeconds: () => Promise<number>;
}

@Injectable()
export class DispatchMetrics {
  readonly accepted;
  readonly garbage;
  readonly refused;
  private readonly attempts;
  private readonly attemptDuration;
  private readonly commitToDelivered;

  constructor(private readonly metrics: Metrics) {
    this.accepted = metrics.counter('webhook_deliveries_accepted_total', 'Deliveries made from committed events.', []);
    this.garbage = metrics.counter('webhook_messages_dropped_total', 'Messages of the stream that are no events.', []);
    this.refused = metrics.counter(
      'webhook_results_refused_total',
      'Results that did not count, since the lease they were made under was over.',
      [],
    );
    this.attempts = metrics.counter('webhook_attempts_total', 'Requests to receivers, by outcome.', [
      'outcome',
      'decision',
      'reason',
    ]);
    this.attemptDuration = metrics.histogram(
      'webhook_attempt_duration_seconds',
      'Time of one request to a receiver.',
      ['outcome'],
      [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10],
    );
    this.commitToDelivered = metrics.histogram(
      'webhook_commit_to_delivered_seconds',
      'From the commit of the change to the 2xx of its delivery, first attempts apart from late ones.',
      ['attempt'],
      [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 5, 30, 300, 3_600, 86_400],
    );
  }

  observe(gauges: Gauges): void {
    const { metrics } = this;
    metrics.gauge('webhook_requests_in_flight', 'Requests to receivers under way.', [], (gauge) =>
      gauge.set(gauges.inFlight()),
    );
    metrics.gauge('webhook_deliveries_held', 'Deliveries in memory that wait for their turn.', [], (gauge) =>
      gauge.set(gauges.waiting()),
    );
    metrics.gauge('webhook_lanes', 'Endpoints with work in memory.', [], (gauge) => gauge.set(gauges.endpoints()));
    metrics.gauge('webhook_results_unwritten', 'Results that are not in the database yet.', [], (gauge) =>
      gauge.set(gauges.unwritten()),
    );
    metrics.gauge('webhook_stream_lag_messages', 'Committed events that no dispatcher has taken.', [], async (gauge) => {
      const lag = await gauges.streamLag();
      if (lag !== undefined) gauge.set(lag);
    });
    metrics.gauge(
      'webhook_oldest_due_age_seconds',
      'How long the oldest due delivery of an endpoint that takes deliveries has waited.',
      [],
      async (gauge) => gauge.set(await gauges.oldestDueSeconds()),
    );
  }

  attempt({ attempt, decision, delivery }: Report): void {
    const outcome = attempt.faultClass === null ? 'success' : attempt.faultClass;
    this.attempts.inc({ outcome, decision: decision.kind, reason: attempt.reason });
    this.attemptDuration.observe({ outcome }, attempt.totalMs / 1_000);
    if (decision.kind === 'delivered')
      this.commitToDelivered.observe(
        { attempt: attempt.number === 1 ? 'first' : 'later' },
        Math.max(0, Date.now() - delivery.committedAt) / 1_000,
      );
  }
}
