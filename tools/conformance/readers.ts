import { Agent, request } from 'node:http';

export interface Loading {
  readonly url: string;
  readonly key: string;
  /** Asked for in turn. */
  readonly paths: readonly string[];
  /** Connections, each kept alive and with one request at a time. */
  readonly connections: number;
  /** Between an answer and the next request of a connection. */
  readonly pauseMs: number;
}

/** Consumers that never stop reading. None of them tries again: what fails once has failed. */
export class Readers {
  requests = 0;
  slowestMs = 0;
  readonly failures: string[] = [];
  private stopped = false;
  private readonly running: Promise<void>[];

  constructor(private readonly loading: Loading) {
    this.running = Array.from({ length: loading.connections }, (_, index) => this.read(index));
  }

  async stop(): Promise<void> {
    this.stopped = true;
    await Promise.all(this.running);
  }

  private async read(from: number): Promise<void> {
    const { paths, pauseMs } = this.loading;
    const agent = new Agent({ keepAlive: true, maxSockets: 1 });
    for (let turn = from; !this.stopped; turn++) {
      await this.ask(agent, paths[turn % paths.length] as string);
      await new Promise((resolve) => setTimeout(resolve, pauseMs));
    }
    agent.destroy();
  }

  private async ask(agent: Agent, path: string): Promise<void> {
    const started = performance.now();
    const outcome = await new Promise<string>((resolve) => {
      const fail = (error: Error & { code?: string }) => resolve(`${error.code ?? ''} ${error.message}`);
      const { url, key } = this.loading;
      request(`${url}${path}`, { agent, headers: { 'x-api-key': key } }, (answer) => {
        answer.resume();
        answer.on('error', fail);
        answer.on('end', () => resolve(String(answer.statusCode)));
      })
        .on('error', fail)
        .end();
    });
    const ms = performance.now() - started;
    this.requests++;
    this.slowestMs = Math.max(this.slowestMs, ms);
    if (outcome !== '200') this.failures.push(`GET ${path}: ${outcome} after ${Math.round(ms)} ms`);
  }
}
