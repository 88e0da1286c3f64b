import { connect, headers } from 'nats';
import type { TestSystem } from '@keyturn/testing';
import { demoEvents } from '../keyturn/demo/demo-events';
import { subjectOf } from '../keyturn/cloud-event';
import { publishAll, type Outgoing } from '../keyturn/publish';
import { printFigure } from './figures';

const encoder = new TextEncoder();
const liveFiles = 4_000;
const probeEveryMs = 100;

/** The brokerage once as it begins and once more with a new price, so that half of the events change what is there. */
function* liveEvents(spaceId: string): Generator<Outgoing> {
  for (const round of [0, 1])
    for (const event of demoEvents({ spaceId, files: liveFiles, seed: 2, live: true })) {
      const at = new Date(Date.parse(event.time) + round * 60_000).toISOString();
      const changed = {
        ...event,
        id: `${event.id}-${round}`,
        time: at,
        type: round ? event.type.replace('.created', '.updated') : event.type,
        data: {
          ...event.data,
          updatedAt: at,
          ...(event.type.startsWith('file.') ? { earnestMoney: 1_000 + round } : {}),
        },
      };
      yield {
        subject: subjectOf(changed),
        messageId: `${changed.source}|${changed.id}`,
        body: encoder.encode(JSON.stringify(changed)),
      };
    }
}

/** A backlog of live events, all kinds of records, created and updated: from the first publish to the last commit. */
export async function measureApplying(system: TestSystem): Promise<void> {
  const { id } = await system.createSpace();
  const connection = await connect({ servers: system.nats.url });
  const started = performance.now();
  const { accepted } = await publishAll(connection, liveEvents(id));
  await system.applied(10 * 60_000);
  printFigure('live events applied and relayed', 'events/s', accepted / ((performance.now() - started) / 1_000));
  await connection.close();
}

/** How long single live events of another Space take from publish to stream EVENTS while `work` runs, in ms, sorted. */
export async function liveDelaysDuring(system: TestSystem, work: () => Promise<unknown>): Promise<number[]> {
  const { id } = await system.createSpace();
  const connection = await connect({ servers: system.nats.url });
  const sent = new Map<string, number>();
  const delays: number[] = [];
  const subscription = connection.subscribe(`events.${id}.>`, {
    callback: (_error, message) => {
      const record = message.headers?.get('Keyturn-Record') ?? '';
      delays.push(performance.now() - (sent.get(record) ?? 0));
    },
  });
  await connection.flush();
  const stream = connection.jetstream({ timeout: 60_000 });
  let record = 0;
  const probe = setInterval(() => {
    const recordId = ++record;
    const event = {
      specversion: '1.0',
      id: `probe-${recordId}`,
      source: '/bench',
      type: 'note.created',
      spaceid: id,
      time: new Date().toISOString(),
      data: { id: recordId, subject: 'probe' },
    };
    const messageHeaders = headers();
    messageHeaders.set('Nats-Msg-Id', event.id);
    sent.set(String(recordId), performance.now());
    void stream.publish(`domain.${id}.note.created`, JSON.stringify(event), { headers: messageHeaders });
  }, probeEveryMs);
  try {
    await work();
  } finally {
    clearInterval(probe);
  }
  await system.applied();
  subscription.unsubscribe();
  await connection.close();
  if (delays.length < record * 0.99) throw new Error(`of ${record} live events only ${delays.length} came through`);
  return delays.sort((a, b) => a - b);
}
