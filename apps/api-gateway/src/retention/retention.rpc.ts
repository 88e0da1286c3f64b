import { Controller } from '@nestjs/common';
import { Payload } from '@nestjs/microservices';
import { checkDatetime, validationError } from '@keyturn/contracts';
import { Operation, reply, type RpcCall, type RpcReply } from '@keyturn/platform/rpc';
import { AccessRetention } from './access-retention';

@Controller()
export class RetentionRpc {
  constructor(private readonly retention: AccessRetention) {}

  @Operation('admin.retention.access')
  async run(@Payload() { request }: RpcCall<'admin.retention.access'>): Promise<RpcReply<'admin.retention.access'>> {
    const now = request.now === undefined ? undefined : checkDatetime(request.now);
    if (now && !now.ok) throw validationError('now', `now ${now.problem}`);
    return reply(await this.retention.run(now ? new Date(now.value) : new Date()));
  }
}
