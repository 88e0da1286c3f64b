import type { OperationName, ReplyOf, RequestOf } from '@keyturn/contracts';
import { makeDatabase, runMigrations, type Database } from '@keyturn/platform/database';
import { newUlid } from '@keyturn/platform/ids';
import { Log } from '@keyturn/platform/logs';
import type { RpcClient } from '@keyturn/platform/rpc';
import { freshDatabase, type FreshDatabase } from '@keyturn/testing';
import {
  AddressPolicy,
  DeliveryStore,
  makeListDatabases,
  PostgresDispatchStore,
  SecretBox,
  WebhookStore,
  webhookMigrations,
  type AcceptedDelivery,
  type AcceptedEvent,
  type AttemptResult,
  type ListDatabases,
} from '@keyturn/webhook-store';
import type { WebhookServiceSettings } from '../settings';
import type { WebhookHints } from './webhook-hints';
import { WebhooksService } from './webhooks.service';

export const secretsKey = 'a key for tests of at least thirty-two characters';

/** webhook-service on a database of its own. What it asks of other services is answered here: Spaces' positions, tests. */
export class WebhookServiceFixture {
  /** The newest sequence of each Space. */
  readonly positions = new Map<string, number>();
  /** Endpoints that a dispatcher was told about. */
  readonly hinted: string[] = [];
  /** How the receiver of a test answers. */
  testAnswer = 200;

  private constructor(
    private readonly fresh: FreshDatabase,
    readonly database: Database,
    private readonly lists: ListDatabases,
    readonly store: WebhookStore,
    readonly deliveries: DeliveryStore,
    readonly dispatch: PostgresDispatchStore,
  ) {}

  static async open(): Promise<WebhookServiceFixture> {
    const fresh = await freshDatabase({
      name: 'webhooks',
      migrate: (url) =>
        runMigrations({ url, schema: 'webhooks', migrations: webhookMigrations, log: Log.create('test', 'silent') }),
    });
    const database = makeDatabase(fresh.url);
    const lists = makeListDatabases(fresh.url, 2);
    const secrets = new SecretBox(secretsKey);
    return new WebhookServiceFixture(
      fresh,
      database,
      lists,
      new WebhookStore(database, secrets, lists),
      new DeliveryStore(database, lists, 9),
      new PostgresDispatchStore(database, secrets, { maxAttempts: 9, probeIntervalMs: 60_000 }),
    );
  }

  async close(): Promise<void> {
    await Promise.all([this.database, this.lists.walk, this.lists.scan].map((database) => database.close()));
    await this.fresh.drop();
  }

  service(settings: Partial<WebhookServiceSettings> = {}): WebhooksService {
    const rpc = {
      request: async (operation: OperationName, request: never) => ({ head: await this.answer(operation, request) }),
    } as unknown as RpcClient;
    const hints = { changed: (id: string) => void this.hinted.push(id) } as unknown as WebhookHints;
    return new WebhooksService(
      this.store,
      this.deliveries,
      new AddressPolicy({ allowHttp: settings.allowHttp ?? false, allowCidrs: settings.allowCidrs ?? [] }),
      rpc,
      hints,
      { webhookQuota: 50, testQuota: 10, timeoutMs: 1_000, ...settings } as WebhookServiceSettings,
    );
  }

  private async answer(operation: OperationName, request: never): Promise<unknown> {
    switch (operation) {
      case 'data.space.position': {
        const { spaceId } = request as RequestOf<'data.space.position'>;
        return { sequence: this.positions.get(spaceId) ?? 0 } satisfies ReplyOf<'data.space.position'>;
      }
      case 'dispatcher.test':
        return this.sendTest(request as RequestOf<'dispatcher.test'>);
      default:
        throw new Error(`nobody answers ${operation} here`);
    }
  }

  private async sendTest({ spaceId, webhookId }: RequestOf<'dispatcher.test'>): Promise<ReplyOf<'dispatcher.test'>> {
    const instance = await this.dispatch.register(60_000);
    const time = new Date().toISOString();
    const payload = { event: 'webhook.test', data: { webhookId, message: 'hello' }, timestamp: time };
    const test = await this.dispatch.openTest(instance, {
      messageId: `evt_${newUlid()}`,
      spaceId,
      webhookId,
      time,
      payload: Buffer.from(JSON.stringify(payload)),
    });
    if (!test) throw new Error('no such endpoint');
    const delivered = this.testAnswer < 300;
    await this.dispatch.record(instance, [
      attempt(test.id, delivered ? { kind: 'delivered' } : { kind: 'failed' }, this.testAnswer, 'test'),
    ]);
    return { deliveryId: `dlv_${test.id}` };
  }

  /** The next events of the Space, accepted and leased to a dispatcher. */
  async accept(
    spaceId: string,
    count: number,
    change: Partial<AcceptedEvent> = {},
  ): Promise<{ instance: string; leased: AcceptedDelivery[]; events: AcceptedEvent[] }> {
    const instance = await this.dispatch.register(60_000);
    const events = Array.from({ length: count }, () => this.event(spaceId, change));
    const { leased } = await this.dispatch.accept(instance, events, {
      total: 1_000,
      perEndpoint: 1_000,
      ofEndpoint: new Map(),
    });
    return { instance, leased, events };
  }

  event(spaceId: string, change: Partial<AcceptedEvent> = {}): AcceptedEvent {
    const sequence = (this.positions.get(spaceId) ?? 0) + 1;
    this.positions.set(spaceId, sequence);
    const time = new Date().toISOString();
    const event = 'file.updated';
    const payload = Buffer.from(JSON.stringify({ event, data: { id: 12345, name: 'Ünïcode ✓' }, timestamp: time }));
    return {
      id: `evt_${newUlid()}`,
      spaceId,
      sequence,
      event,
      recordId: 12345,
      time,
      committedAt: time,
      changed: [],
      payload,
      ...change,
    };
  }
}

export function attempt(
  deliveryId: string,
  effect: AttemptResult['effect'],
  status = 200,
  reason: AttemptResult['attempt']['reason'] = 'first',
): AttemptResult {
  const delivered = effect.kind === 'delivered';
  return {
    deliveryId,
    effect,
    attempt: {
      number: 1,
      startedAt: new Date(),
      reason,
      address: '127.0.0.1',
      status,
      headers: '{"content-type":"text/plain"}',
      body: delivered ? 'OK' : 'no',
      faultClass: delivered ? null : 'status',
      error: delivered ? null : `the receiver answered ${status}`,
      dnsMs: 0.1,
      connectMs: 0.2,
      tlsMs: null,
      firstByteMs: 1.5,
      totalMs: 2.6,
    },
  };
}
