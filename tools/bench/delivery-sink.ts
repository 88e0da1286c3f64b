import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';

/** What the sink has been sent since the last look. */
export interface SinkReport {
  readonly count: number;
  /** Epoch ms of the first and the last request. */
  readonly first: number;
  readonly last: number;
  /** From each payload's timestamp to its receipt, ms. */
  readonly delays: readonly number[];
}

/**
 * A receiver in a process of its own: `POST` is answered 200, `GET /report` tells and `GET /reset` tells and forgets. Reference
 * and product send to this one.
 */
export async function serveSink(): Promise<string> {
  let count = 0;
  let first = 0;
  let last = 0;
  let delays: number[] = [];
  let timed = false;
  const server = createServer((request, response) => {
    if (request.method === 'GET') {
      response.end(JSON.stringify({ count, first, last, delays } satisfies SinkReport));
      if (request.url !== '/report') {
        [count, first, last, delays] = [0, 0, 0, []];
        timed = request.url === '/reset?timed';
      }
      return;
    }
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      count++;
      last = Date.now();
      first ||= last;
      if (timed) {
        const { timestamp } = JSON.parse(Buffer.concat(chunks).toString('utf8')) as { timestamp: string };
        delays.push(last - Date.parse(timestamp));
      }
      response.end('OK');
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}
