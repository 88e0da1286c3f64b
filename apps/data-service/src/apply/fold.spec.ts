import { Rejection, type AnyRecord } from '@keyturn/contracts';
import { fold, recordKey, totalKey, type Folded, type RecordState, type Stored } from './fold';
import { prepareEvent, type PreparedEvent } from './prepared-event';
import { envelope, subjectOf, type Event } from './write-side.fixture';

const at = (minute: number) => `2026-03-10T12:${String(minute).padStart(2, '0')}:00.000Z`;

let count = 0;
/** A file's event in the terms of its line: what, when, and which fields. */
function event(type: string, minute: number, data: Record<string, unknown> = {}, more: Partial<Event> = {}): Event {
  return { id: `e${++count}`, type, time: at(minute), data: { id: 1, ...data }, ...more };
}

function prepare(events: readonly Event[]): (PreparedEvent | Rejection)[] {
  return events.map((each) => prepareEvent(subjectOf(each), Buffer.from(JSON.stringify(envelope(each)))));
}

const nothing: Stored = { sequences: new Map([['spc_1', 0]]), records: new Map(), seen: new Set() };

/** What is stored once a batch is written. */
function after(stored: Stored, folded: Folded): Stored {
  const records = new Map<string, RecordState>(stored.records);
  for (const [key, { after: state }] of folded.records) {
    // Read back from the database, a record is its JSON text.
    records.set(key, state.kind === 'live' ? { ...state, record: undefined as never } : state);
  }
  return {
    sequences: new Map([...stored.sequences, ...folded.sequences]),
    records,
    seen: new Set([...stored.seen, ...folded.seen]),
  };
}

/** The history one event a batch, and all in one batch: what happens must be the same. */
const ways = [
  ['one by one', (history: readonly Event[]) => history.map((each) => [each])],
  ['in one batch', (history: readonly Event[]) => [history]],
] as const;

interface Result {
  readonly outcomes: string[];
  readonly emitted: string[];
  readonly messages: Folded['messages'];
  readonly stored: Stored;
}

function run(batches: readonly (readonly Event[])[]): Result {
  let stored = nothing;
  const outcomes: string[] = [];
  const messages: Folded['messages'][number][] = [];
  for (const batch of batches) {
    const folded = fold(prepare(batch), stored);
    outcomes.push(...folded.outcomes.map((outcome) => (outcome instanceof Rejection ? outcome.code : outcome)));
    messages.push(...folded.messages);
    stored = after(stored, folded);
  }
  return { outcomes, emitted: messages.map((message) => message.event), messages, stored };
}

const file = { name: 'A' };
const payloadOf = (payload: string) => JSON.parse(payload) as { event: string; data: AnyRecord; timestamp: string };

interface Line {
  readonly what: string;
  readonly history: () => Event[];
  readonly outcomes: string[];
  readonly emitted: string[];
}

