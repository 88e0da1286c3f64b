import type { CommittedEvent } from '@keyturn/contracts';
import { freshDatabase, type FreshDatabase } from '@keyturn/testing';
import { makeDatabase, runMigrations, type Database } from '@keyturn/platform/database';
import { newUlid } from '@keyturn/platform/ids';
import { Log } from '@keyturn/platform/logs';
import { DeliveryStore } from './delivery-store';
import { PostgresDispatchStore } from './dispatch/dispatch-store';
import type { AttemptResult, InstanceId, Room } from './dispatch/dispatch-store.types';
import { makeListDatabases, type ListDatabases } from './list-databases';
import { webhookMigrations } from './migrations';
import { ReplayStore } from './replay-store';
import { SecretBox } from './secret-box';
import { newSigningSecret } from './signature';
import { webhookDefaults, type NewWebhook, type StoredWebhook } from './stored-webhook';
import { WebhookStore } from './webhook-store';

export const storeKey = 'a key for tests of at least thirty-two characters';

/** A migrated database of its own, the two stores on it, and the few moves that most tests begin with. */
export class StoreFixture {
  private sequences = new Map<string, number>();

  private constructor(
    private readonly fresh: FreshDatabase,
    readonly database: Database,
    readonly secrets: SecretBox,
    readonly webhooks: WebhookStore,
    readonly dispatch: PostgresDispatchStore,
    readonly deliveryStore: DeliveryStore,
    readonly replays: ReplayStore,
    private readonly lists: ListDatabases,
  ) {}

  static async open(): Promise<StoreFixture> {
    const fresh = await freshDatabase({
      name: 'webhooks',
      migrate: (url) =>
        runMigrations({ url, schema: 'webhooks', migrations: webhookMigrations, log: Log.create('test', 'silent') }),
    });
    const database = makeDatabase(fresh.url);
    const secrets = new SecretBox(storeKey);
    const lists = makeListDatabases(fresh.url, 2);
    return new StoreFixture(
      fresh,
      database,
      secrets,
      new WebhookStore(database, secrets, lists),
      new PostgresDispatchStore(database, secrets, { maxAttempts: 9, probeIntervalMs: 60_000 }),
      new DeliveryStore(database, lists, 9),
      new ReplayStore(database, lists, 9),
      lists,
    );
  }

  get url(): string {
    return this.fresh.url;
  }

  async close(): Promise<void> {
    await Promise.all([this.database, this.lists.walk, this.lists.scan].map((database) => database.close()));
    await this.fresh.drop();
  }

  /** Back to an empty store: cheaper than another database. */
  async clear(): Promise<void> {
    this.sequences.clear();
    await this.database.acrossSpaces('a test begins anew').query({
      name: 'test.clear',
      text: `truncate webhooks.space, webhooks.endpoint, webhooks.endpoint_state, webhooks.endpoint_version, webhooks.endpoint_hour,
             webhooks.endpoint_day, webhooks.idempotency, webhooks.message, webhooks.delivery, webhooks.attempt, webhooks.queue,
             webhooks.dispatcher, webhooks.accepted, webhooks.replay, webhooks.erasure restart identity cascade`,
    });
  }

  /** The newest sequence of a Space: what `data.space.position` would say. */
  position(spaceId: string): number {
    return this.sequences.get(spaceId) ?? 0;
  }

  webhook(spaceId: string, settings: Partial<NewWebhook> = {}): Promise<StoredWebhook> {
    return this.webhooks.create(
      spaceId,
      {
        name: 'CRM',
        url: 'https://example.com/hook',
        events: ['file.created', 'file.updated'],
        ...webhookDefaults,
        signingSecret: newSigningSecret(),
        ...settings,
      },
      { position: this.position(spaceId), quota: 1_000 },
    );
  }

  /** The next event of the Space, committed now. */
  event(spaceId: string, change: Partial<CommittedEvent> & { data?: object } = {}): CommittedEvent {
    const sequence = this.position(spaceId) + 1;
    this.sequences.set(spaceId, sequence);
    const { data, ...rest } = change;
    const time = new Date().toISOString();
    const event = {
      id: `evt_${newUlid()}`,
      spaceId,
      sequence,
      event: 'file.updated',
      recordId: 12345,
      time,
      committedAt: time,
      changed: ['name'],
      ...rest,
    };
    const body = { event: event.event, data: { id: event.recordId, ...data }, timestamp: event.time };
    return { payload: Buffer.from(JSON.stringify(body)), ...event };
  }

  events(spaceId: string, count: number, change: Partial<CommittedEvent> = {}): CommittedEvent[] {
    return Array.from({ length: count }, () => this.event(spaceId, change));
  }

  instance(leaseMs = 60_000): Promise<InstanceId> {
    return this.dispatch.register(leaseMs);
  }

  /** The stored state of all deliveries, oldest first. */
  async deliveries(): Promise<DeliveryState[]> {
    return this.database.acrossSpaces('a test looks at everything').query<DeliveryState>({
      name: 'test.deliveries',
      text: `select d.id, d.endpoint_id, d.message_id, d.status, d.attempts, d.response_status, d.response_body, d.next_retry_at,
                    d.delivered_at, d.error, d.troubled, q.state, q.owner
             from webhooks.delivery d left join webhooks.queue q on q.delivery_id = d.id order by d.id`,
    });
  }

  /** Makes everything that is scheduled due, as if its time had passed. */
  async passTime(): Promise<void> {
    await this.database.acrossSpaces('a test moves time').query({
      name: 'test.pass_time',
      text: `update webhooks.queue set due_at = now() - interval '1 ms' where state = 'scheduled'`,
    });
  }
}

export interface DeliveryState extends Record<string, unknown> {
  id: string;
  endpoint_id: string;
  message_id: string;
  status: string;
  attempts: number;
  response_status: number | null;
  response_body: string | null;
  next_retry_at: Date | null;
  delivered_at: Date | null;
  error: string | null;
  troubled: boolean;
  state: string | null;
  owner: string | null;
}

export const room = (total = 100, perEndpoint = total, ofEndpoint: Record<string, number> = {}): Room => ({
  total,
  perEndpoint,
  ofEndpoint: new Map(Object.entries(ofEndpoint)),
});

/** An attempt's result; a success unless told, of a change committed now. */
export function result(
  deliveryId: string,
  effect: AttemptResult['effect'] = { kind: 'delivered' },
  attempt: Partial<AttemptResult['attempt']> = {},
): AttemptResult {
  const delivered = effect.kind === 'delivered';
  return {
    deliveryId,
    committedAt: Date.now(),
    effect,
    attempt: {
      number: 1,
      startedAt: new Date(),
      reason: 'first',
      address: '127.0.0.1',
      status: delivered ? 200 : 500,
      headers: 'content-type: text/plain',
      body: delivered ? 'OK' : 'no',
      faultClass: delivered ? null : 'status',
      error: delivered ? null : 'the receiver answered 500',
      dnsMs: 0.1,
      connectMs: 0.2,
      tlsMs: null,
      firstByteMs: 1.5,
      totalMs: 2.5,
      ...attempt,
    },
  };
}
