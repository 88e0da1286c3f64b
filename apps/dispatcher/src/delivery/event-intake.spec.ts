import { unavailable, type CommittedEvent } from '@keyturn/contracts';
import { Log } from '@keyturn/platform/logs';
import { NatsLink } from '@keyturn/platform/nats';
import { waitFor } from '@keyturn/testing';
import { eventsConsumer as consumerName, eventsStream as stream } from '@keyturn/webhook-store';
import { DispatcherFixture } from '../testing/dispatcher.fixture';
import { EventIntake } from './event-intake';

describe('reading the stream', () => {
  let system: DispatcherFixture;
  let link: NatsLink;
  const intakes: EventIntake[] = [];

  beforeEach(async () => {
    system = await DispatcherFixture.open();
    link = new NatsLink({ natsUrl: system.nats.url }, 'test', Log.create('test', 'silent'));
    await link.whenConnected();
  });
  afterEach(async () => {
    await Promise.all(intakes.splice(0).map((intake) => intake.stop()));
    await link.close();
    await system.close();
  });

  const intake = (accept: (events: readonly CommittedEvent[]) => Promise<void>, ackWaitMs?: number) => {
    const made = new EventIntake(link, Log.create('test', 'silent'), {
      accept,
      onGarbage: () => undefined,
      ...(ackWaitMs === undefined ? {} : { ackWaitMs }),
    });
    intakes.push(made);
    made.start();
    return made;
  };
  const consumer = async () => (await link.manager()).consumers.info(stream, consumerName);

  it('T-114 what a process had read when it died comes to another within 10 s', async () => {
    const first = intake(() => Promise.resolve());
    await waitFor('the consumer', async () => (await consumer()).name);
    await first.stop();
    const events = system.events(30);
    await system.publish(...events);
    const dead = await (
      await link.jetstream().consumers.get(stream, consumerName)
    ).fetch({ max_messages: 30, expires: 2_000 });
    const read: number[] = [];
    for await (const message of dead) if (read.push(message.seq) === 30) break;
    const accepted = new Set<string>();
    intake((batch) => {
      for (const { id } of batch) accepted.add(id);
      return Promise.resolve();
    });
    await waitFor('all of them', () => accepted.size === events.length, 10_000);
  });

  it('T-114 an event whose acceptance another transaction was in the way of is accepted later, not dropped', async () => {
    const inTheWay = Object.assign(new Error('deadlock detected'), { code: '40P01' });
    const failures = [inTheWay, inTheWay];
    const accepted: string[] = [];
    intake((batch) => {
      const failure = failures.pop();
      if (failure) return Promise.reject(failure);
      accepted.push(...batch.map(({ id }) => id));
      return Promise.resolve();
    });
    const event = system.event();
    await system.publish(event);
    await waitFor('the event', () => accepted.length > 0);
    expect(accepted).toEqual([event.id]);
  });

  it('T-116 a batch that is too slow for its time limit is taken in by parts, not tried for ever', async () => {
    const tooSlow = Object.assign(new Error('canceling statement due to statement timeout'), { code: '57014' });
    const accepted: string[] = [];
    intake((batch) => {
      if (batch.length > 3) return Promise.reject(unavailable('The query took too long', tooSlow));
      accepted.push(...batch.map(({ id }) => id));
      return Promise.resolve();
    });
    const events = system.events(40);
    await system.publish(...events);
    await waitFor('all of them', () => accepted.length === events.length);
    expect(new Set(accepted)).toEqual(new Set(events.map(({ id }) => id)));
    await waitFor('everything to be acked', async () => (await consumer()).num_ack_pending === 0);
  });

  it('what waits for the database stays with the process that has read it', async () => {
    const ackWaitMs = 2_000;
    let goOn: () => void = () => undefined;
    const back = new Promise<void>((resolve) => (goOn = resolve));
    let held = 0;
    const reports = new Map<string, number>();
    link.connection().subscribe(`$JS.ACK.${stream}.${consumerName}.>`, {
      callback: (_error, message) => {
        if (message.string() === '+WPI') reports.set(message.subject, (reports.get(message.subject) ?? 0) + 1);
      },
    });
    intake((batch) => {
      held += batch.length;
      return back;
    }, ackWaitMs);
    await system.publish(...system.events(20));
    await waitFor('the events to be read', async () => held > 0 && (await consumer()).num_ack_pending === 20);
    let elsewhere = 0;
    intake((batch) => {
      elsewhere += batch.length;
      return Promise.resolve();
    }, ackWaitMs);
    // Four reports are made within the time after which a message would come again.
    await waitFor('twice that time to pass', () => [...reports.values()].some((count) => count >= 8), 20_000);
    expect([elsewhere, (await consumer()).num_redelivered]).toEqual([0, 0]);
    goOn();
    await waitFor('everything to be acked', async () => (await consumer()).num_ack_pending === 0);
  });
});
