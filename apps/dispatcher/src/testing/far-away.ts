import { connect, createServer, type AddressInfo, type Server, type Socket } from 'node:net';

/** A server of this machine as if it stood in another city: what it sends arrives later, in order. */
export class FarAway {
  private constructor(
    private readonly server: Server,
    private readonly sockets: Set<Socket>,
    private readonly scheme: string,
  ) {}

  static async of(url: string, delayMs: number): Promise<FarAway> {
    const { protocol, hostname, port } = new URL(url);
    const sockets = new Set<Socket>();
    const server = createServer((near) => {
      const far = connect(Number(port), hostname);
      for (const socket of [near, far]) {
        sockets.add(socket);
        socket.on('error', () => undefined);
      }
      near.pipe(far);
      far.on('data', (bytes) => setTimeout(() => near.write(bytes), delayMs));
      far.on('end', () => setTimeout(() => near.end(), delayMs));
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    return new FarAway(server, sockets, protocol);
  }

  get url(): string {
    return `${this.scheme}//127.0.0.1:${(this.server.address() as AddressInfo).port}`;
  }

  close(): void {
    this.server.close();
    for (const socket of this.sockets) socket.destroy();
  }
}
