import { Controller } from '@nestjs/common';
import { Payload } from '@nestjs/microservices';
import { Operation, reply, type RpcCall, type RpcReply } from '@keyturn/platform/rpc';
import { Spaces } from '../spaces/spaces';
import { Keys } from './keys';

/** The command line shows them all: a Space has tens of keys, not thousands. */
const everything = { page: 1, pageSize: 10_000 };

/** Keys as the command line manages them. */
@Controller()
export class KeysRpc {
  constructor(
    private readonly keys: Keys,
    private readonly spaces: Spaces,
  ) {}

  @Operation('admin.keys.create')
  async create(@Payload() { request }: RpcCall<'admin.keys.create'>): Promise<RpcReply<'admin.keys.create'>> {
    const { space, ...input } = request;
    const { id } = await this.spaces.bySlug(space);
    return reply(await this.keys.create(id, input, { actor: 'admin' }));
  }

  @Operation('admin.keys.list')
  async list(@Payload() { request }: RpcCall<'admin.keys.list'>): Promise<RpcReply<'admin.keys.list'>> {
    const { id } = await this.spaces.bySlug(request.space);
    return reply({ keys: (await this.keys.list(id, everything)).keys });
  }

  @Operation('admin.keys.revoke')
  async revoke(@Payload() { request }: RpcCall<'admin.keys.revoke'>): Promise<RpcReply<'admin.keys.revoke'>> {
    const space = await this.keys.spaceOf(request.id);
    return reply(await this.keys.revoke(space, request.id, { actor: 'admin' }));
  }
}
