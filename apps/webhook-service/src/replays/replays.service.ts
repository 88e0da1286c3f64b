import { Inject, Injectable } from '@nestjs/common';
import { ApiError, notFound, type ListQuery, type ListReply, type Replay } from '@keyturn/contracts';
import { SETTINGS } from '@keyturn/platform/service';
import { AddressPolicy, ReplayStore, WebhookStore, type StoredWebhook } from '@keyturn/webhook-store';
import type { WebhookServiceSettings } from '../settings';
import { ReceiverConsent } from '../webhooks/consent';
import { parseReplay } from './replay-input';
import { ReplayRunner } from './replay-runner';

/** A dry run of a moderate time is over by then, and the reply carries its count. */
const answerWithinMs = 1_000;

/** Sending again what was missed or failed. */
@Injectable()
export class ReplaysService {
  constructor(
    private readonly webhooks: WebhookStore,
    private readonly replays: ReplayStore,
    private readonly runner: ReplayRunner,
    private readonly policy: AddressPolicy,
    private readonly receivers: ReceiverConsent,
    @Inject(SETTINGS) private readonly settings: WebhookServiceSettings,
  ) {}

  async create(spaceId: string, id: string, input: unknown): Promise<Replay> {
    const { retentionMs } = this.settings;
    const spec = parseReplay(input, { now: new Date(), retentionMs, policy: this.policy });
    const webhook = await this.existing(spaceId, id);
    if (!webhook.isActive && !spec.dryRun)
      throw new ApiError('CONFLICT', 'The webhook is not active: nothing is sent to it');
    const { url, ratePerSecond: rateLimit } = spec;
    const asked = url !== null && !spec.dryRun;
    const consent = asked
      ? await this.receivers.of(spaceId, { url, rateLimit, handshake: webhook.handshake })
      : undefined;
    const replay = await this.replays.create(spaceId, id, spec, consent);
    const started = this.runner.run();
    if (!spec.dryRun) return replay;
    await Promise.race([started, new Promise((resolve) => setTimeout(resolve, answerWithinMs).unref())]);
    return this.get(spaceId, id, replay.id);
  }

  /** `until`: whoever asked has been answered otherwise by then. */
  async list(
    spaceId: string,
    id: string,
    query: ListQuery,
    until?: number,
  ): Promise<{ head: ListReply; rows: Replay[] }> {
    await this.existing(spaceId, id, until);
    return this.replays.list(spaceId, id, query, until);
  }

  async get(spaceId: string, id: string, replayId: string): Promise<Replay> {
    await this.existing(spaceId, id);
    const replay = await this.replays.get(spaceId, id, replayId);
    if (!replay) throw notFound();
    return replay;
  }

  async cancel(spaceId: string, id: string, replayId: string): Promise<Replay> {
    await this.existing(spaceId, id);
    const replay = await this.replays.cancel(spaceId, id, replayId);
    if (!replay) throw notFound();
    return replay;
  }

  private async existing(spaceId: string, id: string, until?: number): Promise<StoredWebhook> {
    const webhook = await this.webhooks.get(spaceId, id, until);
    if (!webhook) throw notFound();
    return webhook;
  }
}
