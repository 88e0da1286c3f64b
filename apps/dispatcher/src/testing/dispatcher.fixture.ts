import { committedEventHeaders, eventsSubject, webhookPayload, type CommittedEvent } from '@keyturn/contracts';
import { makeDatabase, runMigrations, type Database } from '@keyturn/platform/database';
import { newUlid } from '@keyturn/platform/ids';
import { Log } from '@keyturn/platform/logs';
import { Metrics } from '@keyturn/platform/metrics';
import { ensureStreams, NatsLink } from '@keyturn/platform/nats';
import { Drain, Health } from '@keyturn/platform/service';
import { readSettings } from '@keyturn/platform/config';
import { freshDatabase, freshNats, type FreshDatabase, type FreshNats } from '@keyturn/testing';
import {
  encodeHint,
  eventsConsumer,
  eventsStream,
  hintSubject,
  newSigningSecret,
  PostgresDispatchStore,
  SecretBox,
  webhookDefaults,
  webhookMigrations,
  WebhookStore,
  type Consent,
  type NewWebhook,
  type StoredWebhook,
} from '@keyturn/webhook-store';
import { headers, type ConsumerInfo, type NatsConnection } from 'nats';
import { DispatchEngine } from '../delivery/dispatch-engine';
import { DispatchMetrics } from '../delivery/dispatch-metrics';
import { exchangeWith } from '../dispatcher.module';
import { dispatcherSettings } from '../dispatcher.settings';

/** One dispatcher in this process, on connections of its own. */
export interface RunningDispatcher {
  readonly engine: DispatchEngine;
  readonly metrics: Metrics;
  readonly drain: Drain;
  stop(): Promise<void>;
}

/** A database and a NATS of its own, the subscriptions of any Space, and as many dispatchers as a test wants. */
export class DispatcherFixture {
  private readonly sequences = new Map<string, number>();
  private readonly running: RunningDispatcher[] = [];
  private readonly log = Log.create('test', 'silent');

  private constructor(
    private readonly fresh: FreshDatabase,
    readonly nats: FreshNats,
    private readonly link: NatsLink,
    private readonly connection: NatsConnection,
    readonly database: Database,
    readonly webhooks: WebhookStore,
    private readonly env: Readonly<Record<string, string>>,
  ) {}

  /** `env` are settings of all dispatchers, beside those that let them reach a receiver on this machine. */
  static async open(env: Readonly<Record<string, string>> = {}): Promise<DispatcherFixture> {
    const log = Log.create('test', 'silent');
    const [fresh, nats] = await Promise.all([
      freshDatabase({
        name: 'webhooks',
        migrate: (url) => runMigrations({ url, schema: 'webhooks', migrations: webhookMigrations, log }),
      }),
      freshNats(),
    ]);
    const link = new NatsLink({ natsUrl: nats.url }, 'test', log);
    const connection = await link.whenConnected();
    await ensureStreams(link, 1);
    const database = makeDatabase(fresh.url, { max: 4 });
    const settings = {
      DATABASE_URL: fresh.url,
      NATS_URL: nats.url,
      SECRETS_KEY: 'a key for tests of at least thirty-two characters',
      ADMIN_TOKEN: 'a token for tests of at least thirty-two characters',
      LOG_LEVEL: 'silent',
      WEBHOOK_ALLOW_HTTP: 'true',
      WEBHOOK_ALLOW_CIDRS: '127.0.0.0/8,::1/128',
      WEBHOOK_RETRY_JITTER: 'false',
      ...env,
    };
    const webhooks = new WebhookStore(database, new SecretBox(settings.SECRETS_KEY), {
      walk: database,
      scan: database,
    });
    return new DispatcherFixture(fresh, nats, link, connection, database, webhooks, settings);
  }

  async close(): Promise<void> {
    await Promise.all(this.running.map((dispatcher) => dispatcher.stop()));
    await this.database.close();
    await this.link.close();
    await this.nats.stop();
    await this.fresh.drop();
  }

  get environment(): Readonly<Record<string, string>> {
    return this.env;
  }

  dispatcher(env: Readonly<Record<string, string>> = {}): RunningDispatcher {
    const settings = readSettings(dispatcherSettings, { ...this.env, ...env });
    const database = makeDatabase(settings.databaseUrl, { max: 6 });
    const link = new NatsLink(settings, 'dispatcher', this.log);
    const metrics = new Metrics('dispatcher');
    const drain = new Drain();
    const store = new PostgresDispatchStore(database, new SecretBox(settings.secretsKey), {
      maxAttempts: settings.retryScheduleMs.length + 1,
      probeIntervalMs: settings.probeIntervalMs,
    });
    const { exchange, connections } = exchangeWith(settings);
    const engine = new DispatchEngine(
      settings,
      store,
      exchange,
      link,
      this.log,
      new DispatchMetrics(metrics),
      drain,
      new Health(drain),
    );
    engine.onApplicationBootstrap();
    let stopped = false;
    const running: RunningDispatcher = {
      engine,
      metrics,
      drain,
      stop: async () => {
        if (stopped) return;
        stopped = true;
        await engine.stop();
        connections.close();
        await database.close();
        await link.close();
      },
    };
    this.running.push(running);
    return running;
  }

