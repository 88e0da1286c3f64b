import type { CommittedEvent } from '@keyturn/contracts';
import { isTracing, openSpan, withinAll, type Span } from '@keyturn/platform/tracing';
import { eventsStream } from '@keyturn/webhook-store';

/**
 * Takes in events, each as a step of its trace; attempts, whenever they come, go on from that step. The statement that all of
 * them share stands in the first one's trace. Events without a trace stay without.
 */
export async function takeTraced(
  events: readonly CommittedEvent[],
  take: (events: readonly CommittedEvent[]) => Promise<void>,
): Promise<void> {
  if (!isTracing()) return take(events);
  const spans = events.map((event) => openStep(event, events.length));
  const traced = events.map((event, index) => {
    const traceparent = spans[index]?.traceparent;
    return traceparent === undefined ? event : { ...event, traceparent };
  });
  try {
    await withinAll(spans, () => take(traced));
    for (const span of spans) span?.end();
  } catch (error) {
    for (const span of spans) span?.end('not taken');
    throw error;
  }
}

function openStep({ traceparent, event, spaceId, id }: CommittedEvent, batch: number): Span | undefined {
  if (traceparent === undefined) return undefined;
  const attributes = {
    'messaging.system': 'nats',
    'messaging.operation.name': 'process',
    'messaging.operation.type': 'process',
    'messaging.destination.name': eventsStream,
    'messaging.batch.message_count': batch,
    'messaging.message.id': id,
    'cloudevents.event_type': event,
    'keyturn.space.id': spaceId,
  };
  return openSpan({ name: `process ${eventsStream}`, kind: 'consumer', attributes }, traceparent);
}
