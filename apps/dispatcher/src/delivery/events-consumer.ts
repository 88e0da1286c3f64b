import type { NatsLink } from '@keyturn/platform/nats';
import { eventsConsumer, eventsStream } from '@keyturn/webhook-store';
import { AckPolicy, DeliverPolicy, nanos, NatsError } from 'nats';

/** Within the 10 s in which others take over what a dead process had read, beside the time that a request for more lives. */
export const defaultAckWaitMs = 5_000;

type Consumers = Awaited<ReturnType<NatsLink['manager']>>['consumers'];

const isMissing = (error: unknown) => error instanceof NatsError && error.api_error?.code === 404;

/** The one durable consumer that all dispatchers share, from the beginning of the stream when nobody has made it yet. */
export async function ensureConsumer(consumers: Consumers, ackWaitMs: number): Promise<void> {
  try {
    await consumers.update(eventsStream, eventsConsumer, changeable(ackWaitMs));
  } catch (error) {
    if (!isMissing(error)) throw error;
    await consumers.add(eventsStream, { ...made(ackWaitMs), deliver_policy: DeliverPolicy.All });
  }
}

const changeable = (ackWaitMs: number) => ({ ack_wait: nanos(ackWaitMs), max_ack_pending: 10_000 });
const made = (ackWaitMs: number) => ({
  ...changeable(ackWaitMs),
  durable_name: eventsConsumer,
  ack_policy: AckPolicy.Explicit,
});

/** Reads the stream again behind this sequence: a consumer cannot be set back, so another one takes its name. */
export async function readAgainBehind(consumers: Consumers, sequence: number): Promise<void> {
  await consumers.delete(eventsStream, eventsConsumer).catch((error: unknown) => {
    if (!isMissing(error)) throw error;
  });
  await consumers.add(eventsStream, {
    ...made(defaultAckWaitMs),
    deliver_policy: DeliverPolicy.StartSequence,
    opt_start_seq: sequence + 1,
  });
}
