import { Rejection } from '@keyturn/contracts';
import { isTracing, openSpan, withinAll, type Span } from '@keyturn/platform/tracing';
import type { Folded } from './fold';
import type { PreparedEvent } from './prepared-event';

type Prepared = PreparedEvent | Rejection;

/**
 * The events of one transaction, each a step of its publisher's trace: what is emitted goes on from that step. The statements
 * are shared; they stand in the first one's trace.
 */
export class TracedBatch {
  private constructor(
    readonly events: readonly Prepared[],
    private readonly spans: readonly (Span | undefined)[],
  ) {}

  static open(stream: string, events: readonly Prepared[]): TracedBatch {
    if (!isTracing()) return new TracedBatch(events, []);
    const spans = events.map((prepared) => openStep(stream, prepared, events.length));
    const traced = events.map((prepared, index) => {
      const traceparent = spans[index]?.traceparent;
      if (prepared instanceof Rejection || traceparent === undefined) return prepared;
      return { ...prepared, event: { ...prepared.event, traceparent } };
    });
    return new TracedBatch(traced, spans);
  }

  async run(work: () => Promise<Folded>): Promise<Folded> {
    try {
      const folded = await withinAll(this.spans, work);
      this.spans.forEach((span, index) => {
        const outcome = folded.outcomes[index];
        span?.set({ 'keyturn.outcome': outcome instanceof Rejection ? outcome.code : outcome });
        span?.end(outcome instanceof Rejection ? 'rejected' : undefined);
      });
      return folded;
    } catch (error) {
      for (const span of this.spans) span?.end('not applied');
      throw error;
    }
  }
}

/** Of a backfill only what its publisher traces: a first load of a million records is no million traces. */
function openStep(stream: string, prepared: Prepared, batch: number): Span | undefined {
  if (prepared instanceof Rejection) return undefined;
  const { traceparent, backfill, resource, action, spaceId } = prepared.event;
  if (backfill && traceparent === undefined) return undefined;
  const attributes = {
    'messaging.system': 'nats',
    'messaging.operation.name': 'process',
    'messaging.operation.type': 'process',
    'messaging.destination.name': stream,
    'messaging.batch.message_count': batch,
    'cloudevents.event_type': `${resource.name}.${action}`,
    'keyturn.space.id': spaceId,
  };
  return openSpan({ name: `process ${stream}`, kind: 'consumer', attributes }, traceparent);
}
