import { connect, createServer, type AddressInfo, type Server, type Socket } from 'node:net';

/** A way to a server that can be cut or frozen, as networks and machines are: at any byte, without a word. */
export class Door {
  private readonly pairs = new Set<readonly [Socket, Socket]>();
  private frozen = false;
  private countdown: { left: number; done: () => void } | undefined;

  private constructor(
    private readonly server: Server,
    /** The server's own URL, through this door. */
    readonly url: string,
  ) {}

  static async to(target: string): Promise<Door> {
    const url = new URL(target);
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const [host, port] = [url.hostname, Number(url.port)];
    url.port = String((server.address() as AddressInfo).port);
    const door = new Door(server, url.href);
    server.on('connection', (client) => door.join(client, connect(port, host)));
    return door;
  }

  private join(client: Socket, upstream: Socket): void {
    const pair = [client, upstream] as const;
    this.pairs.add(pair);
    if (this.frozen) this.hold(pair);
    client.on('data', (data) => {
      if (this.countdown && --this.countdown.left <= 0) {
        // What was just sent may or may not arrive: here it does not.
        const { done } = this.countdown;
        this.countdown = undefined;
        this.cut();
        done();
        return;
      }
      upstream.write(data);
    });
    upstream.on('data', (data) => client.write(data));
    for (const [one, other] of [pair, [upstream, client] as const]) {
      one.on('error', () => other.destroy());
      one.on('close', () => {
        other.destroy();
        this.pairs.delete(pair);
      });
    }
  }

  /** Cuts all connections. */
  cut(): void {
    for (const pair of this.pairs) for (const socket of pair) socket.destroy();
  }

  /** Resolves when the connections were cut: after so many more packets towards the server. */
  cutAfter(packets: number): Promise<void> {
    return new Promise((done) => (this.countdown = { left: packets, done }));
  }

  /** Lets nothing through, in either direction, and says nothing. */
  freeze(): void {
    this.frozen = true;
    for (const pair of this.pairs) this.hold(pair);
  }

  thaw(): void {
    this.frozen = false;
    for (const pair of this.pairs) for (const socket of pair) socket.resume();
  }

  private hold(pair: readonly [Socket, Socket]): void {
    for (const socket of pair) socket.pause();
  }

  async close(): Promise<void> {
    this.cut();
    await new Promise<void>((resolve) => this.server.close(() => resolve()));
  }
}
