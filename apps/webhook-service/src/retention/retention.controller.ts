import { Controller, Inject } from '@nestjs/common';
import { Payload } from '@nestjs/microservices';
import { validationError } from '@keyturn/contracts';
import { Database } from '@keyturn/platform/database';
import { Operation, reply, type RpcCall, type RpcReply } from '@keyturn/platform/rpc';
import { SETTINGS } from '@keyturn/platform/service';
import { dropOldDeliveries } from '@keyturn/webhook-store';
import type { WebhookServiceSettings } from '../settings';

@Controller()
export class RetentionController {
  constructor(
    private readonly database: Database,
    @Inject(SETTINGS) private readonly settings: WebhookServiceSettings,
  ) {}

  @Operation('admin.retention.webhooks')
  async run(
    @Payload() { request }: RpcCall<'admin.retention.webhooks'>,
  ): Promise<RpcReply<'admin.retention.webhooks'>> {
    const now = request.now === undefined ? new Date() : new Date(request.now);
    if (Number.isNaN(now.getTime())) throw validationError('now', 'now must be a moment, ISO 8601');
    return reply(await dropOldDeliveries(this.database, now, this.settings.retentionMs));
  }
}
