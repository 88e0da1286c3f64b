import { Injectable } from '@nestjs/common';
import { Log } from '@keyturn/platform/logs';
import { NatsLink } from '@keyturn/platform/nats';
import { encodeHint, hintSubject } from '@keyturn/webhook-store';

/** Tells the dispatchers that an endpoint has changed, or has work. They would find out by themselves, a little later. */
@Injectable()
export class WebhookHints {
  constructor(
    private readonly link: NatsLink,
    private readonly log: Log,
  ) {}

  changed(webhookId: string): void {
    try {
      this.link.connection().publish(hintSubject, encodeHint({ endpointId: webhookId.slice('wh_'.length) }));
    } catch (error) {
      this.log.warn({ webhookId, error: String(error) }, 'hint lost');
    }
  }
}
