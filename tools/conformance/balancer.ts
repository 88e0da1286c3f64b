import { connect, createServer, type AddressInfo, type Server, type Socket } from 'node:net';

interface Backend {
  readonly name: string;
  readonly address: { readonly host: string; readonly port: number };
  readonly readinessUrl: string;
  failures: number;
  /** New connections go to it. */
  ready: boolean;
}

export interface Probing {
  readonly everyMs: number;
  /** So many in a row, and it gets no new connection until it has answered well again. */
  readonly failures: number;
}

/**
 * What a Kubernetes Service does for gateways: a new connection goes to one that has shown itself ready, in turn, and stays
 * there for as long as both ends keep it. It sees no requests, so it repeats none.
 */
export class Balancer {
  private readonly backends: Backend[] = [];
  private readonly sockets = new Set<Socket>();
  private turn = 0;
  private timer: NodeJS.Timeout | undefined;
  private stopped = false;
  private connections = 0;

  private constructor(
    private readonly server: Server,
    private readonly probing: Probing,
  ) {}

  static async start(probing: Probing): Promise<Balancer> {
    const server = createServer({ allowHalfOpen: true });
    const balancer = new Balancer(server, probing);
    server.on('connection', (near) => balancer.join(near));
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    void balancer.probe();
    return balancer;
  }

  get url(): string {
    return `http://127.0.0.1:${(this.server.address() as AddressInfo).port}`;
  }

  /** Connections so far. */
  get taken(): number {
    return this.connections;
  }

  add(name: string, url: string, managementUrl: string): void {
    const { hostname: host, port } = new URL(url);
    this.backends.push({
      name,
      address: { host, port: Number(port) },
      // As the Deployment of the gateway asks: with a dependency away it still has an answer to give.
      readinessUrl: `${managementUrl}/readyz?exclude=postgres&exclude=nats`,
      failures: 0,
      ready: false,
    });
  }

  isReady(name: string): boolean {
    return this.backends.some((backend) => backend.name === name && backend.ready);
  }

  async stop(): Promise<void> {
    this.stopped = true;
    clearTimeout(this.timer);
    const closed = new Promise<void>((resolve) => this.server.close(() => resolve()));
    for (const socket of this.sockets) socket.destroy();
    await closed;
  }

  private join(near: Socket): void {
    this.connections++;
    const ready = this.backends.filter((backend) => backend.ready);
    const backend = ready[this.turn++ % ready.length];
    if (!backend) {
      near.destroy();
      return;
    }
    const far = connect({ ...backend.address, allowHalfOpen: true });
    for (const [socket, other] of [
      [near, far],
      [far, near],
    ] as const) {
      this.sockets.add(socket);
      socket.setNoDelay(true);
      // An end travels as an end and a reset as a reset, each after the bytes before it.
      socket.pipe(other);
      socket.on('error', () => other.destroy());
      socket.on('close', () => {
        this.sockets.delete(socket);
        if (socket.errored) other.destroy();
      });
    }
  }

  private async probe(): Promise<void> {
    await Promise.all(this.backends.map((backend) => this.look(backend)));
    if (!this.stopped) this.timer = setTimeout(() => void this.probe(), this.probing.everyMs);
  }

  private async look(backend: Backend): Promise<void> {
    const well = await fetch(backend.readinessUrl, { signal: AbortSignal.timeout(1_000) }).then(
      (answer) => answer.ok,
      () => false,
    );
    backend.failures = well ? 0 : backend.failures + 1;
    if (well) backend.ready = true;
    else if (backend.failures >= this.probing.failures) backend.ready = false;
  }
}
