import { promisify } from 'node:util';
import { brotliDecompress, constants, gunzip, inflate } from 'node:zlib';

/** What is read of an answer's body, and what of it is kept. */
export const maxReadBytes = 64 * 1024;
export const maxKeptBytes = 16 * 1024;

/** A cut stream gives what came of it, and no more than is read of any body: a small answer may unfold to gigabytes. */
const zlibOptions = { finishFlush: constants.Z_SYNC_FLUSH, maxOutputLength: maxReadBytes };
const unzip = (body: Buffer): Promise<Buffer> => promisify(gunzip)(body, zlibOptions);
/** A map and not an object: the receiver names the key, and every object knows a `constructor`. */
const decoders: ReadonlyMap<string, (body: Buffer) => Promise<Buffer>> = new Map([
  ['gzip', unzip],
  ['x-gzip', unzip],
  ['deflate', (body) => promisify(inflate)(body, zlibOptions)],
  [
    'br',
    (body) =>
      promisify(brotliDecompress)(body, {
        finishFlush: constants.BROTLI_OPERATION_FLUSH,
        maxOutputLength: maxReadBytes,
      }) as Promise<Buffer>,
  ],
]);

/** The kept part of a body, as text that Postgres stores; null for none. */
export function bodyText(body: Buffer, contentEncoding: string): string | null | Promise<string | null> {
  if (!body.length) return null;
  const decode = decoders.get(contentEncoding.trim().toLowerCase());
  if (!decode) return textOf(body);
  return decode(body).then(textOf, () => `(${body.length} bytes, ${contentEncoding}, could not be unpacked)`);
}

function textOf(body: Buffer): string {
  const text = body.toString('utf8', 0, maxKeptBytes);
  return text.includes('\0') ? text.replaceAll('\0', '\uFFFD') : text;
}
