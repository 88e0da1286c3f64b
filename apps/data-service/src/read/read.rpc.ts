import { Controller } from '@nestjs/common';
import { Payload } from '@nestjs/microservices';
import { Operation, reply, type RpcCall, type RpcReply } from '@keyturn/platform/rpc';
import { SpaceReader } from './space-reader';

/** The reads of a Space, as the gateway asks for them. */
@Controller()
export class ReadOperations {
  constructor(private readonly reader: SpaceReader) {}

  @Operation('data.list')
  async list(@Payload() { request, deadline }: RpcCall<'data.list'>): Promise<RpcReply<'data.list'>> {
    const { head, rows } = await this.reader.list(request.spaceId, request.collection, request.query, deadline);
    return reply(head, rows);
  }

  @Operation('data.detail')
  async detail(@Payload() { request, deadline }: RpcCall<'data.detail'>): Promise<RpcReply<'data.detail'>> {
    const { spaceId, collection, id, fields } = request;
    return reply({}, await this.reader.detail(spaceId, collection, id, fields, deadline));
  }

  @Operation('data.lookup')
  async lookup(@Payload() { request, deadline }: RpcCall<'data.lookup'>): Promise<RpcReply<'data.lookup'>> {
    return reply({}, await this.reader.lookup(request.spaceId, request.phone, request.fields, deadline));
  }

  @Operation('admin.reads.explain')
  async explain(@Payload() { request }: RpcCall<'admin.reads.explain'>): Promise<RpcReply<'admin.reads.explain'>> {
    return reply({ plan: await this.reader.explain(request.spaceId, request.read) });
  }
}
