import { createHash } from 'node:crypto';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { Chance } from './seed';
import type { RecordState } from './record-state';

/** One request as a subscriber saw it. */
export interface Sighting extends RecordState {
  readonly messageId: string;
  /** Of the body's bytes. */
  readonly digest: string;
  readonly at: number;
  /** Epoch ms of the answer with 2xx; undefined where it was another one, or none. */
  acceptedAt: number | undefined;
}

/** What a subscriber does with the n-th request for a message; `hang` never answers, `reset` drops the connection. */
export type Reaction = { readonly status: number; readonly afterMs?: number } | 'hang' | 'reset';
export type Habit = (attempt: number, chance: Chance) => Reaction;

/** Subscribers of all kinds behind one server, told apart by their path. */
export class Receivers {
  private readonly seen = new Map<string, Sighting[]>();
  private readonly attempts = new Map<string, number>();
  private readonly chance: Chance;

  private constructor(
    private readonly server: Server,
    private readonly habits: Map<string, Habit>,
    seed: number,
  ) {
    this.chance = new Chance(seed);
  }

  static async start(habits: Readonly<Record<string, Habit>>, seed: number): Promise<Receivers> {
    const server = createServer({ keepAliveTimeout: 60_000 });
    const receivers = new Receivers(server, new Map(Object.entries(habits)), seed);
    server.on('request', (request: IncomingMessage, response: ServerResponse) => {
      receivers.take(request, response).catch(() => response.destroy());
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    return receivers;
  }

  url(name: string): string {
    return `http://127.0.0.1:${(this.server.address() as AddressInfo).port}/${name}`;
  }

  sightings(name: string): readonly Sighting[] {
    return this.seen.get(name) ?? [];
  }

  /** From the next request on. */
  behave(name: string, habit: Habit): void {
    this.habits.set(name, habit);
  }

  async close(): Promise<void> {
    this.server.closeAllConnections();
    await new Promise((resolve) => this.server.close(resolve));
  }

  private async take(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    const body = Buffer.concat(chunks);
    const name = (request.url ?? '').slice(1);
    const { data } = JSON.parse(body.toString('utf8')) as { data: { id: number; subject: string } };
    const messageId = String(request.headers['webhook-id']);
    const sighting: Sighting = {
      record: data.id,
      version: Number(data.subject),
      messageId,
      digest: createHash('sha256').update(body).digest('base64'),
      at: Date.now(),
      acceptedAt: undefined,
    };
    this.seen.set(name, this.seen.get(name) ?? []);
    this.seen.get(name)?.push(sighting);
    const attempt = (this.attempts.get(`${name} ${messageId}`) ?? 0) + 1;
    this.attempts.set(`${name} ${messageId}`, attempt);
    const reaction = this.habits.get(name)?.(attempt, this.chance) ?? { status: 404 };
    if (reaction === 'hang') return;
    if (reaction === 'reset') {
      request.socket.resetAndDestroy();
      return;
    }
    if (reaction.afterMs) await new Promise((resolve) => setTimeout(resolve, reaction.afterMs));
    if (reaction.status >= 200 && reaction.status < 300) sighting.acceptedAt = Date.now();
    response.writeHead(reaction.status).end();
  }
}
