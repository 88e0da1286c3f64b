import { Body, Controller, Get, Param, Post, Res } from '@nestjs/common';
import type { FastifyReply } from 'fastify';
import { replayList } from '@keyturn/contracts';
import { SpaceWebhooks, type OneWebhook } from './space-webhooks';

interface OneReplay extends OneWebhook {
  readonly replayId: string;
}

/** Jobs that send again what one webhook missed. */
@Controller('api/v1/webhooks/:id/replays')
export class ReplaysController {
  constructor(private readonly webhooks: SpaceWebhooks) {}

  @Post()
  create(@Res() reply: FastifyReply, @Param() path: OneWebhook, @Body() body: unknown): Promise<void> {
    return this.webhooks.carryOut(reply, 'webhooks.replay.create', { ...path, input: body ?? null }, 201);
  }

  @Get()
  list(@Res() reply: FastifyReply, @Param() path: OneWebhook): Promise<void> {
    return this.webhooks.showList(reply, 'webhooks.replay.list', replayList, path, 'replays', path.id);
  }

  @Get(':replayId')
  get(@Res() reply: FastifyReply, @Param() path: OneReplay): Promise<void> {
    return this.webhooks.showOne(reply, 'webhooks.replay.get', path);
  }

  @Post(':replayId/cancel')
  cancel(@Res() reply: FastifyReply, @Param() path: OneReplay): Promise<void> {
    return this.webhooks.carryOut(reply, 'webhooks.replay.cancel', path);
  }
}
