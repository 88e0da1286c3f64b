import { fork } from 'node:child_process';
import { once } from 'node:events';
import { connect } from 'nats';
import { waitFor, type TestSystem } from '@keyturn/testing';
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

/**
 * A backlog of live events, all kinds of records, created and updated: from the moment data-service goes on to the last commit.
 * The publisher has finished by then, so its work is not in the figure; everything else is on the machine.
 */
export async function measureApplying(system: TestSystem): Promise<void> {
  const { id } = await system.createSpace();
  const connection = await connect({ servers: system.nats.url });
  const applier = system.pid('data-service');
  process.kill(applier, 'SIGSTOP');
  const { accepted } = await publishAll(connection, liveEvents(id)).finally(() => process.kill(applier, 'SIGCONT'));
  const started = performance.now();
  await system.applied(10 * 60_000);
  printFigure('backlog of live events applied', 'events/s', accepted / ((performance.now() - started) / 1_000));
  await connection.close();
}

/** How long single live events of another Space take from publish to stream EVENTS while `work` runs, in ms, sorted. */
export async function liveDelaysDuring(system: TestSystem, work: () => Promise<unknown>): Promise<number[]> {
  const { id } = await system.createSpace();
  // In a process of its own: the one that fills a Space is too busy to publish on time.
  const child = fork(process.argv[1] as string, ['probe', system.nats.url, id], { stdio: ['ignore', 2, 2, 'ipc'] });
  const over = once(child, 'message') as Promise<[number[]]>;
  try {
    await work();
  } finally {
    child.send('enough');
  }
  const [delays] = await over;
  return delays;
}

/** Publishes an event every tenth of a second until it is told that it is enough; then what each of them took. */
export async function probeLiveEvents(natsUrl: string, spaceId: string, enough: Promise<unknown>): Promise<number[]> {
  const connection = await connect({ servers: natsUrl });
  const sent = new Map<string, number>();
  const delays: number[] = [];
  connection.subscribe(`events.${spaceId}.>`, {
    callback: (_error, message) => {
      delays.push(performance.now() - (sent.get(message.headers?.get('Keyturn-Record') ?? '') ?? 0));
    },
  });
  await connection.flush();
  const stream = connection.jetstream({ timeout: 60_000 });
  const publish = async () => {
    const recordId = sent.size + 1;
    const event = {
      specversion: '1.0',
      id: `probe-${recordId}`,
      source: '/bench',
      type: 'note.created',
      spaceid: spaceId,
      time: new Date().toISOString(),
      data: { id: recordId, subject: 'probe' },
    };
    sent.set(String(recordId), performance.now());
    await stream.publish(`domain.${spaceId}.note.created`, JSON.stringify(event), { msgID: event.id });
  };
  const probe = setInterval(() => void publish(), probeEveryMs);
  await enough;
  clearInterval(probe);
  await waitFor('every live event to come through', () => delays.length === sent.size, 60_000);
  await connection.close();
  return delays.sort((a, b) => a - b);
}
