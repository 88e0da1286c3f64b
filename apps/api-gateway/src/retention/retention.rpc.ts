import { Controller } from '@nestjs/common';
import { Payload } from '@nestjs/microservices';
import { checkDatetime, validationError } from '@keyturn/contracts';
import { Operation, reply, type RpcCall, type RpcReply } from '@keyturn/platform/rpc';
import { Spaces } from '../spaces/spaces';
import { AccessRetention } from './access-retention';
import { SpacePurge } from './space-purge';

/** For the answer to be there in time. */
const answerMs = 5_000;

@Controller()
export class RetentionRpc {
  constructor(
    private readonly retention: AccessRetention,
    private readonly purge: SpacePurge,
    private readonly spaces: Spaces,
  ) {}

  @Operation('admin.retention.access')
  async run(
    @Payload() { request, deadline }: RpcCall<'admin.retention.access'>,
  ): Promise<RpcReply<'admin.retention.access'>> {
    const now = request.now === undefined ? undefined : checkDatetime(request.now);
    if (now && !now.ok) throw validationError('now', `now ${now.problem}`);
    const moment = now ? new Date(now.value) : new Date();
    const until = deadline - answerMs;
    return reply({
      ...(await this.retention.run(moment)),
      ...(await this.purge.run(moment, until)),
      spacesToldAgain: await this.spaces.tellAgain(until),
    });
  }
}
