import { gunzipSync } from 'node:zlib';
import { gzipped, takesGzip } from './encoding';

describe('content encoding', () => {
  it.each([
    'gzip',
    'GZIP',
    'deflate, gzip, br',
    'gzip;q=0.5',
    'br;q=1, gzip ; q=0.001',
    '*',
    'x-gzip',
    'identity;q=0, *;q=1',
  ])('compresses for %s', (header) => {
    expect(takesGzip(header)).toBe(true);
  });

  it.each([undefined, '', 'identity', 'br, deflate', 'gzip;q=0', 'gzip;q=0.000, *', '*;q=0', 'notgzip'])(
    'does not compress for %s',
    (header) => {
      expect(takesGzip(header)).toBe(false);
    },
  );

  it('gives back what it took', async () => {
    const body = Buffer.from('{"success":true}'.repeat(1_000));
    const packed = await gzipped(body);
    expect(packed.length).toBeLessThan(body.length / 10);
    expect(gunzipSync(packed)).toEqual(body);
  });
});
