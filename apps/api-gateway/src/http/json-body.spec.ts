import { ApiError } from '@keyturn/contracts';
import { parseJsonBody } from './json-body';

const refused = (bytes: Uint8Array) => {
  try {
    parseJsonBody(bytes);
  } catch (error) {
    return error;
  }
  return undefined;
};

describe('bodies', () => {
  it('reads JSON', () => {
    expect(parseJsonBody(Buffer.from('{"name":"Zoë","events":["file.created"],"x":"[[["}'))).toEqual({
      name: 'Zoë',
      events: ['file.created'],
      x: '[[[',
    });
    expect(parseJsonBody(new Uint8Array(0))).toBeUndefined();
  });

  it.each<[string, Uint8Array]>([
    ['half an object', Buffer.from('{"name":')],
    ['text', Buffer.from('name=x')],
    ['invalid UTF-8', Buffer.from([0x22, 0xff, 0xfe, 0x22])],
    ['a bare NUL', Buffer.from('{"name":"a\0b"}')],
    ['arrays 10,000 deep', Buffer.from('['.repeat(10_000) + ']'.repeat(10_000))],
    ['objects 10,000 deep', Buffer.from('{"a":'.repeat(10_000) + '1' + '}'.repeat(10_000))],
    ['a million open brackets', Buffer.from('['.repeat(1_000_000))],
    ['a key __proto__', Buffer.from('{"__proto__":{"isActive":true}}')],
    ['a number beyond all', Buffer.from('{"rateLimit":1e999}')],
    ['a deeper key __proto__', Buffer.from('{"a":[{"__proto__":1}]}')],
  ])('T-094 refuses %s, in milliseconds', (_what, bytes) => {
    const started = performance.now();
    expect(refused(bytes)).toEqual(expect.objectContaining({ code: 'VALIDATION_ERROR' }));
    expect(refused(bytes)).toBeInstanceOf(ApiError);
    expect(performance.now() - started).toBeLessThan(100);
  });
});
