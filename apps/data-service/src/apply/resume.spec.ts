import { resume, type Resume, type StreamState } from './resume';

const at = (second: number) => new Date(Date.UTC(2026, 2, 10, 12, 0, second));
const position = { stream: 'DOMAIN', sequence: 100, moment: at(10), streamCreated: at(0) };
const stream: StreamState = { created: at(0), firstSequence: 1, lastSequence: 150, storedAtPosition: at(10) };

it.each<[what: string, changes: Partial<StreamState>, expected: Resume]>([
  ['goes on behind its position', {}, { from: 101 }],
  ['goes on when there is nothing new', { lastSequence: 100 }, { from: 101 }],
  [
    'goes on when the message at its position is gone',
    { firstSequence: 101, storedAtPosition: undefined },
    { from: 101 },
  ],
  ['begins anew when the stream was made anew', { created: at(5) }, { from: 1, note: 'stream made anew' }],
  [
    'begins anew when the stream ends before its position',
    { lastSequence: 99 },
    { from: 1, note: 'stream lost its end' },
  ],
  [
    'begins anew when its position is another message',
    { storedAtPosition: at(11) },
    { from: 1, note: 'stream lost its end' },
  ],
  [
    'says that messages aged out unread',
    { firstSequence: 120, storedAtPosition: undefined },
    { from: 101, note: 'messages aged out unread' },
  ],
])('reading %s', (_what, changes, expected) => {
  expect(resume(position, { ...stream, ...changes })).toEqual(expected);
});

it('reading begins at the beginning', () => {
  expect(resume({ stream: 'DOMAIN', sequence: 0, moment: null, streamCreated: null }, stream)).toEqual({ from: 1 });
});
