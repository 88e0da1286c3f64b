import { promisify } from 'node:util';
import { gzip } from 'node:zlib';

/** Below it, compressing costs more than the bytes it saves. */
export const gzipFromBytes = 1024;

const compress = promisify<Buffer, { level: number }, Buffer>(gzip);

/** Level 1: most of the gain for a fraction of the work. Runs outside the event loop. */
export const gzipped = (body: Buffer): Promise<Buffer> => compress(body, { level: 1 });

/** Whether an `Accept-Encoding` takes gzip (RFC 9110 §12.5.3): named, or by `*`, and not with a weight of 0. */
export function takesGzip(header: string | string[] | undefined): boolean {
  if (typeof header !== 'string' || !/gzip|\*/i.test(header)) return false;
  let byStar = false;
  for (const part of header.split(',')) {
    const [name = '', ...parameters] = part.split(';').map((piece) => piece.trim().toLowerCase());
    if (name !== 'gzip' && name !== 'x-gzip' && name !== '*') continue;
    const weight = parameters.find((parameter) => parameter.startsWith('q='));
    const taken = weight === undefined || Number(weight.slice(2)) > 0;
    if (name !== '*') return taken;
    byStar = taken;
  }
  return byStar;
}