/** DESIGN §4, "what comes in → what happens", line by line. */
const table: Line[] = [
  {
    what: 'a created and an updated record',
    history: () => [event('file.created', 0, file), event('file.updated', 1, { name: 'B' })],
    outcomes: ['created', 'updated'],
    emitted: ['file.created', 'file.updated'],
  },
  {
    what: 'the same (source, id) again: nothing',
    history: () => {
      const first = event('file.created', 0, file);
      return [first, { ...first, time: at(5), data: { id: 1, name: 'other' } }];
    },
    outcomes: ['created', 'duplicate'],
    emitted: ['file.created'],
  },
  {
    what: 'the same id of another source: another event',
    history: () => {
      const first = event('file.created', 0, file);
      return [first, { ...first, source: '/crm', time: at(5), data: { id: 1, name: 'other' } }];
    },
    outcomes: ['created', 'updated'],
    emitted: ['file.created', 'file.updated'],
  },
  {
    what: '`created` for an existing record: applied, emits updated',
    history: () => [event('file.created', 0, file), event('file.created', 1, { name: 'B' })],
    outcomes: ['created', 'updated'],
    emitted: ['file.created', 'file.updated'],
  },
  {
    what: '`updated` for an unknown record: applied, emits created',
    history: () => [event('file.updated', 0, file)],
    outcomes: ['created'],
    emitted: ['file.created'],
  },
  {
    what: '`deleted`: emits deleted',
    history: () => [event('file.created', 0, file), event('file.deleted', 1)],
    outcomes: ['created', 'deleted'],
    emitted: ['file.created', 'file.deleted'],
  },
  {
    what: '`deleted` of an unknown record: tombstone, emits nothing, and an older update does not bring it back',
    history: () => [event('file.deleted', 5), event('file.updated', 4, file)],
    outcomes: ['tombstoned', 'stale'],
    emitted: [],
  },
  {
    what: '`deleted` of a deleted record: the tombstone advances, emits nothing',
    history: () => [
      event('file.created', 0, file),
      event('file.deleted', 1),
      event('file.deleted', 9),
      event('file.updated', 5, file),
    ],
    outcomes: ['created', 'deleted', 'tombstoned', 'stale'],
    emitted: ['file.created', 'file.deleted'],
  },
  {
    what: 'older than what is stored, by time: ignored',
    history: () => [event('file.created', 5, file), event('file.updated', 4, { name: 'B' })],
    outcomes: ['created', 'stale'],
    emitted: ['file.created'],
  },
  {
    what: 'a deletion older than what is stored: ignored',
    history: () => [event('file.created', 5, file), event('file.deleted', 4)],
    outcomes: ['created', 'stale'],
    emitted: ['file.created'],
  },
  {
    what: 'older by version, though newer by time: ignored',
    history: () => [
      event('file.created', 0, file, { version: 7 }),
      event('file.updated', 9, { name: 'B' }, { version: 6 }),
    ],
    outcomes: ['created', 'stale'],
    emitted: ['file.created'],
  },
  {
    what: 'newer by version, though older by time: applied',
    history: () => [
      event('file.created', 9, file, { version: 7 }),
      event('file.updated', 0, { name: 'B' }, { version: 8 }),
    ],
    outcomes: ['created', 'updated'],
    emitted: ['file.created', 'file.updated'],
  },
  {
    what: 'where only one side has a version, time orders',
    history: () => [
      event('file.created', 5, file, { version: 7 }),
      event('file.updated', 4, { name: 'B' }),
      event('file.updated', 6, { name: 'C' }),
      event('file.updated', 5, { name: 'D' }, { version: 8 }),
    ],
    outcomes: ['created', 'stale', 'updated', 'stale'],
    emitted: ['file.created', 'file.updated'],
  },
  {
    what: 'equal in time: the later in the stream wins',
    history: () => [event('file.created', 5, file), event('file.updated', 5, { name: 'B' })],
    outcomes: ['created', 'updated'],
    emitted: ['file.created', 'file.updated'],
  },
  {
    what: 'equal in version: the later in the stream wins',
    history: () => [
      event('file.created', 5, file, { version: 1 }),
      event('file.updated', 4, { name: 'B' }, { version: 1 }),
    ],
    outcomes: ['created', 'updated'],
    emitted: ['file.created', 'file.updated'],
  },
  {
    what: '`created` older than a tombstone: ignored',
    history: () => [event('file.created', 0, file), event('file.deleted', 5), event('file.created', 4, file)],
    outcomes: ['created', 'deleted', 'stale'],
    emitted: ['file.created', 'file.deleted'],
  },
  {
    what: '`created` newer than a tombstone: revives',
    history: () => [event('file.created', 0, file), event('file.deleted', 5), event('file.created', 6, file)],
    outcomes: ['created', 'deleted', 'created'],
    emitted: ['file.created', 'file.deleted', 'file.created'],
  },
  {
    what: '`updated` newer than a tombstone: revives as created',
    history: () => [event('file.created', 0, file), event('file.deleted', 5), event('file.updated', 6, file)],
    outcomes: ['created', 'deleted', 'created'],
    emitted: ['file.created', 'file.deleted', 'file.created'],
  },
  {
    what: 'T-115 equal in every field but updatedAt: the version advances, emits nothing',
    history: () => [
      event('file.created', 0, { ...file, updatedAt: at(0) }),
      event('file.updated', 5, { ...file, updatedAt: at(5), createdAt: at(0) }),
      event('file.updated', 4, { name: 'B' }),
    ],
    outcomes: ['created', 'unchanged', 'stale'],
    emitted: ['file.created'],
  },
  {
    what: 'only derived or unknown fields differ: emits nothing',
    history: () => [
      event('file.created', 0, file),
      event('file.updated', 1, { ...file, status: 'closed', transactionType: 'LEASE_OFFER', nonsense: 1 }),
    ],
    outcomes: ['created', 'unchanged'],
    emitted: ['file.created'],
  },
  {
    what: 'T-035 only the password hash differs: stored, emits nothing',
    history: () => [
      event('user.created', 0, { email: 'a@b.c', passwordHash: 'x' }),
      event('user.updated', 1, { email: 'a@b.c', passwordHash: 'y' }),
    ],
    outcomes: ['created', 'unchanged'],
    emitted: ['user.created'],
  },
  {
    what: 'T-103 `task.completed`: emits updated, then completed',
    history: () => [event('task.created', 0, { title: 'T' }), event('task.completed', 1, { title: 'T' })],
    outcomes: ['created', 'updated'],
    emitted: ['task.created', 'task.updated', 'task.completed'],
  },
  {
    what: 'T-103 an update that completes a task, by its status',
    history: () => [
      event('task.created', 0, { title: 'T', status: 'open' }),
      event('task.updated', 1, { title: 'T', status: 'completed' }),
    ],
    outcomes: ['created', 'updated'],
    emitted: ['task.created', 'task.updated', 'task.completed'],
  },
  {
    what: 'T-103 an update that completes a task, by its flag',
    history: () => [
      event('task.created', 0, { title: 'T', completed: false }),
      event('task.updated', 1, { title: 'T', completed: true }),
    ],
    outcomes: ['created', 'updated'],
    emitted: ['task.created', 'task.updated', 'task.completed'],
  },
  {
    what: 'T-103 created already completed: created, then completed',
    history: () => [event('task.created', 0, { title: 'T', completed: true })],
    outcomes: ['created'],
    emitted: ['task.created', 'task.completed'],
  },
  {
    what: 'T-103 `task.completed` for an unknown task: created, then completed',
    history: () => [event('task.completed', 0, { title: 'T' })],
    outcomes: ['created'],
    emitted: ['task.created', 'task.completed'],
  },
  {
    what: 'T-103 re-saving a completed task does not complete it again',
    history: () => [
      event('task.completed', 0, { title: 'T' }),
      event('task.completed', 1, { title: 'T' }),
      event('task.completed', 2, { title: 'U' }),
    ],
    outcomes: ['created', 'unchanged', 'updated'],
    emitted: ['task.created', 'task.completed', 'task.updated'],
  },
  {
    what: 'T-103 a task that is opened and completed again completes again',
    history: () => [
      event('task.completed', 0, { title: 'T' }),
      event('task.updated', 1, { title: 'T', status: 'open', completed: false }),
      event('task.completed', 2, { title: 'T' }),
    ],
    outcomes: ['created', 'updated', 'updated'],
    emitted: ['task.created', 'task.completed', 'task.updated', 'task.updated', 'task.completed'],
  },
  {
    what: 'backfill: applied, emits nothing',
    history: () => [
      event('file.created', 0, file, { backfill: true }),
      event('file.updated', 1, { name: 'B' }, { backfill: true }),
      event('file.updated', 2, { name: 'C' }),
    ],
    outcomes: ['created', 'updated', 'updated'],
    emitted: ['file.updated'],
  },
  {
    what: 'records are keyed by Space and id, and by resource',
    history: () => [event('file.created', 0), event('note.created', 0), event('file.created', 0, { id: 2 })],
    outcomes: ['created', 'created', 'created'],
    emitted: ['file.created', 'note.created', 'file.created'],
  },
  {
    what: 'an unknown Space: refused, and what stands around it is not',
    history: () => [
      event('file.created', 0),
      event('file.created', 0, {}, { space: 9 }),
      event('file.updated', 1, file),
    ],
    outcomes: ['created', 'unknown_space', 'updated'],
    emitted: ['file.created', 'file.updated'],
  },
  {
    what: 'a wrong field: refused',
    history: () => [event('file.created', 0, { listPrice: 'much' })],
    outcomes: ['invalid_field'],
    emitted: [],
  },
];

