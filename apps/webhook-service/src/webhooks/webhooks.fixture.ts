import type { CommittedEvent, OperationName, ReplyOf, RequestOf } from '@keyturn/contracts';
import { makeDatabase, runMigrations, type Database } from '@keyturn/platform/database';
import { newUlid } from '@keyturn/platform/ids';
import { Log } from '@keyturn/platform/logs';
import type { RpcClient } from '@keyturn/platform/rpc';
import { Drain } from '@keyturn/platform/service';
import { freshDatabase, type FreshDatabase } from '@keyturn/testing';
import {
  AddressPolicy,
  DeliveryStore,
  makeListDatabases,
  PostgresDispatchStore,
  ReplayStore,
  SecretBox,
  WebhookStore,
  webhookMigrations,
  type AcceptedDelivery,
  type AttemptResult,
  type ListDatabases,
} from '@keyturn/webhook-store';
import { LogReader } from '../operations/log-reader';
import { ReplayRunner } from '../replays/replay-runner';
import { ReplaysService } from '../replays/replays.service';
import type { WebhookServiceSettings } from '../settings';
import { ReceiverConsent } from './consent';
import type { WebhookHints } from './webhook-hints';
import { WebhooksService } from './webhooks.service';

const defaults: Partial<WebhookServiceSettings> = {
  webhookQuota: 50,
  testQuota: 10,
  timeoutMs: 1_000,
  allowHttp: false,
  allowCidrs: [],
  handshake: false,
  retentionMs: 30 * 24 * 60 * 60 * 1_000,
};

export const secretsKey = 'a key for tests of at least thirty-two characters';

/** webhook-service on a database of its own. What it asks of other services is answered here: Spaces' positions, tests. */
export class WebhookServiceFixture {
  /** The newest sequence of each Space. */
  readonly positions = new Map<string, number>();
  /** Endpoints that a dispatcher was told about. */
  readonly hinted: string[] = [];
  /** The log of all Spaces. */
  readonly log: CommittedEvent[] = [];
  /** What receivers were asked for their consent, and what they say to it. */
  readonly handshakes: RequestOf<'dispatcher.handshake'>[] = [];
  consent: ReplyOf<'dispatcher.handshake'> = { problem: null, allowedRate: null };
  /** How the receiver of a test answers. */
  testAnswer = 200;

  private constructor(
    private readonly fresh: FreshDatabase,
    readonly database: Database,
    private readonly lists: ListDatabases,
    readonly store: WebhookStore,
    readonly deliveries: DeliveryStore,
    readonly dispatch: PostgresDispatchStore,
    readonly replayStore: ReplayStore,
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
      new ReplayStore(database, lists, 9),
    );
  }

  async close(): Promise<void> {
    await Promise.all([this.database, this.lists.walk, this.lists.scan].map((database) => database.close()));
    await this.fresh.drop();
  }

  service(settings: Partial<WebhookServiceSettings> = {}): WebhooksService {
    const all = { ...defaults, ...settings } as WebhookServiceSettings;
    return new WebhooksService(
      this.store,
      this.deliveries,
      new AddressPolicy(all),
      this.rpc,
      this.hints,
      this.receivers(all),
      all,
    );
  }

  replays(settings: Partial<WebhookServiceSettings> = {}): ReplaysService {
    const all = { ...defaults, ...settings } as WebhookServiceSettings;
    const runner = new ReplayRunner(
      this.replayStore,
      new LogReader(this.rpc),
      this.hints,
      new Drain(),
      Log.create('test', 'silent'),
    );
    return new ReplaysService(this.store, this.replayStore, runner, new AddressPolicy(all), this.receivers(all), all);
  }

  private receivers(settings: WebhookServiceSettings): ReceiverConsent {
    return new ReceiverConsent(this.rpc, this.store, settings);
  }

  get rpc(): RpcClient {
    return {
      request: async (operation: OperationName, request: never) => {
        const { body = new Uint8Array(0), ...head } = await this.answer(operation, request);
        return { head, body };
      },
    } as unknown as RpcClient;
  }

  private get hints(): WebhookHints {
    return { changed: (id: string) => void this.hinted.push(id) } as unknown as WebhookHints;
  }

  private async answer(operation: OperationName, request: never): Promise<{ body?: Uint8Array }> {
    switch (operation) {
      case 'data.space.position': {
        const { spaceId } = request as RequestOf<'data.space.position'>;
        const reply: ReplyOf<'data.space.position'> = { sequence: this.positions.get(spaceId) ?? 0 };
        return reply as object;
      }
      case 'data.events':
        return this.readLog(request as RequestOf<'data.events'>);
      case 'dispatcher.handshake':
        this.handshakes.push(request);
        return this.consent as object;
      case 'dispatcher.test':
        return (await this.sendTest(request as RequestOf<'dispatcher.test'>)) as object;
      default:
        throw new Error(`nobody answers ${operation} here`);
    }
  }

  private readLog(request: RequestOf<'data.events'>): ReplyOf<'data.events'> & { body: Uint8Array } {
    const chosen = this.log
      .filter(
        (event) =>
          event.spaceId === request.spaceId &&
          event.sequence > request.after &&
          event.committedAt >= (request.since ?? '') &&
          event.committedAt < (request.until ?? '9') &&
          (request.events === null || request.events.includes(event.event)),
      )
      .slice(0, request.limit);
    const more = chosen.length === request.limit;
    return {
      events: chosen.map(({ payload, changed, traceparent, ...event }) => ({
        ...event,
        position: event.sequence,
        changed: [...changed],
        traceparent: traceparent ?? null,
        bytes: request.payloads ? payload.length : 0,
      })),
      last: more ? (chosen.at(-1)?.sequence ?? 0) : (this.positions.get(request.spaceId) ?? 0),
      more,
      body: Buffer.concat(request.payloads ? chosen.map(({ payload }) => payload) : []),
    };
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
    change: Partial<CommittedEvent> = {},
  ): Promise<{ instance: string; leased: AcceptedDelivery[]; events: CommittedEvent[] }> {
    const instance = await this.dispatch.register(60_000);
    const events = Array.from({ length: count }, () => this.event(spaceId, change));
    const { leased } = await this.dispatch.accept(instance, events, {
      total: 1_000,
      perEndpoint: 1_000,
      ofEndpoint: new Map(),
    });
    return { instance, leased, events };
  }

  event(spaceId: string, change: Partial<CommittedEvent> = {}): CommittedEvent {
    const sequence = (this.positions.get(spaceId) ?? 0) + 1;
    this.positions.set(spaceId, sequence);
    const time = new Date().toISOString();
    const event = 'file.updated';
    const payload = Buffer.from(JSON.stringify({ event, data: { id: 12345, name: 'Ünïcode ✓' }, timestamp: time }));
    const made: CommittedEvent = {
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
    this.log.push(made);
    return made;
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
    committedAt: Date.now(),
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
