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

/** Endpoints of the same server that are no good, and not counted. */
export const hangingPath = '/hangs';
export const failingPath = '/fails';

/**
 * A receiver in a process of its own: `POST` is answered 200, `GET /report` tells, `GET /report?from=N` tells when there have
 * been so many, and `GET /reset` tells and forgets. Reference and product send to this one.
 */
export async function serveSink(): Promise<string> {
  let count = 0;
  let first = 0;
  let last = 0;
  let delays: number[] = [];
  let timed = false;
  let waiting: { readonly from: number; readonly report: () => void } | undefined;
  const server = createServer((request, response) => {
    if (request.method === 'GET') {
      const url = new URL(request.url ?? '/', 'http://sink');
      const report = () => response.end(JSON.stringify({ count, first, last, delays } satisfies SinkReport));
      const from = Number(url.searchParams.get('from') ?? 0);
      if (count >= from) report();
      else waiting = { from, report };
      if (url.pathname === '/reset') {
        [count, first, last, delays] = [0, 0, 0, []];
        timed = url.searchParams.has('timed');
      }
      return;
    }
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      if (request.url === hangingPath) return;
      if (request.url === failingPath) {
        response.writeHead(503).end();
        return;
      }
      count++;
      last = Date.now();
      first ||= last;
      if (timed) {
        const { timestamp } = JSON.parse(Buffer.concat(chunks).toString('utf8')) as { timestamp: string };
        delays.push(last - Date.parse(timestamp));
      }
      response.end('OK');
      if (waiting && count >= waiting.from) {
        waiting.report();
        waiting = undefined;
      }
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}
