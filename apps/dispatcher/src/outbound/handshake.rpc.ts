import { Controller } from '@nestjs/common';
import { Payload } from '@nestjs/microservices';
import { Operation, reply, type RpcCall, type RpcReply } from '@keyturn/platform/rpc';
import { Handshake } from './handshake';

@Controller()
export class HandshakeRpc {
  constructor(private readonly handshake: Handshake) {}

  @Operation('dispatcher.handshake')
  async ask(@Payload() { request }: RpcCall<'dispatcher.handshake'>): Promise<RpcReply<'dispatcher.handshake'>> {
    return reply(await this.handshake.ask(request));
  }
}
