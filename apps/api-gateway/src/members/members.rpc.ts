import { Controller } from '@nestjs/common';
import { Payload } from '@nestjs/microservices';
import { Operation, reply, type RpcCall, type RpcReply } from '@keyturn/platform/rpc';
import { Spaces } from '../spaces/spaces';
import { Members } from './members';

/** Members as the command line manages them. */
@Controller()
export class MembersRpc {
  constructor(
    private readonly members: Members,
    private readonly spaces: Spaces,
  ) {}

  @Operation('admin.members.list')
  async list(@Payload() { request }: RpcCall<'admin.members.list'>): Promise<RpcReply<'admin.members.list'>> {
    const { id } = await this.spaces.bySlug(request.space);
    return reply({ members: await this.members.list(id) });
  }

  @Operation('admin.members.add')
  async add(@Payload() { request }: RpcCall<'admin.members.add'>): Promise<RpcReply<'admin.members.add'>> {
    const { space, ...input } = request;
    const { id } = await this.spaces.bySlug(space);
    return reply(await this.members.add(id, input, 'admin'));
  }

  @Operation('admin.members.remove')
  async remove(@Payload() { request }: RpcCall<'admin.members.remove'>): Promise<RpcReply<'admin.members.remove'>> {
    const { id } = await this.spaces.bySlug(request.space);
    return reply(await this.members.remove(id, request.email, 'admin'));
  }
}