describe.each(ways)('events applied %s', (_way, batches) => {
  it.each(table.map((line) => [line.what, line] as const))('%s', (_what, line) => {
    const { outcomes, emitted } = run(batches(line.history()));
    expect({ outcomes, emitted }).toEqual({ outcomes: line.outcomes, emitted: line.emitted });
  });

  it('T-108 each message carries its own state of the record and the time of its event', () => {
    const { messages } = run(
      batches([
        event('file.created', 0, { name: 'A', createdAt: at(0) }),
        event('file.updated', 1, { name: 'B' }),
        event('file.deleted', 2),
      ]),
    );
    const payloads = messages.map(({ payload }) => payloadOf(payload));
    expect(payloads.map(({ event: name, data, timestamp }) => [name, data['name'], timestamp])).toEqual([
      ['file.created', 'A', at(0)],
      ['file.updated', 'B', at(1)],
      // The last representation.
      ['file.deleted', 'B', at(2)],
    ]);
    expect(payloads.map(({ data }) => data.createdAt)).toEqual([at(0), at(0), at(0)]);
    expect(messages.map(({ sequence }) => sequence)).toEqual([1, 2, 3]);
    expect(messages.map(({ changed }) => changed)).toEqual([[], ['name', 'updatedAt'], []]);
  });

  it('createdAt and updatedAt are the time of the event where it leaves them out, createdAt for good', () => {
    const { messages } = run(batches([event('file.created', 0), event('file.updated', 3, file)]));
    expect(messages.map(({ payload }) => payloadOf(payload).data)).toMatchObject([
      { createdAt: at(0), updatedAt: at(0) },
      { createdAt: at(0), updatedAt: at(3) },
    ]);
  });

  it('totals follow the records, views included', () => {
    const { stored } = run(batches([]));
    const history = [
      event('user.created', 0, { id: 1, role: 'agent' }),
      event('user.created', 0, { id: 2, role: 'owner' }),
      event('user.updated', 1, { id: 2, role: 'agent' }),
      event('user.updated', 1, { id: 1, role: 'owner' }),
      event('user.created', 0, { id: 3, role: 'agent' }),
      event('user.deleted', 1, { id: 3 }),
      event('user.created', 0, { id: 4, role: 'agent' }),
    ];
    const totals = new Map<string, number>();
    let now = stored;
    for (const batch of batches(history)) {
      const folded = fold(prepare(batch), now);
      for (const [key, by] of folded.totals) totals.set(key, (totals.get(key) ?? 0) + by);
      now = after(now, folded);
    }
    expect(totals.get(totalKey('spc_1', 'users'))).toBe(3);
    expect(totals.get(totalKey('spc_1', 'agents'))).toBe(2);
  });

  it('the ids of messages follow from the event', () => {
    const history = [event('task.created', 0), event('task.completed', 1)];
    const [first, second] = [run(batches(history)), run(batches(history))];
    const ids = first.messages.map(({ id }) => id);
    expect(new Set(ids).size).toBe(3);
    for (const id of ids) expect(id).toMatch(/^evt_[0-9A-HJKMNP-TV-Z]{26}$/);
    expect(second.messages.map(({ id }) => id)).toEqual(ids);
  });
});

