import { Controller } from '@nestjs/common';
import { Payload } from '@nestjs/microservices';
import { Operation, reply, type RpcCall, type RpcReply } from '@keyturn/platform/rpc';
import { WebhooksService } from './webhooks.service';

@Controller()
export class DeliveriesController {
  constructor(private readonly webhooks: WebhooksService) {}

  @Operation('webhooks.deliveries')
  async list(
    @Payload() { request, deadline }: RpcCall<'webhooks.deliveries'>,
  ): Promise<RpcReply<'webhooks.deliveries'>> {
    const { head, rows } = await this.webhooks.listDeliveries(request.spaceId, request.id, request.query, deadline);
    return reply(head, rows.join(','));
  }

  @Operation('webhooks.delivery')
  async get(@Payload() { request, deadline }: RpcCall<'webhooks.delivery'>): Promise<RpcReply<'webhooks.delivery'>> {
    return reply(await this.webhooks.getDelivery(request.spaceId, request.id, request.deliveryId, deadline));
  }

  @Operation('webhooks.resend')
  async resend(@Payload() { request }: RpcCall<'webhooks.resend'>): Promise<RpcReply<'webhooks.resend'>> {
    return reply(await this.webhooks.resend(request.spaceId, request.id, request.deliveryId));
  }
}
