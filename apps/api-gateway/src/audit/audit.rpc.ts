import { Controller } from '@nestjs/common';
import { Payload } from '@nestjs/microservices';
import { validationError, webhookDeeds, type WebhookDeed } from '@keyturn/contracts';
import { Database } from '@keyturn/platform/database';
import { Operation, reply, type RpcCall, type RpcReply } from '@keyturn/platform/rpc';
import { Audit } from './audit';

const objectPattern = /^(wh|dlv|rpl)_[1-9]\d{0,17}$/;

/** The command line asks webhook-service itself, past our routes; what it has done there it enters here. */
@Controller()
export class AuditRpc {
  constructor(
    private readonly database: Database,
    private readonly audit: Audit,
  ) {}

  @Operation('admin.webhooks.deed')
  async deed(@Payload() { request }: RpcCall<'admin.webhooks.deed'>): Promise<RpcReply<'admin.webhooks.deed'>> {
    const { spaceId, operation, object } = request;
    if (!Object.hasOwn(webhookDeeds, operation)) throw validationError('operation', 'operation changes no webhook');
    if (!objectPattern.test(object)) throw validationError('object', 'object must be the id of what was changed');
    const action = webhookDeeds[operation as WebhookDeed];
    await this.database.transaction('an entry in the log', (tx) =>
      this.audit.record(tx, spaceId, { actor: 'admin', action, object }),
    );
    return reply({});
  }
}
