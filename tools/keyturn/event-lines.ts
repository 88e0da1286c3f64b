import { subjectOf } from './cloud-event';
import type { Outgoing } from './publish';

/** A line that no subject can be found for. What is merely wrong is for data-service to judge, and goes to REJECTED. */
export interface RefusedLine {
  readonly line: number;
  readonly reason: string;
}

const newline = 0x0a;
/** NATS carries 1 MB by default; twice that is surely no event, and need not be held in memory. */
const maxLineBytes = 2 * 1024 * 1024;

/** The lines of a stream as bytes, without their line ends; too long ones as null. Only `\n` ends a line, as in JSON text. */
export async function* splitLines(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<Buffer | null> {
  let parts: Buffer[] = [];
  let length = 0;
  const take = () => {
    const line = length > maxLineBytes ? null : Buffer.concat(parts);
    parts = [];
    length = 0;
    return line?.at(-1) === 0x0d ? line.subarray(0, -1) : line;
  };
  for await (const chunk of chunks) {
    const bytes = Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength);
    let start = 0;
    for (let end = bytes.indexOf(newline); end >= 0; end = bytes.indexOf(newline, start)) {
      length += end - start;
      if (length <= maxLineBytes) parts.push(bytes.subarray(start, end));
      yield take();
      start = end + 1;
    }
    length += bytes.length - start;
    if (length <= maxLineBytes) parts.push(bytes.subarray(start));
    else parts = [];
  }
  if (length > 0) yield take();
}

const decoder = new TextDecoder('utf-8', { fatal: true });
/** Subject tokens of NATS: no white space, no dots, no wildcards. */
const token = /^[^\s.*>\p{Cc}]{1,100}$/u;
const printable = /^[^\p{Cc}]{1,1000}$/u;

/** Where a line goes, with its bytes as they are; or why it cannot go anywhere. */
export function route(line: Buffer): Outgoing | string {
  let event: unknown;
  try {
    event = JSON.parse(decoder.decode(line));
  } catch {
    return 'is not JSON in UTF-8';
  }
  if (typeof event !== 'object' || event === null || Array.isArray(event)) return 'is not a JSON object';
  const { type, spaceid, id, source, backfill } = event as Record<string, unknown>;
  if (typeof type !== 'string') return 'has no type';
  const [resource = '', action = '', ...rest] = type.split('.');
  if (rest.length || !token.test(resource) || !token.test(action)) return 'has a type unlike file.created';
  if (typeof spaceid !== 'string' || !token.test(spaceid)) return 'has no usable spaceid, such as spc_1';
  if (typeof id !== 'string' || !printable.test(id)) return 'has no usable id';
  if (typeof source !== 'string' || !printable.test(source)) return 'has no usable source';
  return {
    subject: subjectOf({ spaceid, type, backfill: backfill === true }),
    messageId: `${source}|${id}`,
    body: line,
  };
}

/** Outgoing messages of all lines that can be routed; `refuse` hears of the others. Empty lines are none. */
export async function* routeLines(
  chunks: AsyncIterable<Uint8Array>,
  maxPayloadBytes: number,
  refuse: (refused: RefusedLine) => void,
): AsyncGenerator<Outgoing> {
  let number = 0;
  for await (const line of splitLines(chunks)) {
    number++;
    if (line?.toString('latin1').trim() === '') continue;
    const outgoing = line === null ? 'is too long to send' : route(line);
    if (typeof outgoing === 'string') refuse({ line: number, reason: outgoing });
    // Room for subject and headers, which count as well.
    else if (outgoing.body.length + 4_096 > maxPayloadBytes) refuse({ line: number, reason: 'is too long to send' });
    else yield outgoing;
  }
}
