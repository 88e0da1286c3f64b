import { Controller, Inject } from '@nestjs/common';
import { Payload } from '@nestjs/microservices';
import { validationError } from '@keyturn/contracts';
import { Database } from '@keyturn/platform/database';
import { Log } from '@keyturn/platform/logs';
import { Operation, reply, type RpcCall, type RpcReply } from '@keyturn/platform/rpc';
import { SETTINGS } from '@keyturn/platform/service';
import { dropOldDeliveries, purgeEndedSpaces } from '@keyturn/webhook-store';
import type { WebhookServiceSettings } from '../settings';

/** For the answer to be there in time. */
const answerMs = 5_000;

/** Forgets deliveries that are too old, and Spaces that have ended. */
@Controller()
export class RetentionController {
  constructor(
    private readonly database: Database,
    private readonly log: Log,
    @Inject(SETTINGS) private readonly settings: WebhookServiceSettings,
  ) {}

  @Operation('admin.retention.webhooks')
  async run(
    @Payload() { request, deadline }: RpcCall<'admin.retention.webhooks'>,
  ): Promise<RpcReply<'admin.retention.webhooks'>> {
    const now = request.now === undefined ? new Date() : new Date(request.now);
    if (Number.isNaN(now.getTime())) throw validationError('now', 'now must be a moment, ISO 8601');
    const { retentionMs, spacePurgeAfterMs } = this.settings;
    const dropped = await dropOldDeliveries(this.database, now, retentionMs);
    const endedBefore = new Date(now.getTime() - spacePurgeAfterMs);
    const { spaces, rows, left } = await purgeEndedSpaces(this.database, endedBefore, deadline - answerMs);
    if (rows || spaces.length || left) this.log.info({ spaces, rows, left }, 'Spaces that ended are purged');
    return reply({ ...dropped, purgedSpaces: spaces.length, purgedRows: rows, spacesLeftToPurge: left });
  }
}
