import { connect, createServer, type AddressInfo, type Server, type Socket } from 'node:net';
import { reply } from '@keyturn/platform/rpc';
import { freshDatabase, freshNats, waitFor, type FreshDatabase, type FreshNats } from '@keyturn/testing';
import { accessTemplate, RunningGateway, StandIn } from '../gateway-fixture';

jest.setTimeout(60_000);

/** A line to Postgres that can be cut, or go dead without a word. */
class Line {
  private readonly sockets = new Set<Socket>();
  private state: 'open' | 'frozen' | 'cut' = 'open';

  private constructor(
    private readonly server: Server,
    private readonly target: URL,
  ) {}

  static async to(url: string): Promise<Line> {
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const line = new Line(server, new URL(url));
    server.on('connection', (near) => line.join(near));
    return line;
  }

  get url(): string {
    const url = new URL(this.target);
    url.hostname = '127.0.0.1';
    url.port = String((this.server.address() as AddressInfo).port);
    return url.href;
  }

  private join(near: Socket): void {
    if (this.state === 'cut') {
      near.destroy();
      return;
    }
    const far = connect(Number(this.target.port), this.target.hostname);
    for (const [from, to] of [
      [near, far],
      [far, near],
    ] as const) {
      this.sockets.add(from);
      from.on('data', (bytes) => this.state === 'open' && to.write(bytes));
      from.on('error', () => undefined);
      from.on('close', () => {
        this.sockets.delete(from);
        to.destroy();
      });
    }
  }

  cut(): void {
    this.state = 'cut';
    for (const socket of this.sockets) socket.destroy();
  }

  freeze(): void {
    this.state = 'frozen';
  }

  /** New connections work; those from before a freeze stay dead, without a word. */
  mend(): void {
    for (const socket of this.sockets) socket.removeAllListeners('data');
    this.state = 'open';
  }

  async close(): Promise<void> {
    this.cut();
    await new Promise((resolve) => this.server.close(resolve));
  }
}

describe('with a part of the system down', () => {
  let database: FreshDatabase;
  let line: Line;
  let nats: FreshNats;
  let services: StandIn;
  let gateway: RunningGateway;
  let key: string;
  let release: (() => void)[] | undefined;

  beforeAll(async () => {
    [database, nats] = await Promise.all([freshDatabase(accessTemplate), freshNats()]);
    line = await Line.to(database.url);
    services = await StandIn.start(nats.url, {
      'data.space.put': () => reply({}),
      'data.list': async () => {
        if (release) await new Promise<void>((resolve) => release?.push(resolve));
        return reply({ count: 0, total: 0, next: null });
      },
    });
    gateway = await RunningGateway.start(line.url, nats.url);
    await gateway.createSpace('acme');
    ({ key } = await gateway.createKey('acme', { rateLimit: 1_000_000 }));
  });

  afterAll(async () => {
    await gateway.close();
    await services.close().catch(() => undefined);
    await nats.stop();
    await line.close();
    await database.drop();
  });

  const get = async (path = '/api/v1/files') => {
    const started = performance.now();
    const response = await fetch(`${gateway.url}${path}`, { headers: { 'X-API-Key': key } });
    const body = (await response.json()) as { error?: { code: string } };
    return { status: response.status, body, headers: response.headers, ms: performance.now() - started };
  };

  /** Every one of many at once, and one that comes a little later, is told within 2 s to come back. */
  const expectUnavailable = async () => {
    const answers = await Promise.all(Array.from({ length: 20 }, () => get()));
    answers.push(await get());
    for (const { status, body, headers, ms } of answers) {
      expect([status, body.error?.code]).toEqual([503, 'INTERNAL_ERROR']);
      expect(headers.get('retry-after')).toBe('1');
      expect(headers.get('x-ratelimit-limit')).toMatch(/^\d+$/);
      expect(headers.get('content-type')).toBe('application/json; charset=utf-8');
      expect(ms).toBeLessThan(2_000);
    }
    expect((await get('/api/v1/health')).status).toBe(200);
  };

  const expectRecovery = () => waitFor('reads to work again', async () => (await get()).status === 200);

  it('PostgreSQL gone: 503 at once, and well again by itself', async () => {
    expect((await get()).status).toBe(200);
    line.cut();
    await expectUnavailable();
    line.mend();
    await expectRecovery();
  });

  it('PostgreSQL silent: 503 within the deadline, and well again by itself', async () => {
    line.freeze();
    await expectUnavailable();
    line.mend();
    await expectRecovery();
  });

  it('nobody answering in time: 503 within the deadline', async () => {
    const held: (() => void)[] = [];
    release = held;
    await expectUnavailable();
    release = undefined;
    for (const answer of held) answer();
    await expectRecovery();
  });

  it('NATS gone: 503 at once, and well again by itself', async () => {
    await nats.kill();
    await expectUnavailable();
    await nats.restart();
    await expectRecovery();
  });
});
