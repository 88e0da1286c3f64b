import { isDeepStrictEqual } from 'node:util';
import { Inject, Injectable } from '@nestjs/common';
import {
  ApiError,
  notFound,
  testEventName,
  validationError,
  type Delivery,
  type DeliveryAttempt,
  type ListQuery,
  type ListReply,
  type Webhook,
  type WebhookPublicKey,
} from '@keyturn/contracts';
import { RpcClient } from '@keyturn/platform/rpc';
import { SETTINGS } from '@keyturn/platform/service';
import {
  AddressPolicy,
  DeliveryStore,
  newSigningSecret,
  WebhookStore,
  type StoredWebhook,
} from '@keyturn/webhook-store';
import type { WebhookServiceSettings } from '../settings';
import { ReceiverConsent } from './consent';
import { WebhookHints } from './webhook-hints';
import { parseIdempotency } from './idempotency';
import { parseNewWebhook, parseOverlap, parseWebhookChange } from './webhook-input';
import { newWebhookView, webhookView } from './webhook-view';

/** What a test call may take beyond the receiver's own time: a free dispatcher, its bookkeeping, the way there and back. */
const testOverheadMs = 4_000;

/** The subscriptions of a Space (T-080 … T-094). */
@Injectable()
export class WebhooksService {
  constructor(
    private readonly webhooks: WebhookStore,
    private readonly deliveries: DeliveryStore,
    private readonly policy: AddressPolicy,
    private readonly rpc: RpcClient,
    private readonly hints: WebhookHints,
    private readonly receivers: ReceiverConsent,
    @Inject(SETTINGS) private readonly settings: WebhookServiceSettings,
  ) {}

  /** `until`, of every read: whoever asked has been answered otherwise by then. */
  async list(spaceId: string, query: ListQuery, until?: number): Promise<{ head: ListReply; rows: Webhook[] }> {
    const { head, rows } = await this.webhooks.list(spaceId, query, until);
    return { head, rows: rows.map(webhookView) };
  }

  async get(spaceId: string, id: string, until?: number): Promise<Webhook> {
    return webhookView(await this.existing(spaceId, id, until));
  }

  async create(spaceId: string, input: unknown, idempotencyKey?: string): Promise<Webhook & { signingSecret: string }> {
    const settings = parseNewWebhook(input, this.policy);
    const idempotency = parseIdempotency(idempotencyKey, input);
    // What has been made is not asked for again.
    const earlier =
      idempotency && (await this.webhooks.earlierReply<Webhook & { signingSecret: string }>(spaceId, idempotency));
    if (earlier) return earlier;
    const consent = await this.receivers.of(spaceId, settings);
    const signingSecret = newSigningSecret();
    const position = await this.position(spaceId);
    return this.webhooks.createOnce(
      spaceId,
      { ...settings, signingSecret },
      {
        position,
        quota: this.settings.webhookQuota,
        idempotency,
        consent,
        show: (webhook) => newWebhookView(webhook, signingSecret),
      },
    );
  }

  async update(spaceId: string, id: string, input: unknown): Promise<Webhook> {
    const { change, fixed } = parseWebhookChange(input, this.policy);
    const before = await this.existing(spaceId, id);
    checkUnchanged(fixed, webhookView(before));
    if (Object.keys(change).length === 0) return webhookView(before);
    const wanted = { ...before, ...change };
    const another = wanted.url !== before.url || (change.handshake === true && before.verifiedAt === null);
    const consent = another ? await this.receivers.of(spaceId, wanted) : undefined;
    const after = await this.webhooks.update(spaceId, id, change, await this.position(spaceId), consent);
    if (!after) throw notFound();
    this.hints.changed(id);
    return webhookView(after);
  }

  async asksReceiver(spaceId: string, id: string | undefined, wanted: { handshake: boolean }): Promise<boolean> {
    if (this.receivers.isAsked(wanted)) return true;
    return id !== undefined && this.receivers.isAsked(await this.existing(spaceId, id));
  }

