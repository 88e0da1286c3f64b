import { Controller } from '@nestjs/common';
import { Payload } from '@nestjs/microservices';
import { spaceIdPattern, validationError, type SpaceStatus } from '@keyturn/contracts';
import { Database } from '@keyturn/platform/database';
import { Operation, reply, type RpcCall, type RpcReply } from '@keyturn/platform/rpc';
import { putSpace } from '@keyturn/webhook-store';
import { WebhookHints } from '../webhooks/webhook-hints';

const statuses: readonly SpaceStatus[] = ['active', 'suspended', 'deleted'];

/** What the owner of the Spaces tells us of them. */
@Controller()
export class SpacesController {
  constructor(
    private readonly database: Database,
    private readonly hints: WebhookHints,
  ) {}

  @Operation('webhooks.space.put')
  async put(@Payload() { request }: RpcCall<'webhooks.space.put'>): Promise<RpcReply<'webhooks.space.put'>> {
    const { spaceId, status } = request;
    if (typeof spaceId !== 'string' || !spaceIdPattern.test(spaceId))
      throw validationError('spaceId', 'spaceId must be the id of a Space');
    if (!statuses.includes(status)) throw validationError('status', `status must be one of ${statuses.join(', ')}`);
    for (const endpointId of await putSpace(this.database, spaceId, status)) this.hints.changed(`wh_${endpointId}`);
    return reply({});
  }
}
