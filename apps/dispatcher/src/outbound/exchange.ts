import type { Dispatcher } from 'undici';
import { StaleConnection, type Connection, type Connections } from './connections';
import type { AddressGuard, Destination } from './destination';
import { Fault, exchangeFault } from './fault';
import { bodyText, maxReadBytes } from './response-body';

export interface ExchangeOptions {
  /** For the whole exchange, from the lookup to the last byte that is read. */
  readonly timeoutMs: number;
  /** For connecting, TLS included, over all addresses. */
  readonly connectTimeoutMs: number;
}

/** How one request ended. Either `status` or `fault` is there. */
export interface ExchangeOutcome {
  readonly startedAt: Date;
  readonly status: number | null;
  readonly fault: Fault | null;
  /** Of the answer, as JSON, cookies left out. */
  readonly headers: string | null;
  readonly body: string | null;
  readonly retryAfter: string | null;
  /** The address that was dialled; null where it did not come to that. */
  readonly address: string | null;
  /** Each is null where the step was not taken: a kept connection needs no dialling. */
  readonly dnsMs: number | null;
  readonly connectMs: number | null;
  readonly tlsMs: number | null;
  readonly firstByteMs: number | null;
  readonly totalMs: number;
}

/** An exchange that came to no answer. */
export const failed = (fault: Fault, startedAt: Date): ExchangeOutcome => ({
  startedAt,
  status: null,
  fault,
  headers: null,
  body: null,
  retryAfter: null,
  address: null,
  dnsMs: null,
  connectMs: null,
  tlsMs: null,
  firstByteMs: null,
  totalMs: Date.now() - startedAt.getTime(),
});

/** What is known so far of an exchange that may end at any step. */
interface Progress {
  address: string | null;
  dnsMs: number | null;
  connectMs: number | null;
  tlsMs: number | null;
}

interface Asked {
  readonly method: 'POST' | 'OPTIONS';
  readonly headers: string[];
  readonly body: Uint8Array | null;
}

/** One request to a receiver that may be slow, hostile or gone: it ends in time, reads a bounded answer, follows nothing. */
export class Exchange {
  constructor(
    private readonly guard: AddressGuard,
    private readonly connections: Connections,
    private readonly options: ExchangeOptions,
  ) {}

  /** Never rejects for what a receiver does. `headers` are names and values in turn. */
  post(destination: Destination, headers: string[], body: Uint8Array): Promise<ExchangeOutcome> {
    return this.make(destination, { method: 'POST', headers, body });
  }

  /** The same for a request that only asks (OPTIONS). */
  ask(destination: Destination, headers: string[]): Promise<ExchangeOutcome> {
    return this.make(destination, { method: 'OPTIONS', headers, body: null });
  }

  private async make(destination: Destination, request: Asked): Promise<ExchangeOutcome> {
    const startedAt = new Date();
    const start = performance.now();
    const progress: Progress = { address: null, dnsMs: null, connectMs: null, tlsMs: null };
    try {
      for (;;) {
        const connection = await this.connection(destination, progress, start);
        const reply = new Reply(connection, this.connections);
        const remainingMs = this.options.timeoutMs - (performance.now() - start);
        try {
          await reply.of(destination.path, request, remainingMs, this.options.timeoutMs);
        } catch (error) {
          if (error instanceof StaleConnection) continue;
          throw error;
        }
        const text = bodyText(reply.body(), reply.header('content-encoding'));
        return {
          startedAt,
          status: reply.status,
          fault: null,
          headers: reply.headersText(),
          body: text === null || typeof text === 'string' ? text : await text,
          retryAfter: reply.header('retry-after') || null,
          ...progress,
          firstByteMs: reply.firstByteAt - start,
          totalMs: performance.now() - start,
        };
      }
    } catch (error) {
      if (!(error instanceof Fault)) throw error;
      return { ...failed(error, startedAt), ...progress, totalMs: performance.now() - start };
    }
  }

  private async connection(destination: Destination, progress: Progress, start: number): Promise<Connection> {
    const found = this.guard.addressesOf(destination);
    let addresses: readonly string[];
    if ('then' in found) {
      const lookupMs = this.options.timeoutMs - (performance.now() - start);
      addresses = await within(
        found,
        lookupMs,
        () => new Fault('dns', `DNS did not answer for ${destination.hostname}`),
      );
      progress.dnsMs = performance.now() - start;
    } else addresses = found;
    for (const address of addresses) {
      const kept = this.connections.take(destination, address);
      if (kept) {
        progress.address = address;
        return kept;
      }
    }
    return this.open(destination, addresses, progress, start);
  }

