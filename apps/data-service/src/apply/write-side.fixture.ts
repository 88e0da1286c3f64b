import { Client, type QueryResultRow } from 'pg';
import { AckPolicy, connect, DeliverPolicy, headers, type NatsConnection } from 'nats';
import { readCommittedEvent, type CommittedEvent } from '@keyturn/contracts';
import { makeDatabase, runMigrations, type Database } from '@keyturn/platform/database';
import { Log } from '@keyturn/platform/logs';
import { Metrics } from '@keyturn/platform/metrics';
import { ensureStreams, NatsLink } from '@keyturn/platform/nats';
import { Drain } from '@keyturn/platform/service';
import { freshDatabase, freshNats, waitFor, type FreshDatabase, type FreshNats } from '@keyturn/testing';
import { Relay } from '../log/relay';
import { migrations } from '../migrations';
import { RejectedEvents } from '../rejected/rejected-events';
import { Applier } from './applier';

const log = Log.create('test', 'silent');

const migrate = (url: string) => runMigrations({ url, schema: 'data', migrations, log });

async function client(url: string): Promise<Client> {
  const made = new Client({ connectionString: url });
  // A test that stops the server connects again.
  made.on('error', () => undefined);
  await made.connect();
  return made;
}

/** A migrated database and a NATS with our streams, for one test file. */
export class WriteSideServers {
  private constructor(
    readonly database: FreshDatabase,
    readonly nats: FreshNats,
    private sql: Client,
    readonly publisher: NatsConnection,
  ) {}

  /** On the test run's PostgreSQL, or on one that a test may stop. */
  static async start(given?: FreshDatabase): Promise<WriteSideServers> {
    if (given) await migrate(given.url);
    const [database, nats] = await Promise.all([given ?? freshDatabase({ name: 'data', migrate }), freshNats()]);
    const sql = await client(database.url);
    const link = new NatsLink({ natsUrl: nats.url }, 'test', log);
    await link.whenConnected();
    await ensureStreams(link, 1);
    await link.close();
    const publisher = await connect({ servers: nats.url, maxReconnectAttempts: -1, reconnectTimeWait: 50 });
    return new WriteSideServers(database, nats, sql, publisher);
  }

  async stop(): Promise<void> {
    await this.publisher.close();
    await this.sql.end();
    await this.nats.stop();
    await this.database.drop();
  }

  async reconnect(): Promise<void> {
    this.sql = await client(this.database.url);
  }

  async rows<R extends QueryResultRow>(text: string, values: unknown[] = []): Promise<R[]> {
    return (await this.sql.query<R>(text, values)).rows;
  }

  putSpace(number: number, status = 'active'): Promise<unknown> {
    return this.sql.query(
      `insert into data.space (space_id, status) values ($1, $2) on conflict (space_id) do update set status = excluded.status`,
      [number, status],
    );
  }

  /** Publishes a CloudEvent where it belongs, and waits until the stream has it. */
  async publish(event: Event): Promise<void> {
    await this.publishRaw(subjectOf(event), this.bodyOf(event), `${event.source ?? '/test'}|${event.id}`);
  }

  bodyOf(event: Event): string {
    return JSON.stringify(envelope(event));
  }

  async publishRaw(subject: string, bytes: string | Uint8Array, msgId?: string): Promise<void> {
    const header = headers();
    if (msgId) header.set('Nats-Msg-Id', msgId);
    const answer = await this.publisher.request(subject, bytes, { headers: header, timeout: 5_000 });
    const { error } = answer.json<{ error?: { description: string } }>();
    if (error) throw new Error(error.description);
  }

  /** Every message of ours in stream EVENTS, in its order. */
  async events(): Promise<CommittedEvent[]> {
    const all = await this.streamMessages('EVENTS');
    const messages = all.filter(({ subject }) => subject.startsWith('events.spc_'));
    return messages.map(({ subject, header, bytes }) => {
      const event = readCommittedEvent(subject, header, bytes);
      if (!event) throw new Error(`not a committed event: ${subject}`);
      return event;
    });
  }

