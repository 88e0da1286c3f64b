import { readFileSync } from 'node:fs';
import http, { type IncomingMessage, type ServerResponse } from 'node:http';
import https from 'node:https';
import net, { type AddressInfo, type Socket } from 'node:net';
import path from 'node:path';

export const certificate = (name: 'ca' | 'receiver' | 'other' | 'expired') => ({
  cert: readFileSync(path.join(__dirname, 'certificates', `${name}.pem`), 'utf8'),
  ...(name === 'ca' ? {} : { key: readFileSync(path.join(__dirname, 'certificates', `${name}.key`), 'utf8') }),
});

/** A bare TCP server that does to each connection whatever a hostile receiver would. */
export class RawReceiver {
  readonly sockets = new Set<Socket>();
  connections = 0;

  private constructor(private readonly server: net.Server) {}

  /** `behave` is called for each connection, with its number from 1. */
  static async start(behave: (socket: Socket, connection: number) => void, host = '127.0.0.1'): Promise<RawReceiver> {
    const server = net.createServer({ allowHalfOpen: true });
    const receiver = new RawReceiver(server);
    server.on('connection', (socket) => {
      receiver.sockets.add(socket);
      socket.on('error', () => undefined).on('close', () => receiver.sockets.delete(socket));
      behave(socket, ++receiver.connections);
    });
    await new Promise<void>((resolve) => server.listen(0, host, resolve));
    return receiver;
  }

  get port(): number {
    return (this.server.address() as AddressInfo).port;
  }

  get url(): string {
    const { address, family } = this.server.address() as AddressInfo;
    return `http://${family === 'IPv6' ? `[${address}]` : address}:${this.port}/hook`;
  }

  async close(): Promise<void> {
    for (const socket of this.sockets) socket.destroy();
    await new Promise((resolve) => this.server.close(resolve));
  }
}

export interface ReceivedRequest {
  readonly method: string;
  readonly path: string;
  readonly headers: http.IncomingHttpHeaders;
  readonly rawHeaders: readonly string[];
  readonly body: Buffer;
  readonly at: number;
}

/** A well-behaved HTTP receiver that keeps what it was sent. */
export class HttpReceiver {
  readonly requests: ReceivedRequest[] = [];
  connections = 0;

  private constructor(
    private readonly server: http.Server | https.Server,
    private readonly scheme: string,
  ) {}

  static async start(
    answer: (request: ReceivedRequest, response: ServerResponse) => void = (_request, response) => response.end('OK'),
    options: { host?: string; port?: number; tls?: 'receiver' | 'other' | 'expired' } = {},
  ): Promise<HttpReceiver> {
    const server = options.tls ? https.createServer(certificate(options.tls)) : http.createServer();
    const receiver = new HttpReceiver(server, options.tls ? 'https' : 'http');
    server.on(options.tls ? 'secureConnection' : 'connection', () => receiver.connections++);
    server.on('request', (request: IncomingMessage, response: ServerResponse) => {
      const chunks: Buffer[] = [];
      request.on('data', (chunk: Buffer) => chunks.push(chunk));
      request.on('end', () => {
        const received: ReceivedRequest = {
          method: request.method ?? '',
          path: request.url ?? '',
          headers: request.headers,
          rawHeaders: request.rawHeaders,
          body: Buffer.concat(chunks),
          at: Date.now(),
        };
        receiver.requests.push(received);
        answer(received, response);
      });
    });
    await new Promise<void>((resolve) => server.listen(options.port ?? 0, options.host ?? '127.0.0.1', resolve));
    return receiver;
  }

  get port(): number {
    return (this.server.address() as AddressInfo).port;
  }

  get url(): string {
    return `${this.scheme}://127.0.0.1:${this.port}/hook`;
  }

  async close(): Promise<void> {
    this.server.closeAllConnections();
    await new Promise((resolve) => this.server.close(resolve));
  }
}
