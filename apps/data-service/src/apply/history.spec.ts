import fc from 'fast-check';
import { isCompletedTask, resources, type AnyRecord } from '@keyturn/contracts';
import { recordTable } from '../records/record-table';
import { subjectOf, WriteSide, WriteSideServers, type Event } from './write-side.fixture';

/** Random histories of events, against a model that is as plain as can be. */

let servers: WriteSideServers;
let side: WriteSide;

beforeAll(async () => {
  servers = await WriteSideServers.start();
  side = await WriteSide.start({ databaseUrl: servers.database.url, natsUrl: servers.nats.url });
});

afterAll(async () => {
  await side?.stop();
  await servers?.stop();
});

interface ModelRecord {
  version: number | null;
  time: string;
  /** Undefined for a tombstone. */
  data: Record<string, unknown> | undefined;
}

/** What a Space holds and has said, one event after another. */
class Model {
  readonly records = new Map<string, ModelRecord>();
  readonly said: string[] = [];
  private readonly seen = new Set<string>();

  take(event: Event): void {
    if (this.seen.has(event.id)) return;
    this.seen.add(event.id);
    const [resource = '', action = ''] = event.type.split('.');
    const id = Number(event.data['id']);
    const key = `${resource}/${id}`;
    const time = event.time ?? '';
    const version = event.version ?? null;
    const old = this.records.get(key);
    if (old) {
      const older = old.version !== null && version !== null ? version < old.version : time < old.time;
      if (older) return;
    }
    const say = (what: string, name: unknown) => {
      if (!event.backfill) this.said.push(`${resource}.${what} ${id} ${String(name)} ${time}`);
    };
    if (action === 'deleted') {
      this.records.set(key, { version, time, data: undefined });
      if (old?.data) say('deleted', old.data['name']);
      return;
    }
    const data: Record<string, unknown> = { name: null, role: null, status: null, completed: null, ...event.data };
    if (resource === 'task') {
      if (action === 'completed') Object.assign(data, { completed: true, status: 'completed' });
      else if (isCompletedTask(data as AnyRecord)) {
        data['completed'] ??= true;
        data['status'] ??= 'completed';
      }
    }
    data['createdAt'] = old?.data?.['createdAt'] ?? time;
    this.records.set(key, { version, time, data });
    const completes = resource === 'task' && isCompletedTask(data as AnyRecord) && !wasCompleted(old);
    if (!old?.data) say('created', data['name']);
    else if (JSON.stringify(sorted(old.data)) === JSON.stringify(sorted(data))) return;
    else say('updated', data['name']);
    if (completes) say('completed', data['name']);
  }

  get totals(): Record<string, number> {
    const totals: Record<string, number> = {};
    const add = (name: string) => (totals[name] = (totals[name] ?? 0) + 1);
    for (const [key, { data }] of this.records) {
      if (!data) continue;
      const resource = resources.find(({ name }) => key.startsWith(`${name}/`));
      add(resource?.collection ?? '');
      if (data['role'] === 'agent') add('agents');
    }
    return totals;
  }
}

const wasCompleted = (old: ModelRecord | undefined) =>
  old?.data !== undefined && isCompletedTask(old.data as AnyRecord);
const sorted = (data: object) => Object.entries(data).sort(([a], [b]) => (a < b ? -1 : 1));

/** `name` stands for whatever a resource calls its title. */
const titleOf: Record<string, string> = { file: 'name', user: 'title', task: 'title' };

const anEvent = fc.record({
  n: fc.integer({ min: 0, max: 60 }),
  resource: fc.constantFrom('file', 'user', 'task'),
  action: fc.constantFrom('created', 'updated', 'updated', 'completed', 'deleted'),
  record: fc.integer({ min: 1, max: 3 }),
  minute: fc.integer({ min: 0, max: 9 }),
  version: fc.option(fc.integer({ min: 0, max: 6 }), { nil: undefined, freq: 2 }),
  name: fc.constantFrom('A', 'B', null),
  role: fc.constantFrom('agent', 'owner', null),
  completed: fc.constantFrom(true, false, null),
  space: fc.integer({ min: 0, max: 1 }),
  broken: fc.integer({ min: 0, max: 15 }).map((drawn) => drawn === 0),
});

type Drawn = typeof anEvent extends fc.Arbitrary<infer T> ? T : never;

function eventOf(drawn: Drawn, firstSpace: number, backfill: boolean): Event {
  const { resource, record, name, role, completed } = drawn;
  const action = drawn.action === 'completed' && resource !== 'task' ? 'updated' : drawn.action;
  return {
    id: `${firstSpace}-${drawn.n}-${drawn.space}`,
    type: `${resource}.${action}`,
    space: firstSpace + drawn.space,
    time: `2026-03-10T12:0${drawn.minute}:00.000Z`,
    backfill,
    ...(drawn.version === undefined ? {} : { version: drawn.version }),
    data: {
      id: record,
      name,
      ...(resource === 'user' ? { role } : {}),
      ...(resource === 'task' ? { completed } : {}),
    },
  };
}