  async webhook(
    url: string,
    settings: Partial<NewWebhook> = {},
    spaceId = 'spc_1',
  ): Promise<StoredWebhook & { secret: string }> {
    const secret = newSigningSecret();
    const webhook = await this.webhooks.create(
      spaceId,
      {
        name: 'CRM',
        url,
        events: ['file.created', 'file.updated'],
        ...webhookDefaults,
        signingSecret: secret,
        ...settings,
      },
      { position: this.sequences.get(spaceId) ?? 0, quota: 10_000 },
    );
    return { ...webhook, secret };
  }

  /** Changes an endpoint as webhook-service does: in the database, then by word of mouth. */
  async change(
    id: string,
    change: Parameters<WebhookStore['update']>[2],
    spaceId = 'spc_1',
    consent?: Consent,
  ): Promise<void> {
    await this.webhooks.update(spaceId, id, change, this.sequences.get(spaceId) ?? 0, consent);
    this.hint(id);
  }

  hint(id: string): void {
    this.connection.publish(hintSubject, encodeHint({ endpointId: id.slice('wh_'.length) }));
  }

  /** The next event of a Space, as the relay would publish it. */
  event(change: Partial<CommittedEvent> & { data?: object } = {}, spaceId = 'spc_1'): CommittedEvent {
    const sequence = (this.sequences.get(spaceId) ?? 0) + 1;
    this.sequences.set(spaceId, sequence);
    const { data, ...rest } = change;
    const time = new Date().toISOString();
    const event = {
      id: `evt_${newUlid()}`,
      spaceId,
      sequence,
      event: 'file.created',
      recordId: sequence,
      time,
      committedAt: time,
      changed: [],
      ...rest,
    };
    const text = webhookPayload(event.event, JSON.stringify({ id: event.recordId, ...data }), event.time);
    return { payload: Buffer.from(text, 'utf8'), ...event };
  }

  events(count: number, change: Partial<CommittedEvent> & { data?: object } = {}, spaceId = 'spc_1'): CommittedEvent[] {
    return Array.from({ length: count }, () => this.event(change, spaceId));
  }

  async publish(...events: CommittedEvent[]): Promise<void> {
    const stream = this.connection.jetstream();
    await Promise.all(
      events.map((event) => {
        const head = headers();
        for (const [name, value] of Object.entries(committedEventHeaders(event))) head.set(name, value);
        return stream.publish(eventsSubject(event), event.payload, { headers: head });
      }),
    );
  }

  publishRaw(subject: string, body: string): Promise<unknown> {
    return this.connection.jetstream().publish(subject, body);
  }

  /** What NATS says of the consumer that all dispatchers share. */
  async consumer(): Promise<ConsumerInfo> {
    return (await this.link.manager()).consumers.info(eventsStream, eventsConsumer);
  }

  /** The stored state of all deliveries, oldest first. */
  deliveries(): Promise<DeliveryRow[]> {
    return this.database.acrossSpaces('a test looks at everything').query<DeliveryRow>({
      name: 'test.deliveries',
      text: `select d.id, d.endpoint_id as endpoint, d.message_id as message, d.status, d.attempts,
                    d.response_status as code, d.error, q.state, q.owner
             from webhooks.delivery d left join webhooks.queue q on q.delivery_id = d.id order by d.id`,
    });
  }

  attempts(): Promise<AttemptRow[]> {
    return this.database.acrossSpaces('a test looks at everything').query<AttemptRow>({
      name: 'test.attempts',
      text: `select delivery_id as delivery, number, reason, started_at as at, duration_ms as ms, response_status as code, fault,
                    error, late, address from webhooks.attempt order by id`,
    });
  }
}

export interface DeliveryRow extends Record<string, unknown> {
  id: string;
  endpoint: string;
  message: string;
  status: string;
  attempts: number;
  code: number | null;
  error: string | null;
  state: string | null;
  owner: string | null;
}

export interface AttemptRow extends Record<string, unknown> {
  delivery: string;
  number: number;
  reason: string;
  at: Date;
  ms: number;
  code: number | null;
  fault: string | null;
  error: string | null;
  late: boolean;
  address: string | null;
}
