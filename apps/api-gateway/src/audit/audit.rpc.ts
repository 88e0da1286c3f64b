import { Controller } from '@nestjs/common';
import { Payload } from '@nestjs/microservices';
import { isRecordId, resourceByName, validationError, webhookDeeds, type WebhookDeed } from '@keyturn/contracts';
import { Database } from '@keyturn/platform/database';
import { Operation, reply, type RpcCall, type RpcReply } from '@keyturn/platform/rpc';
import { Audit } from './audit';

const objectPattern = /^(wh|dlv|rpl)_[1-9]\d{0,17}$/;

/** What the command line has other services do, past our routes, is entered here. */
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
    await this.enter(spaceId, webhookDeeds[operation as WebhookDeed], object);
    return reply({});
  }

  @Operation('audit.erasure')
  async erasure(@Payload() { request }: RpcCall<'audit.erasure'>): Promise<RpcReply<'audit.erasure'>> {
    const { spaceId, resource, recordId } = request;
    if (typeof resource !== 'string' || !resourceByName(resource))
      throw validationError('resource', 'resource must be a resource, as in event names');
    if (!isRecordId(recordId)) throw validationError('recordId', 'recordId must be the id of a record');
    // Its name and id, and nothing else: the entry outlives the record.
    await this.enter(spaceId, 'record.erased', `${resource}_${recordId}`);
    return reply({});
  }

  private enter(spaceId: string, action: string, object: string): Promise<void> {
    return this.database.transaction('an entry in the log', (tx) =>
      this.audit.record(tx, spaceId, { actor: 'admin', action, object }),
    );
  }
}
