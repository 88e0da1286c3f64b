import { Controller } from '@nestjs/common';
import { Payload } from '@nestjs/microservices';
import { isRecordId, notFound, resourceByName, resources, validationError } from '@keyturn/contracts';
import { Database } from '@keyturn/platform/database';
import { Operation, reply, type RpcCall, type RpcReply } from '@keyturn/platform/rpc';
import { checkSpace, hasSpace } from '../spaces/spaces.rpc';
import { RecordEraser } from './record-eraser';

/** `erase`: a record is forgotten wherever anything of it is kept. */
@Controller()
export class ErasureRpc {
  constructor(
    private readonly database: Database,
    private readonly eraser: RecordEraser,
  ) {}

  @Operation('admin.data.erase')
  async erase(@Payload() { request, deadline }: RpcCall<'admin.data.erase'>): Promise<RpcReply<'admin.data.erase'>> {
    const { spaceId, recordId } = request;
    checkSpace(spaceId);
    const resource = typeof request.resource === 'string' ? resourceByName(request.resource) : undefined;
    if (!resource)
      throw validationError('resource', `resource must be one of ${resources.map(({ name }) => name).join(', ')}`);
    if (!isRecordId(recordId)) throw validationError('recordId', 'recordId must be the id of a record');
    if (!(await hasSpace(this.database, spaceId))) throw notFound('There is no such Space');
    return reply(await this.eraser.erase({ spaceId, resource, recordId }, deadline));
  }
}