  async streamMessages(stream: string) {
    const manager = await this.publisher.jetstreamManager();
    const { state } = await manager.streams.info(stream);
    const messages: { subject: string; header: (name: string) => string; bytes: Uint8Array }[] = [];
    if (state.messages === 0) return messages;
    const { name } = await manager.consumers.add(stream, {
      ack_policy: AckPolicy.None,
      deliver_policy: DeliverPolicy.All,
      mem_storage: true,
    });
    const consumer = await this.publisher.jetstream().consumers.get(stream, name);
    while (messages.length < state.messages) {
      const batch = await consumer.fetch({ max_messages: state.messages - messages.length, expires: 5_000 });
      for await (const { subject, headers: header, data } of batch)
        messages.push({ subject, header: (key) => header?.get(key) ?? '', bytes: data });
    }
    await manager.consumers.delete(stream, name);
    return messages;
  }

  /** Waits until both streams are applied to their end and the log is relayed to its end. */
  async settled(timeoutMs = 20_000): Promise<void> {
    const manager = await this.publisher.jetstreamManager();
    await waitFor(
      'everything to be applied and relayed',
      async () => {
        const rows = await this.rows<{ name: string; sequence: string }>('select name, sequence from data.position');
        const at = Object.fromEntries(rows.map(({ name, sequence }) => [name, Number(sequence)]));
        for (const stream of ['DOMAIN', 'BACKFILL'])
          if ((await manager.streams.info(stream)).state.last_seq !== at[stream]) return false;
        const { state } = await manager.streams.info('EVENTS');
        if (at['log'] === 0) return true;
        const last = await manager.streams.getMessage('EVENTS', { seq: state.last_seq });
        return Number(last.header.get('Keyturn-Log')) === at['log'];
      },
      timeoutMs,
    );
  }
}

/** One data-service's write side in this process. */
export class WriteSide {
  private constructor(
    readonly applier: Applier,
    readonly metrics: Metrics,
    readonly database: Database,
    readonly link: NatsLink,
  ) {}

  /** `idle`: nothing is applied until it is asked to. */
  static async start(urls: { databaseUrl: string; natsUrl: string; idle?: boolean }): Promise<WriteSide> {
    const database = makeDatabase(urls.databaseUrl);
    const link = new NatsLink({ natsUrl: urls.natsUrl }, 'data-service', log);
    await link.whenConnected();
    const metrics = new Metrics('data-service');
    const relay = new Relay(database, link, log, metrics);
    const applier = new Applier(
      database,
      link,
      log,
      relay,
      new RejectedEvents(link, log, metrics),
      metrics,
      new Drain(),
    );
    if (!urls.idle) applier.onApplicationBootstrap();
    return new WriteSide(applier, metrics, database, link);
  }

  async stop(): Promise<void> {
    await this.applier.stop();
    await this.link.close();
    await this.database.close();
  }
}

/** A CloudEvent in the terms that a test varies. */
export interface Event {
  readonly id: string;
  readonly type: string;
  readonly data: Record<string, unknown>;
  readonly space?: number;
  readonly time?: string;
  readonly source?: string;
  readonly version?: number;
  readonly backfill?: boolean;
}

export function envelope(event: Event): Record<string, unknown> {
  return {
    specversion: '1.0',
    id: event.id,
    source: event.source ?? '/test',
    type: event.type,
    spaceid: `spc_${event.space ?? 1}`,
    time: event.time ?? '2026-03-10T12:00:00.000Z',
    datacontenttype: 'application/json',
    ...(event.version === undefined ? {} : { entityversion: event.version }),
    ...(event.backfill ? { backfill: true } : {}),
    data: event.data,
  };
}

export const subjectOf = ({ backfill, space, type }: Event) =>
  `${backfill ? 'backfill' : 'domain'}.spc_${space ?? 1}.${type}`;