it('T-034 a password hash is stored and never in a payload', () => {
  const { messages, stored } = run([[event('user.created', 0, { email: 'a@b.c', passwordHash: 'secret-hash' })]]);
  const resource = messages[0]?.resource;
  if (!resource) throw new Error('no message');
  expect(messages[0]?.payload).not.toContain('secret-hash');
  const state = stored.records.get(recordKey(resource, 'spc_1', 1));
  expect(JSON.stringify(state)).not.toContain('secret-hash');
});

describe('the size of a payload (X4)', () => {
  const sized = (bytes: number, type = 'file.created', data: Record<string, unknown> = {}) => {
    const text = type.startsWith('task') ? 'description' : 'remarks';
    const empty = prepare([event(type, 0, { ...data, [text]: '' })])[0] as PreparedEvent;
    const { payload } = run([[event(type, 0, { ...data, [text]: '' })]]).messages.at(-1) as { payload: string };
    expect(empty).not.toBeInstanceOf(Rejection);
    return run([[event(type, 0, { ...data, [text]: 'x'.repeat(bytes - Buffer.byteLength(payload)) })]]);
  };

  it('is at most 100,000 bytes', () => {
    expect(sized(100_000).outcomes).toEqual(['created']);
    expect(sized(100_001).outcomes).toEqual(['too_large']);
  });

  it('counts bytes as sent', () => {
    expect(run([[event('file.created', 0, { remarks: 'é'.repeat(50_000) })]]).outcomes).toEqual(['too_large']);
    expect(run([[event('file.created', 0, { remarks: '"'.repeat(50_000) })]]).outcomes).toEqual(['too_large']);
  });

  it('is that of the longest payload which the state can cause', () => {
    const completed = { completed: true };
    expect(sized(100_000, 'task.created', completed).outcomes).toEqual(['created']);
    expect(sized(100_001, 'task.created', completed).outcomes).toEqual(['too_large']);
  });
});
