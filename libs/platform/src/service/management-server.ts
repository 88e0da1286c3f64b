import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Metrics } from '../metrics';
import type { Health } from './health';

/** `/livez`, `/readyz` (`?exclude=<check>`), `/metrics` on a port of their own, away from customers (DESIGN §5). */
export class ManagementServer {
  private readonly server: Server;

  constructor(
    private readonly health: Health,
    private readonly metrics: Metrics,
  ) {
    this.server = createServer((request, response) => {
      this.answer(request, response).catch(() => response.destroy());
    });
  }

  async listen(port: number, host: string): Promise<string> {
    await new Promise<void>((resolve, reject) => {
      this.server.once('error', reject);
      this.server.listen(port, host, resolve);
    });
    const { port: actual } = this.server.address() as AddressInfo;
    return `http://${host === '0.0.0.0' || host === '::' ? '127.0.0.1' : host}:${actual}`;
  }

  close(): Promise<void> {
    this.server.closeAllConnections();
    return new Promise((resolve) => this.server.close(() => resolve()));
  }

  private async answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    if (request.method !== 'GET' && request.method !== 'HEAD') {
      response.writeHead(405, { allow: 'GET, HEAD' }).end();
      return;
    }
    const url = new URL(request.url ?? '/', 'http://management');
    switch (url.pathname) {
      case '/livez':
        this.json(response, 200, { status: 'ok' });
        return;
      case '/readyz': {
        const { ready, checks } = await this.health.report(url.searchParams.getAll('exclude'));
        this.json(response, ready ? 200 : 503, { status: ready ? 'ok' : 'unavailable', checks });
        return;
      }
      case '/metrics':
        response.writeHead(200, { 'content-type': this.metrics.registry.contentType });
        response.end(await this.metrics.registry.metrics());
        return;
      default:
        this.json(response, 404, { status: 'not found' });
    }
  }

  private json(response: ServerResponse, status: number, body: unknown): void {
    response.writeHead(status, { 'content-type': 'application/json; charset=utf-8' });
    response.end(JSON.stringify(body));
  }
}
