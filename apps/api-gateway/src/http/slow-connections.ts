import { Injectable, type BeforeApplicationShutdown } from '@nestjs/common';
import { HttpAdapterHost } from '@nestjs/core';
import type { Server } from 'node:http';

/** Well inside the time that an orchestrator gives a process to end. */
const graceMs = 15_000;

/** The server waits for requests in hand when it closes; whoever has not sent or taken theirs by then is cut off. */
@Injectable()
export class SlowConnections implements BeforeApplicationShutdown {
  constructor(private readonly host: HttpAdapterHost) {}

  beforeApplicationShutdown(): void {
    const server = this.host.httpAdapter.getHttpServer() as Server;
    setTimeout(() => server.closeAllConnections(), graceMs).unref();
  }
}
