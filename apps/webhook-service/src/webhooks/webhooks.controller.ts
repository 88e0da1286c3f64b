import { Controller } from '@nestjs/common';
import { Payload } from '@nestjs/microservices';
import { Operation, reply, type RpcCall, type RpcReply } from '@keyturn/platform/rpc';
import { sparse } from './sparse';
import { WebhooksService } from './webhooks.service';

@Controller()
export class WebhooksController {
  constructor(private readonly webhooks: WebhooksService) {}

  @Operation('webhooks.list')
  async list(@Payload() { request, deadline }: RpcCall<'webhooks.list'>): Promise<RpcReply<'webhooks.list'>> {
    const { head, rows } = await this.webhooks.list(request.spaceId, request.query, deadline);
    return reply(head, rows.map((row) => JSON.stringify(sparse(row, request.query.fields))).join(','));
  }

  @Operation('webhooks.get')
  async get(@Payload() { request, deadline }: RpcCall<'webhooks.get'>): Promise<RpcReply<'webhooks.get'>> {
    return reply(await this.webhooks.get(request.spaceId, request.id, deadline));
  }

  @Operation('webhooks.create')
  async create(@Payload() { request }: RpcCall<'webhooks.create'>): Promise<RpcReply<'webhooks.create'>> {
    return reply(await this.webhooks.create(request.spaceId, request.input, request.idempotencyKey));
  }

  @Operation('webhooks.update')
  async update(@Payload() { request }: RpcCall<'webhooks.update'>): Promise<RpcReply<'webhooks.update'>> {
    return reply(await this.webhooks.update(request.spaceId, request.id, request.input));
  }

  @Operation('webhooks.consent')
  async consent(@Payload() { request }: RpcCall<'webhooks.consent'>): Promise<RpcReply<'webhooks.consent'>> {
    const { spaceId, id, ...wanted } = request;
    return reply({ asked: await this.webhooks.asksReceiver(spaceId, id, wanted) });
  }

  @Operation('webhooks.delete')
  async delete(@Payload() { request }: RpcCall<'webhooks.delete'>): Promise<RpcReply<'webhooks.delete'>> {
    await this.webhooks.delete(request.spaceId, request.id);
    return reply({ id: request.id, deleted: true });
  }

  @Operation('webhooks.pause')
  async pause(@Payload() { request }: RpcCall<'webhooks.pause'>): Promise<RpcReply<'webhooks.pause'>> {
    return reply(await this.webhooks.setPaused(request.spaceId, request.id, true));
  }

  @Operation('webhooks.resume')
  async resume(@Payload() { request }: RpcCall<'webhooks.resume'>): Promise<RpcReply<'webhooks.resume'>> {
    return reply(await this.webhooks.setPaused(request.spaceId, request.id, false));
  }

  @Operation('webhooks.rotate')
  async rotate(@Payload() { request }: RpcCall<'webhooks.rotate'>): Promise<RpcReply<'webhooks.rotate'>> {
    return reply(await this.webhooks.rotate(request.spaceId, request.id, request.input));
  }

  @Operation('webhook_keys.get')
  async publicKeys(@Payload() { request }: RpcCall<'webhook_keys.get'>): Promise<RpcReply<'webhook_keys.get'>> {
    return reply({ keys: await this.webhooks.publicKeys(request.keysId) });
  }

  @Operation('webhooks.test')
  async test(@Payload() { request }: RpcCall<'webhooks.test'>): Promise<RpcReply<'webhooks.test'>> {
    return reply(await this.webhooks.test(request.spaceId, request.id));
  }
}
