import { chmod, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { ensureStreams } from '@keyturn/platform/nats';
import { PostgresServer, waitFor } from '@keyturn/testing';
import { Door } from './door.fixture';
import { WriteSide, WriteSideServers, type Event } from './write-side.fixture';

/** What may happen to the servers and to the processes between any two steps, and what must be true afterwards. */

let servers: WriteSideServers;
const sides = new Set<WriteSide>();
const doors = new Set<Door>();

async function startSide(urls: { databaseUrl?: string; natsUrl?: string } = {}): Promise<WriteSide> {
  const side = await WriteSide.start({ databaseUrl: servers.database.url, natsUrl: servers.nats.url, ...urls });
  sides.add(side);
  return side;
}

async function openDoor(url: string): Promise<Door> {
  const door = await Door.to(url);
  doors.add(door);
  return door;
}

async function stopSide(side: WriteSide): Promise<void> {
  sides.delete(side);
  await side.stop();
}

beforeEach(async () => {
  servers = await WriteSideServers.start();
  await servers.putSpace(1);
});

afterEach(async () => {
  for (const door of doors) await door.close();
  doors.clear();
  await Promise.all([...sides].map(stopSide));
  await servers.stop();
});

const note = (id: number, more: Partial<Event> = {}): Event => ({
  id: `n${id}`,
  type: 'note.created',
  data: { id, subject: `s${id}` },
  ...more,
});

async function publishNotes(from: number, to: number, more: Partial<Event> = {}): Promise<void> {
  for (let id = from; id <= to; id++) await servers.publish(note(id, more));
}

/** Each of the records 1 … n is there once, said once in the log, and relayed once, in order. */
async function expectNotes(count: number): Promise<void> {
  await servers.settled();
  const expected = Array.from({ length: count }, (_, index) => index + 1);
  const stored = await servers.rows<{ id: string }>('select id from data.note where space_id = 1 order by id');
  expect(stored.map(({ id }) => Number(id))).toEqual(expected);
  const log = await servers.rows<{ record_id: string; sequence: string; event_id: string }>(
    'select record_id, sequence, event_id from data.event_log where space_id = 1 order by id',
  );
  expect(log.map(({ sequence }) => Number(sequence))).toEqual(expected);
  expect(log.map(({ record_id: id }) => Number(id)).sort((a, b) => a - b)).toEqual(expected);
  const [total] = await servers.rows<{ total: string }>(
    `select total from data.counter where space_id = 1 and collection = 'notes'`,
  );
  expect(Number(total?.total)).toBe(count);
  expect((await servers.events()).map(({ id }) => id)).toEqual(log.map(({ event_id: id }) => id));
}

/** Backends of the one that holds the lock. */
const holder = `select pid from pg_locks where locktype = 'advisory' and granted and database = (select oid from pg_database where datname = current_database())`;

it('T-114 another instance takes over within five seconds when the one that applies loses its session', async () => {
  await startSide();
  await startSide();
  await publishNotes(1, 20);
  await servers.settled();
  for (const round of [1, 2, 3]) {
    const [before] = await servers.rows<{ pid: number }>(holder);
    expect(before).toBeDefined();
    await servers.rows('select pg_terminate_backend($1)', [before?.pid]);
    const started = performance.now();
    await publishNotes(20 * round + 1, 20 * round + 20);
    await servers.settled();
    expect(performance.now() - started).toBeLessThan(5_000);
  }
  await expectNotes(80);
});

it('a process that hangs with the lock in hand is replaced within five seconds', async () => {
  const door = await openDoor(servers.database.url);
  await startSide({ databaseUrl: door.url });
  await publishNotes(1, 5);
  await servers.settled();
  await startSide();
  // Nothing comes through any more, as from a machine that stands still: no end of connection, no reset.
  door.freeze();
  const started = performance.now();
  await publishNotes(6, 10);
  await expectNotes(10);
  expect(performance.now() - started).toBeLessThan(6_500);
  door.thaw();
  await publishNotes(11, 15);
  await expectNotes(15);
});

it('one that ends on request hands over at once', async () => {
  const first = await startSide();
  await publishNotes(1, 5);
  await servers.settled();
  await startSide();
  await stopSide(first);
  const started = performance.now();
  await publishNotes(6, 10);
  await servers.settled();
  expect(performance.now() - started).toBeLessThan(2_000);
  await expectNotes(10);
});

it('T-114 connections cut between any two steps: everything once, in order, no gaps', async () => {
  const database = await openDoor(servers.database.url);
  const nats = await openDoor(servers.nats.url);
  await startSide({ databaseUrl: database.url, natsUrl: nats.url });
  await startSide({ databaseUrl: database.url, natsUrl: nats.url });
  let published = 0;
  let cutting = true;
  const position = async () => {
    const rows = await servers.rows<{ sequence: string }>(`select sequence from data.position where name = 'DOMAIN'`);
    return Number(rows[0]?.sequence);
  };
  const publishing = (async () => {
    while (cutting) {
      // One by one and in bursts, so that batches of every size are cut.
      const burst = published % 7 === 0 ? 10 : 1;
      await Promise.all(Array.from({ length: burst }, (_, n) => servers.publish(note(published + n + 1))));
      published += burst;
      // Not too far ahead: it is cuts that are wanted, not a backlog.
      await waitFor('the events to be applied', async () => !cutting || (await position()) > published - 50, 30_000);
    }
  })();
  // After so many packets from the services, whatever they were doing.
  for (const packets of [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 17, 23, 31]) {
    await (packets % 3 ? database : nats).cutAfter(packets);
    const before = await position();
    await waitFor('events to be applied again', async () => (await position()) > before);
  }
  cutting = false;
  await publishing;
  await expectNotes(published);
}, 120_000);

it('NATS is killed and comes back: nothing is lost, nothing twice', async () => {
  await startSide();
  await publishNotes(1, 30);
  await servers.settled();
  for (const round of [1, 2]) {
    await servers.nats.kill();
    await servers.nats.restart();
    await waitFor('the publisher to be back', () => servers.publisher.flush().then(() => true));
    await publishNotes(30 * round + 1, 30 * round + 30);
  }
  await expectNotes(90);
}, 60_000);

it('PostgreSQL is killed and comes back: nothing is lost, nothing twice', async () => {
  const folder = await mkdtemp(path.join(tmpdir(), 'keyturn-restart-'));
  // As root, PostgreSQL runs under another account, which has to enter.
  await chmod(folder, 0o755);
  const options = {
    dataDir: path.join(folder, 'data'),
    logFile: path.join(folder, 'postgres.log'),
    password: 'password',
    durable: true,
  };
  let postgres = await PostgresServer.start(options);
  const regular = servers;
  try {
    servers = await WriteSideServers.start({ url: postgres.url, drop: () => Promise.resolve() });
    await servers.putSpace(1);
    await startSide();
    await startSide();
    await publishNotes(1, 20);
    await servers.settled();
    for (const round of [1, 2]) {
      const publishing = publishNotes(20 * round + 1, 20 * round + 20);
      await postgres.stopAtOnce();
      postgres = await PostgresServer.start({ ...options, port: postgres.port });
      await servers.reconnect();
      await publishing;
      await expectNotes(20 * round + 20);
    }
  } finally {
    await Promise.all([...sides].map(stopSide));
    if (servers !== regular) await servers.stop();
    servers = regular;
    await postgres.stopAtOnce();
    await rm(folder, { recursive: true });
  }
}, 60_000);

it('the streams are not there yet when the service starts', async () => {
  const manager = await servers.publisher.jetstreamManager();
  for (const name of ['DOMAIN', 'BACKFILL', 'EVENTS', 'REJECTED']) await manager.streams.delete(name);
  const side = await startSide();
  await waitFor('the lock to be held', async () => (await servers.rows(holder)).length === 1);
  await ensureStreams(side.link, 1);
  await publishNotes(1, 3);
  await expectNotes(3);
});

it('the clock of the machine is set ahead by an hour and back while a stream is away: nothing waits for it', async () => {
  const manager = await servers.publisher.jetstreamManager();
  for (const name of ['DOMAIN', 'BACKFILL']) await manager.streams.delete(name);
  const real = Date.now.bind(Date);
  const clock = jest.spyOn(Date, 'now').mockImplementation(() => real() + 3_600_000);
  try {
    const side = await startSide();
    const asked = jest.spyOn(side.link, 'manager');
    // Both streams are looked for again and again.
    await waitFor('both to be missed twice', () => asked.mock.calls.length >= 4);
    clock.mockRestore();
    await ensureStreams(side.link, 1);
    await publishNotes(1, 3);
    await expectNotes(3);
  } finally {
    clock.mockRestore();
  }
});

it('DOMAIN is made anew: read from its beginning, and what was applied before does nothing', async () => {
  await startSide();
  await publishNotes(1, 10);
  await servers.settled();
  const manager = await servers.publisher.jetstreamManager();
  const { config } = await manager.streams.info('DOMAIN');
  await manager.streams.delete('DOMAIN');
  await manager.streams.add(config);
  // Fewer than were read before, and some of them the same.
  await publishNotes(8, 14);
  await expectNotes(14);
});

it('DOMAIN is made anew while nobody reads, and has grown past the position', async () => {
  await stopSide(await applied(5));
  const manager = await servers.publisher.jetstreamManager();
  const { config } = await manager.streams.info('DOMAIN');
  await manager.streams.delete('DOMAIN');
  await manager.streams.add(config);
  await publishNotes(6, 20);
  await startSide();
  await expectNotes(20);
});

it('DOMAIN loses its end to a power failure, and other messages take the numbers', async () => {
  await stopSide(await applied(10));
  // As after a restart with the last messages not on disk: the stream is the same, a number means another message.
  await servers.rows(`update data.position set moment = moment - interval '1 second' where name = 'DOMAIN'`);
  await publishNotes(11, 12);
  await servers.rows(`update data.position set sequence = sequence + 1 where name = 'DOMAIN'`);
  await startSide();
  await expectNotes(12);
});

it('DOMAIN is emptied by age in front of the position', async () => {
  await stopSide(await applied(5));
  await publishNotes(6, 8);
  const manager = await servers.publisher.jetstreamManager();
  await manager.streams.purge('DOMAIN');
  await publishNotes(9, 9);
  await startSide();
  await servers.settled();
  const stored = await servers.rows<{ id: string }>('select id from data.note order by id');
  expect(stored.map(({ id }) => Number(id))).toEqual([1, 2, 3, 4, 5, 9]);
});

/** A service that has applied so many notes. */
async function applied(count: number): Promise<WriteSide> {
  const side = await startSide();
  await publishNotes(1, count);
  await servers.settled();
  return side;
}

it('a database restored from an older copy: the position rewinds, nothing is applied twice, ids stay', async () => {
  await stopSide(await applied(10));
  const copied = [
    'space',
    'position',
    'counter',
    'note',
    'note_state',
    'note_search',
    'seen_event',
    'event_log',
    'tombstone',
  ];
  for (const table of copied) await servers.rows(`create table public.copy_${table} as select * from data.${table}`);
  const later = await startSide();
  await publishNotes(5, 9, { type: 'note.deleted', time: '2026-03-10T13:00:00.000Z', id: 'gone' });
  await publishNotes(11, 30);
  await servers.settled();
  await stopSide(later);
  const before = await servers.rows<{ event_id: string }>('select event_id from data.event_log order by id');

  for (const table of copied) {
    await servers.rows(`truncate data.${table}`);
    await servers.rows(`insert into data.${table} select * from public.copy_${table}`);
  }
  await startSide();
  await servers.settled();
  const after = await servers.rows<{ event_id: string; sequence: string }>(
    'select event_id, sequence from data.event_log order by id',
  );
  expect(after.map(({ event_id: id }) => id)).toEqual(before.map(({ event_id: id }) => id));
  expect(after.map(({ sequence }) => Number(sequence))).toEqual(after.map((_, index) => index + 1));
  // What the older copy did not know of is in EVENTS again, under the ids it had.
  const relayed = (await servers.events()).map(({ id }) => id);
  expect(new Set(relayed)).toEqual(new Set(before.map(({ event_id: id }) => id)));
});

it('EVENTS is made anew: what it would still hold is relayed again', async () => {
  const side = await applied(10);
  const manager = await servers.publisher.jetstreamManager();
  await stopSide(side);
  await manager.streams.delete('EVENTS');
  const second = await startSide();
  await ensureStreams(second.link, 1);
  await publishNotes(11, 12);
  await expectNotes(12);
});

it('EVENTS loses its end to a power failure: that end is relayed again', async () => {
  await stopSide(await applied(10));
  const manager = await servers.publisher.jetstreamManager();
  for (const seq of [10, 9, 8]) await manager.streams.deleteMessage('EVENTS', seq);
  // A server that starts knows the ids only of the messages it has.
  await servers.nats.kill();
  await servers.nats.restart();
  await waitFor('the publisher to be back', () => servers.publisher.flush().then(() => true));
  await startSide();
  await publishNotes(11, 11);
  await waitFor('the end to be there again', async () => (await servers.events()).length === 11);
  expect((await servers.events()).map(({ recordId }) => recordId)).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11]);
});

it('EVENTS is full: the log grows, and is relayed in order when there is room', async () => {
  const manager = await servers.publisher.jetstreamManager();
  await manager.streams.update('EVENTS', { max_msgs: 5 });
  await startSide();
  await publishNotes(1, 12);
  await waitFor('all to be applied', async () => {
    const [row] = await servers.rows<{ n: number }>('select count(*)::int as n from data.event_log');
    return row?.n === 12;
  });
  await waitFor('EVENTS to be full', async () => (await manager.streams.info('EVENTS')).state.messages === 5);
  await manager.streams.update('EVENTS', { max_msgs: -1 });
  await expectNotes(12);
});

it('REJECTED is full: what is behind a refused event is applied all the same', async () => {
  const manager = await servers.publisher.jetstreamManager();
  await manager.streams.update('REJECTED', { max_msgs: 1 });
  await startSide();
  for (let n = 0; n < 3; n++) await servers.publishRaw('domain.spc_1.note.created', 'garbage');
  await publishNotes(1, 2);
  await expectNotes(2);
});
