import type { Outgoing } from './publish';
import { type RefusedLine, route, routeLines, splitLines } from './event-lines';

async function* inChunks(bytes: Buffer, size: number): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
}

async function collect(text: string | Buffer, size = 7) {
  const refused: RefusedLine[] = [];
  const sent: Outgoing[] = [];
  const bytes = Buffer.from(text);
  for await (const outgoing of routeLines(inChunks(bytes, size), 1_048_576, (line) => refused.push(line)))
    sent.push(outgoing);
  return { refused, sent };
}

const event = { specversion: '1.0', id: 'a1', source: '/crm', type: 'file.created', spaceid: 'spc_3', data: { id: 1 } };
const line = (more: object) => JSON.stringify({ ...event, ...more });

describe('lines of events', () => {
  it('end at newlines only, wherever the chunks end', async () => {
    const text = 'first\r\nsecond line\u2028still\n\nlast 🏡';
    for (const size of [1, 2, 3, 100]) {
      const lines: string[] = [];
      for await (const bytes of splitLines(inChunks(Buffer.from(text), size))) lines.push(String(bytes));
      expect(lines).toEqual(['first', 'second line\u2028still', '', 'last 🏡']);
    }
  });

  it('are sent as they stand, to the subject that their event names', async () => {
    const odd = ' {"type":"note.deleted", "spaceid":"spc_3","id":"ü|1","source":"/crm" , "data":{"id":1.0}}';
    const { sent, refused } = await collect(`${line({})}\n${odd}\n${line({ backfill: true })}`);
    expect(refused).toEqual([]);
    expect(sent.map(({ subject, messageId }) => [subject, messageId])).toEqual([
      ['domain.spc_3.file.created', '/crm|a1'],
      ['domain.spc_3.note.deleted', '/crm|ü|1'],
      ['backfill.spc_3.file.created', '/crm|a1'],
    ]);
    expect(Buffer.from(sent[1]?.body ?? []).toString()).toBe(odd);
  });

  it('are refused here only where no subject can be found', async () => {
    const lines = [
      'not json',
      '[1]',
      'null',
      line({ type: 'file' }),
      line({ type: 'file.created.twice' }),
      line({ type: 'file.*' }),
      line({ spaceid: 'spc 3' }),
      line({ spaceid: 'a.b' }),
      line({ spaceid: undefined }),
      line({ id: '' }),
      line({ id: 7 }),
      line({ id: 'a\nb' }),
      line({ source: undefined }),
    ];
    const { sent, refused } = await collect(lines.join('\n'));
    expect(sent).toEqual([]);
    expect(refused.map((refusal) => refusal.line)).toEqual(lines.map((_, index) => index + 1));
    // What is wrong in another way is for data-service to judge.
    for (const more of [{ specversion: '9' }, { type: 'loop.created' }, { spaceid: 'nowhere' }, { data: 'x' }])
      expect(typeof route(Buffer.from(line(more)))).toBe('object');
  });

  it('are refused when they are not UTF-8 or longer than a message may be', async () => {
    const bad = Buffer.concat([Buffer.from('{"id":"'), Buffer.from([0xff, 0xfe]), Buffer.from('"}')]);
    expect((await collect(bad)).refused).toEqual([{ line: 1, reason: 'is not JSON in UTF-8' }]);
    const long = line({ data: { id: 1, name: 'x'.repeat(1_048_576) } });
    const endless = 'x'.repeat(5_000_000);
    const { sent, refused } = await collect(`${long}\n${endless}\n${line({})}`, 65_536);
    expect(refused).toEqual([
      { line: 1, reason: 'is too long to send' },
      { line: 2, reason: 'is too long to send' },
    ]);
    expect(sent).toHaveLength(1);
  });
});
