import { decodeFrame, encodeFrame, type ReplyHead } from './frame';

describe('a frame', () => {
  it('carries head and bytes unchanged', () => {
    const body = Buffer.from([0, 255, 10, 13, 226, 130]);
    const frame = decodeFrame<ReplyHead>(encodeFrame({ reply: { name: 'Zoë 🏡' }, bytes: body.length }, body));
    expect(frame?.head).toEqual({ reply: { name: 'Zoë 🏡' }, bytes: 6 });
    expect(Buffer.from(frame?.body ?? [])).toEqual(body);
  });

  it.each<[string, Uint8Array]>([
    ['nothing', new Uint8Array(0)],
    ['three bytes', new Uint8Array(3)],
    ['a length beyond the end', Buffer.from([255, 255, 255, 255, 123])],
    ['a head that is not JSON', Buffer.from([1, 0, 0, 0, 120])],
    ['a head that is no object', Buffer.from([1, 0, 0, 0, 49])],
    ['a head that is null', Buffer.concat([Buffer.from([4, 0, 0, 0]), Buffer.from('null')])],
  ])('is not found in %s', (_what, bytes) => {
    expect(decodeFrame(bytes)).toBeUndefined();
  });
});
