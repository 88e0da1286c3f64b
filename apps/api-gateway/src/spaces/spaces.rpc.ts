import { Controller } from '@nestjs/common';
import { Payload } from '@nestjs/microservices';
import { Operation, reply, type RpcCall, type RpcReply } from '@keyturn/platform/rpc';
import { Spaces } from './spaces';

/** Spaces as the command line manages them. */
@Controller()
export class SpacesRpc {
  constructor(private readonly spaces: Spaces) {}

  @Operation('admin.spaces.create')
  async create(@Payload() { request }: RpcCall<'admin.spaces.create'>): Promise<RpcReply<'admin.spaces.create'>> {
    return reply(await this.spaces.create(request, 'admin'));
  }

  @Operation('admin.spaces.list')
  async list(): Promise<RpcReply<'admin.spaces.list'>> {
    return reply({ spaces: await this.spaces.list() });
  }

  @Operation('admin.spaces.suspend')
  async suspend(@Payload() { request }: RpcCall<'admin.spaces.suspend'>): Promise<RpcReply<'admin.spaces.suspend'>> {
    return reply(await this.spaces.suspend(request.slug, 'admin'));
  }

  @Operation('admin.spaces.resume')
  async resume(@Payload() { request }: RpcCall<'admin.spaces.resume'>): Promise<RpcReply<'admin.spaces.resume'>> {
    return reply(await this.spaces.resume(request.slug, 'admin'));
  }

  @Operation('admin.spaces.delete')
  async delete(@Payload() { request }: RpcCall<'admin.spaces.delete'>): Promise<RpcReply<'admin.spaces.delete'>> {
    return reply(await this.spaces.delete(request.slug, request.confirm, 'admin'));
  }
}
