import { Controller } from '@nestjs/common';
import { Payload } from '@nestjs/microservices';
import { Operation, reply, type RpcCall, type RpcReply } from '@keyturn/platform/rpc';
import { DispatchEngine } from './dispatch-engine';

@Controller()
export class TestEventRpc {
  constructor(private readonly engine: DispatchEngine) {}

  @Operation('dispatcher.test')
  async test(@Payload() { request }: RpcCall<'dispatcher.test'>): Promise<RpcReply<'dispatcher.test'>> {
    return reply({ deliveryId: await this.engine.sendTest(request.spaceId, request.webhookId) });
  }
}
