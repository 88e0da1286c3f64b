import { Injectable } from '@nestjs/common';
import { Log } from '@keyturn/platform/logs';
import { NatsLink } from '@keyturn/platform/nats';
import { encodeHint, hintSubject, type WebhookHint } from '@keyturn/webhook-store';

/** Tells the dispatchers that an endpoint has changed, or has work. They would find out by themselves, a little later. */
@Injectable()
export class WebhookHints {
  constructor(
    private readonly link: NatsLink,
    private readonly log: Log,
  ) {}

  changed(webhookId: string): void {
    this.tell({ endpointId: webhookId.slice('wh_'.length) });
  }

  /** Some of what dispatchers have of the endpoint in their hands is to end. */
  giveBack(endpointId: string): void {
    this.tell({ endpointId, giveBack: true });
  }

  private tell(hint: WebhookHint): void {
    try {
      this.link.connection().publish(hintSubject, encodeHint(hint));
    } catch (error) {
      this.log.warn({ ...hint, error: String(error) }, 'hint lost');
    }
  }
}