/** As it is published: the model's `name` under the resource's own field. */
function published(event: Event): Event {
  const resource = event.type.split('.')[0] as string;
  const { name, ...rest } = event.data;
  return { ...event, data: { ...rest, [titleOf[resource] as string]: name } };
}

async function stored(space: number) {
  const records: Record<string, unknown> = {};
  for (const name of ['file', 'user', 'task']) {
    const resource = resources.find((each) => each.name === name);
    if (!resource) throw new Error(name);
    const { qualified, stateTable, searchTable } = recordTable(resource);
    const rows = await servers.rows<{
      id: string;
      json: string;
      version: string | null;
      event_time: Date;
      text: string;
    }>(
      `select id, t.json, t.version, t.event_time, s.search_text as text
       from ${qualified} r left join ${stateTable} t using (space_id, id) left join ${searchTable} s using (space_id, id)
       where space_id = $1`,
      [space],
    );
    for (const { id, json, version, event_time: time, text } of rows) {
      const shown = JSON.parse(json) as Record<string, unknown>;
      const title = shown[titleOf[name] as string];
      expect(text).toBe(typeof title === 'string' ? title.toLowerCase() : '');
      records[`${name}/${id}`] = { name: title, createdAt: shown['createdAt'], version, time: time.toISOString() };
    }
    for (const side of [stateTable, searchTable])
      expect(await servers.rows(`select count(*)::int as n from ${side} where space_id = $1`, [space])).toEqual([
        { n: rows.length },
      ]);
  }
  const tombstones = await servers.rows<{
    resource: string;
    record_id: string;
    version: string | null;
    event_time: Date;
  }>('select * from data.tombstone where space_id = $1', [space]);
  for (const { resource, record_id: id, version, event_time: time } of tombstones)
    records[`${resource}/${id}`] = { deleted: true, version, time: time.toISOString() };
  return records;
}

function expectedRecords(model: Model): Record<string, unknown> {
  const records: Record<string, unknown> = {};
  for (const [key, { version, time, data }] of model.records) {
    const stamp = { version: version === null ? null : String(version), time };
    records[key] = data ? { name: data['name'], createdAt: data['createdAt'], ...stamp } : { deleted: true, ...stamp };
  }
  return records;
}

let nextSpace = 1;

it('any history leaves the records, totals and log that a plain model says', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(anEvent, { minLength: 1, maxLength: 60 }), fc.boolean(), async (drawn, backfill) => {
      const first = nextSpace;
      nextSpace += 2;
      await servers.putSpace(first);
      await servers.putSpace(first + 1);
      const models = [new Model(), new Model()];
      for (const each of drawn) {
        const event = eventOf(each, first, backfill);
        if (each.broken) {
          await servers.publishRaw(subjectOf(event), '{"specversion":"1.0"}');
          continue;
        }
        // Without a message id, so that a repeated event reaches the applier.
        await servers.publishRaw(subjectOf(event), servers.bodyOf(published(event)));
        models[each.space]?.take(event);
      }
      await servers.settled();
      for (const [index, model] of models.entries()) {
        const space = first + index;
        expect(await stored(space)).toEqual(expectedRecords(model));
        const counters = await servers.rows<{ collection: string; total: string }>(
          'select collection, total from data.counter where space_id = $1 and total <> 0',
          [space],
        );
        expect(Object.fromEntries(counters.map(({ collection, total }) => [collection, Number(total)]))).toEqual(
          model.totals,
        );
        const log = await servers.rows<{ sequence: string; event: string; record_id: string; payload: string }>(
          'select sequence, event, record_id, payload from data.event_log where space_id = $1 order by id',
          [space],
        );
        expect(log.map(({ sequence }) => Number(sequence))).toEqual(log.map((_, i) => i + 1));
        expect(log.map(saidIn)).toEqual(model.said);
        const [row] = await servers.rows<{ sequence: string }>('select sequence from data.space where space_id = $1', [
          space,
        ]);
        expect(Number(row?.sequence)).toBe(log.length);
      }
    }),
    { numRuns: 150 },
  );
  const log = await servers.rows<{ event_id: string }>('select event_id from data.event_log order by id');
  const relayed = await servers.events();
  expect(relayed.map(({ id }) => id)).toEqual(log.map(({ event_id: id }) => id));
}, 120_000);

function saidIn({ event, record_id: id, payload }: { event: string; record_id: string; payload: string }): string {
  const { data, timestamp } = JSON.parse(payload) as { data: Record<string, unknown>; timestamp: string };
  return `${event} ${id} ${String(data[titleOf[event.split('.')[0] as string] as string])} ${timestamp}`;
}
