import {
  createServer,
  type IncomingHttpHeaders,
  type IncomingMessage,
  type Server,
  type ServerResponse,
} from 'node:http';
import { createServer as createSecureServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { waitFor } from './wait-for';

/** A request as it arrived, its body byte for byte. */
export interface ReceivedRequest {
  readonly method: string;
  readonly path: string;
  readonly headers: IncomingHttpHeaders;
  /** Names and values in turn, in the sender's spelling and order. */
  readonly rawHeaders: readonly string[];
  readonly body: Buffer;
  /** Milliseconds since the epoch, when the last byte was there. */
  readonly at: number;
}

/** What the sink answers; without a word, 200 and an empty body. */
export interface Answer {
  readonly status?: number;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string | Buffer;
  /** Waits before the head. */
  readonly delayMs?: number;
  /** Takes the request and never answers. */
  readonly hang?: boolean;
  /** Drops the connection instead of answering. */
  readonly reset?: boolean;
}

/** One answer for all requests, or one made for each, which may ask the system something first. */
export type Script = Answer | ((request: ReceivedRequest, index: number) => Answer | Promise<Answer>);

export interface SinkOptions {
  /** Serves https with this certificate. */
  readonly tls?: { readonly key: string | Buffer; readonly cert: string | Buffer };
  readonly script?: Script;
}

/** A subscriber's server: keeps what it is sent and answers as it is told. */
export class HttpSink {
  readonly requests: ReceivedRequest[] = [];
  private script: Script;
  private readonly pauses = new Set<NodeJS.Timeout>();

  private constructor(
    private readonly server: Server,
    private readonly scheme: 'http' | 'https',
    script: Script,
  ) {
    this.script = script;
  }

  static async start({ tls, script = {} }: SinkOptions = {}): Promise<HttpSink> {
    const server = tls ? createSecureServer(tls) : createServer();
    const sink = new HttpSink(server, tls ? 'https' : 'http', script);
    server.on('request', (request: IncomingMessage, response: ServerResponse) => {
      sink.take(request, response).catch(() => response.destroy());
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    return sink;
  }

  get port(): number {
    return (this.server.address() as AddressInfo).port;
  }

  get origin(): string {
    return `${this.scheme}://127.0.0.1:${this.port}`;
  }

  url(path = '/'): string {
    return `${this.origin}${path}`;
  }

  /** From the next request on. */
  answer(script: Script): void {
    this.script = script;
  }

  /** Waits until `count` requests (that match) are there, and returns them. */
  async received(
    count: number,
    match: (request: ReceivedRequest) => boolean = () => true,
    timeoutMs?: number,
  ): Promise<ReceivedRequest[]> {
    await waitFor(
      `${count} requests at the sink (of ${this.requests.length} in all)`,
      () => this.requests.filter(match).length >= count,
      timeoutMs,
    );
    return this.requests.filter(match);
  }

  clear(): void {
    this.requests.length = 0;
  }

  async stop(): Promise<void> {
    for (const pause of this.pauses) clearTimeout(pause);
    const closed = new Promise<void>((resolve) => this.server.close(() => resolve()));
    this.server.closeAllConnections();
    await closed;
  }

  private async take(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    const received: ReceivedRequest = {
      method: request.method ?? '',
      path: request.url ?? '',
      headers: request.headers,
      rawHeaders: request.rawHeaders,
      body: Buffer.concat(chunks),
      at: Date.now(),
    };
    const index = this.requests.push(received) - 1;
    const answer = typeof this.script === 'function' ? await this.script(received, index) : this.script;
    if (answer.hang) return;
    if (answer.reset) {
      request.socket.resetAndDestroy();
      return;
    }
    if (answer.delayMs) await this.pause(answer.delayMs);
    response.writeHead(answer.status ?? 200, { ...answer.headers });
    response.end(answer.body ?? '');
  }

  private pause(ms: number): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(() => {
        this.pauses.delete(timer);
        resolve();
      }, ms);
      this.pauses.add(timer);
    });
  }
}