  /** Tries the checked addresses in turn; each gets its share of the time, so that a dead first one does not use it all. */
  private async open(destination: Destination, addresses: readonly string[], progress: Progress, start: number) {
    const { timeoutMs, connectTimeoutMs } = this.options;
    const end = Math.min(performance.now() + connectTimeoutMs, start + timeoutMs);
    let last = new Fault('dns', `${destination.hostname} has no address`);
    for (const [index, address] of addresses.entries()) {
      const shareMs = (end - performance.now()) / (addresses.length - index);
      const controller = new AbortController();
      const timer = setTimeout(
        () => controller.abort(new Fault('timeout', `${address} did not accept a connection in time`)),
        Math.max(shareMs, 0),
      );
      progress.address = address;
      try {
        const connection = await this.connections.open(destination, address, controller.signal);
        progress.connectMs = connection.connectMs;
        progress.tlsMs = connection.tlsMs;
        return connection;
      } catch (error) {
        if (!(error instanceof Fault)) throw error;
        last = error;
      } finally {
        clearTimeout(timer);
      }
    }
    throw last;
  }
}

async function within<T>(promise: Promise<T>, ms: number, late: () => Fault): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const timeout = new Promise<never>((_resolve, reject) => (timer = setTimeout(() => reject(late()), Math.max(ms, 0))));
  try {
    return await Promise.race([promise, timeout]);
  } finally {
    clearTimeout(timer);
  }
}

/** The answer to one request, as it comes in: bounded in time and bytes, settled once. */
class Reply implements Dispatcher.DispatchHandler {
  status = 0;
  firstByteAt = 0;
  private headers: Readonly<Record<string, string | string[] | undefined>> = {};
  private readonly chunks: Buffer[] = [];
  private bytes = 0;
  private settled = false;
  private timer: NodeJS.Timeout | undefined;
  private resolve: () => void = () => undefined;
  private reject: (reason: Fault | StaleConnection) => void = () => undefined;

  constructor(
    private readonly connection: Connection,
    private readonly connections: Connections,
  ) {}

  /** Resolves once there is a head, and as much of a body as came in time; rejects with a fault where no head came. */
  of(path: string, { method, headers, body }: Asked, remainingMs: number, timeoutMs: number): Promise<void> {
    return new Promise((resolve, reject) => {
      this.resolve = resolve;
      this.reject = reject;
      this.timer = setTimeout(
        () => this.cut(new Fault('timeout', `no answer within ${timeoutMs} ms`)),
        Math.max(remainingMs, 0),
      );
      this.connection.client.dispatch({ path, method, headers, body: body as Buffer | null }, this);
    });
  }

  body(): Buffer {
    return this.chunks.length === 1 ? (this.chunks[0] as Buffer) : Buffer.concat(this.chunks);
  }

  header(name: string): string {
    const value = this.headers[name];
    return (Array.isArray(value) ? value[0] : value) ?? '';
  }

  /** Cookies may be a session of the receiver's: they are nobody's business here. */
  headersText(): string {
    const shown = { ...this.headers };
    delete shown['set-cookie'];
    return JSON.stringify(shown);
  }

  onRequestStart(): void {
    // The request may be aborted through its connection at any time, so no controller is kept.
  }

  onResponseStart(
    _controller: Dispatcher.DispatchController,
    status: number,
    headers: Record<string, string | string[] | undefined>,
  ): void {
    if (status < 200) return;
    this.status = status;
    this.firstByteAt = performance.now();
    this.headers = headers;
  }

  onResponseData(_controller: Dispatcher.DispatchController, chunk: Buffer): void {
    if (this.settled) return;
    const room = maxReadBytes - this.bytes;
    this.chunks.push(chunk.length > room ? chunk.subarray(0, room) : chunk);
    this.bytes += chunk.length;
    if (this.bytes > maxReadBytes) this.cut(new Fault('protocol', 'the answer is too long'));
  }

  onResponseEnd(): void {
    if (!this.settle()) return;
    this.connections.give(this.connection);
    this.resolve();
  }

  onResponseError(_controller: Dispatcher.DispatchController | null, error: unknown): void {
    if (error instanceof StaleConnection && this.settle()) {
      this.connections.drop(this.connection);
      this.reject(error);
    } else this.cut(exchangeFault(error));
  }

  /** Ends the exchange before the answer does: what counts is whether its head has come. */
  private cut(fault: Fault): void {
    if (!this.settle()) return;
    this.connections.drop(this.connection);
    if (this.status) this.resolve();
    else this.reject(fault);
  }

  private settle(): boolean {
    if (this.settled) return false;
    this.settled = true;
    clearTimeout(this.timer);
    return true;
  }
}
