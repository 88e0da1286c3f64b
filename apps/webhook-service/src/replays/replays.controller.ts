import { Controller } from '@nestjs/common';
import { Payload } from '@nestjs/microservices';
import { Operation, reply, type RpcCall, type RpcReply } from '@keyturn/platform/rpc';
import { sparse } from '../webhooks/sparse';
import { ReplaysService } from './replays.service';

@Controller()
export class ReplaysController {
  constructor(private readonly replays: ReplaysService) {}

  @Operation('webhooks.replay.create')
  async create(@Payload() { request }: RpcCall<'webhooks.replay.create'>): Promise<RpcReply<'webhooks.replay.create'>> {
    return reply(await this.replays.create(request.spaceId, request.id, request.input));
  }

  @Operation('webhooks.replay.list')
  async list(
    @Payload() { request, deadline }: RpcCall<'webhooks.replay.list'>,
  ): Promise<RpcReply<'webhooks.replay.list'>> {
    const { head, rows } = await this.replays.list(request.spaceId, request.id, request.query, deadline);
    return reply(head, rows.map((row) => JSON.stringify(sparse(row, request.query.fields))).join(','));
  }

  @Operation('webhooks.replay.get')
  async get(@Payload() { request }: RpcCall<'webhooks.replay.get'>): Promise<RpcReply<'webhooks.replay.get'>> {
    return reply(await this.replays.get(request.spaceId, request.id, request.replayId));
  }

  @Operation('webhooks.replay.cancel')
  async cancel(@Payload() { request }: RpcCall<'webhooks.replay.cancel'>): Promise<RpcReply<'webhooks.replay.cancel'>> {
    return reply(await this.replays.cancel(request.spaceId, request.id, request.replayId));
  }
}
