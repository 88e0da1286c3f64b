import { Inject, Injectable } from '@nestjs/common';
import { validationError } from '@keyturn/contracts';
import { RpcClient } from '@keyturn/platform/rpc';
import { SETTINGS } from '@keyturn/platform/service';
import { WebhookStore, type Consent } from '@keyturn/webhook-store';
import type { WebhookServiceSettings } from '../settings';

/** What a handshake may take beyond the receiver's own time: the way to a dispatcher and back. */
const overheadMs = 2_000;

/** Has receivers asked whether they want what is about to be sent to them, where somebody wishes so. */
@Injectable()
export class ReceiverConsent {
  constructor(
    private readonly rpc: RpcClient,
    private readonly webhooks: WebhookStore,
    @Inject(SETTINGS) private readonly settings: WebhookServiceSettings,
  ) {}

  isAsked({ handshake }: { handshake: boolean }): boolean {
    return handshake || this.settings.handshake;
  }

  /** Undefined where nobody wants it asked; refuses, naming the field, where the receiver does. Takes one of the Space's test calls. */
  async of(
    spaceId: string,
    wanted: { url: string; rateLimit: number | null; handshake: boolean },
  ): Promise<Consent | undefined> {
    if (!this.isAsked(wanted)) return undefined;
    const { url, rateLimit } = wanted;
    await this.webhooks.takeTest(spaceId, this.settings.testQuota);
    const { head } = await this.rpc.request(
      'dispatcher.handshake',
      { url, ratePerMinute: rateLimit === null ? null : rateLimit * 60 },
      { deadlineMs: this.settings.timeoutMs + overheadMs },
    );
    if (head.problem !== null) throw validationError('url', `url does not consent to deliveries: ${head.problem}`);
    return { allowedRate: head.allowedRate };
  }
}