  async delete(spaceId: string, id: string): Promise<void> {
    if (!(await this.webhooks.remove(spaceId, id))) throw notFound();
    this.hints.changed(id);
  }

  async setPaused(spaceId: string, id: string, paused: boolean): Promise<Webhook> {
    const webhook = await this.webhooks.setPaused(spaceId, id, paused);
    if (!webhook) throw notFound();
    this.hints.changed(id);
    return webhookView(webhook);
  }

  async rotate(spaceId: string, id: string, input: unknown): Promise<Webhook & { signingSecret: string }> {
    const signingSecret = newSigningSecret();
    const webhook = await this.webhooks.rotate(spaceId, id, { signingSecret, overlapMs: parseOverlap(input) });
    if (!webhook) throw notFound();
    this.hints.changed(id);
    return newWebhookView(webhook, signingSecret);
  }

  async publicKeys(keysId: string): Promise<WebhookPublicKey[]> {
    const keys = await this.webhooks.publicKeys(keysId);
    if (!keys) throw notFound('There are no such keys');
    return keys;
  }

  /** One signed attempt now; a receiver that fails is an answer, not an error (T-091). */
  async test(spaceId: string, id: string): Promise<Delivery> {
    await this.existing(spaceId, id);
    await this.webhooks.takeTest(spaceId, this.settings.testQuota);
    const { head } = await this.rpc.request(
      'dispatcher.test',
      { spaceId, webhookId: id },
      { deadlineMs: this.settings.timeoutMs + testOverheadMs },
    );
    const delivery = await this.deliveries.get(spaceId, id, head.deliveryId);
    if (!delivery) throw notFound();
    return delivery;
  }

  async listDeliveries(
    spaceId: string,
    id: string,
    query: ListQuery,
    until?: number,
  ): Promise<{ head: ListReply; rows: string[] }> {
    await this.existing(spaceId, id, until);
    return this.deliveries.list(spaceId, id, query, until);
  }

  async getDelivery(
    spaceId: string,
    id: string,
    deliveryId: string,
    until?: number,
  ): Promise<Delivery & { attemptLog: DeliveryAttempt[] }> {
    await this.existing(spaceId, id, until);
    const delivery = await this.deliveries.getWithAttempts(spaceId, id, deliveryId, until);
    if (!delivery) throw notFound();
    return delivery;
  }

  async resend(spaceId: string, id: string, deliveryId: string): Promise<Delivery> {
    const webhook = await this.existing(spaceId, id);
    const delivery = await this.deliveries.get(spaceId, id, deliveryId);
    if (!delivery) throw notFound();
    if (delivery.event === testEventName)
      throw validationError('deliveryId', 'A test event is not sent again: send another one');
    if (!webhook.isActive) throw new ApiError('CONFLICT', 'The webhook is not active: nothing is sent to it');
    const sent = await this.deliveries.resend(spaceId, id, deliveryId);
    if (!sent) throw notFound();
    this.hints.changed(id);
    return sent;
  }

  private async existing(spaceId: string, id: string, until?: number): Promise<StoredWebhook> {
    const webhook = await this.webhooks.get(spaceId, id, until);
    if (!webhook) throw notFound();
    return webhook;
  }

  /** Asked before a change is written: every event committed after the reply lies behind it. */
  private async position(spaceId: string): Promise<number> {
    const { head } = await this.rpc.request('data.space.position', { spaceId });
    return head.sequence;
  }
}

function checkUnchanged(fixed: Readonly<Record<string, unknown>>, current: Webhook): void {
  for (const [field, value] of Object.entries(fixed)) {
    if (!Object.hasOwn(current, field)) {
      const problem = field === 'signingSecret' ? 'cannot be changed' : 'is no field of a webhook';
      throw validationError(field, `${JSON.stringify(field.slice(0, 100))} ${problem}`);
    }
    if (!isDeepStrictEqual(value, current[field as keyof Webhook]))
      throw validationError(field, `${field} cannot be changed`);
  }
}
