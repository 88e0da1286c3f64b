import { Injectable } from '@nestjs/common';
import { Metrics } from '@keyturn/platform/metrics';
import type { QueueFigures } from '@keyturn/webhook-store';
import type { Report } from './sender';

/** What the engine shows of itself, read when `/metrics` is. */
export interface Gauges {
  readonly inFlight: () => number;
  readonly waiting: () => number;
  readonly endpoints: () => number;
  readonly unwritten: () => number;
  readonly streamLag: () => Promise<number>;
  readonly figures: () => Promise<QueueFigures>;
}

const latencyBuckets = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 30, 300, 3_600, 86_400];

@Injectable()
export class DispatchMetrics {
  readonly accepted;
  readonly garbage;
  readonly refused;
  private readonly attempts;
  private readonly attemptDuration;
  private readonly commitToFirstAttempt;
  private readonly putOff;
  private readonly commitToSuccess;

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
    this.commitToFirstAttempt = metrics.histogram(
      'webhook_commit_to_first_attempt_seconds',
      'From the commit of the change to the beginning of the first attempt, unless owner or receiver may have put it off.',
      [],
      latencyBuckets,
    );
    this.putOff = metrics.counter(
      'webhook_first_attempts_put_off_total',
      'First attempts that a rate, an order, a pause, a change of the endpoint or the wish of its receiver may have delayed.',
      [],
    );
    this.commitToSuccess = metrics.histogram(
      'webhook_commit_to_success_seconds',
      'From the commit of the change to the 2xx of its delivery.',
      [],
      latencyBuckets,
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
    metrics.gauge('event_stream_pending', 'Messages of the stream not taken yet.', ['stream'], async (gauge) =>
      gauge.set({ stream: 'EVENTS' }, await gauges.streamLag()),
    );
    // One look at the database for the three of them, the same on every replica. What cannot be known is no number: the figure
    // of before would say that nothing waits while nobody can look.
    const figures = onceAtATime(() => gauges.figures());
    metrics.gauge(
      'webhook_deliveries_due',
      'Deliveries that are due, that nobody has in hand and that their receivers would take now; at most 5,000 of an endpoint.',
      [],
      async (gauge) => gauge.set((await figures()).due),
    );
    metrics.gauge(
      'webhook_oldest_due_seconds',
      'How long the oldest of them has been due, of endpoints that no dispatcher is at.',
      [],
      async (gauge) => gauge.set((await figures()).oldestDueSeconds),
    );
    metrics.gauge('webhook_endpoints', 'Endpoints, by state.', ['state'], async (gauge) => {
      const { endpoints } = await figures();
      for (const state of ['active', 'inactive', 'paused', 'disabled', 'suspended'] as const)
        gauge.set({ state }, endpoints[state] ?? 0);
    });
  }

  attempt({ attempt, decision, delivery }: Report): void {
    const outcome = attempt.faultClass === null ? 'success' : attempt.faultClass;
    this.attempts.inc({ outcome, decision: decision.kind, reason: attempt.reason });
    this.attemptDuration.observe({ outcome }, attempt.totalMs / 1_000);
    if (attempt.reason === 'test' || attempt.reason === 'replay') return;
    const sinceCommit = Math.max(0, Date.now() - delivery.committedAt) / 1_000;
    // How long the receiver then takes is its own affair.
    if (attempt.reason === 'first') {
      if (delivery.putOff) this.putOff.inc();
      else this.commitToFirstAttempt.observe(Math.max(0, sinceCommit - attempt.totalMs / 1_000));
    }
    if (decision.kind === 'delivered') this.commitToSuccess.observe(sinceCommit);
  }
}

/** Whoever asks while one is under way gets its answer. */
function onceAtATime<T>(work: () => Promise<T>): () => Promise<T> {
  let running: Promise<T> | undefined;
  return () => (running ??= work().finally(() => (running = undefined)));
}
