import type { Socket } from 'node:net';
import { Client } from 'undici';
import type { Destination } from './destination';
import type { Dialled, Dialler } from './dial';

/** One open connection to one checked address, used by one request at a time. */
export interface Connection {
  readonly key: string;
  readonly address: string;
  readonly client: Client;
  readonly socket: Socket;
  readonly connectMs: number;
  readonly tlsMs: number | null;
}

/** The connection had gone before the request was written: another one may be used without asking anybody. */
export class StaleConnection extends Error {
  constructor() {
    super('the connection has gone');
    this.name = 'StaleConnection';
  }
}

export const maxHeadBytes = 16 * 1024;
const idleMs = 4_000;
const maxIdle = 1_024;

/**
 * Keep-alive connections, kept by host *and* address: a connection is used again only for an attempt whose own lookup has
 * led to the same address and passed the guard.
 */
export class Connections {
  /** In the order of their last use, over all destinations. */
  private readonly idle = new Map<string, Connection[]>();
  private idleCount = 0;

  constructor(private readonly dialler: Dialler) {}

  /** An idle connection to this address, the one used last. */
  take(destination: Destination, address: string): Connection | undefined {
    const key = keyOf(destination, address);
    const waiting = this.idle.get(key);
    if (!waiting) return undefined;
    let connection: Connection | undefined;
    do {
      connection = waiting.pop();
      if (connection) this.idleCount--;
    } while (connection?.socket.destroyed);
    if (!waiting.length) this.idle.delete(key);
    return connection;
  }

  /** Rejects with a fault, or with the signal's reason. */
  async open(destination: Destination, address: string, signal: AbortSignal): Promise<Connection> {
    const { socket, connectMs, tlsMs }: Dialled = await this.dialler.dial(destination, address, signal);
    let unused: typeof socket | undefined = socket;
    const client = new Client(destination.origin, {
      // The client gets this one socket; once that is gone it is of no more use, since a new one would be unchecked.
      connect: (_options, callback) => {
        const given = unused;
        unused = undefined;
        // The client does not take an answer before it has finished asking.
        queueMicrotask(() => {
          if (given && !given.destroyed) callback(null, given);
          else callback(new StaleConnection(), null);
        });
      },
      pipelining: 1,
      maxHeaderSize: maxHeadBytes,
      keepAliveTimeout: idleMs,
      keepAliveMaxTimeout: 30_000,
      // One timer of ours covers the whole exchange.
      headersTimeout: 0,
      bodyTimeout: 0,
    });
    const connection: Connection = { key: keyOf(destination, address), address, client, socket, connectMs, tlsMs };
    client.on('disconnect', () => this.drop(connection));
    return connection;
  }

  /** After a complete answer: the connection may serve the next request. */
  give(connection: Connection): void {
    if (connection.client.destroyed || connection.socket.destroyed) return this.drop(connection);
    const waiting = this.idle.get(connection.key) ?? [];
    waiting.push(connection);
    this.idle.delete(connection.key);
    this.idle.set(connection.key, waiting);
    if (++this.idleCount > maxIdle) this.dropOldest();
  }

  /** After anything else: the connection is closed. */
  drop(connection: Connection): void {
    const waiting = this.idle.get(connection.key);
    const index = waiting?.indexOf(connection) ?? -1;
    if (waiting && index !== -1) {
      waiting.splice(index, 1);
      this.idleCount--;
      if (!waiting.length) this.idle.delete(connection.key);
    }
    if (!connection.client.destroyed) connection.client.destroy(() => undefined);
  }

  close(): void {
    for (const waiting of [...this.idle.values()]) for (const connection of [...waiting]) this.drop(connection);
  }

  private dropOldest(): void {
    for (const waiting of this.idle.values()) {
      const oldest = waiting[0];
      if (oldest) this.drop(oldest);
      return;
    }
  }
}

const keyOf = (destination: Destination, address: string) => `${destination.origin} ${address}`;
