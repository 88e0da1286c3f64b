import { Body, Controller, Delete, Get, Param, Patch, Post, Res } from '@nestjs/common';
import type { FastifyReply } from 'fastify';
import { webhookList } from '@keyturn/contracts';
import { SpaceWebhooks, type OneWebhook } from './space-webhooks';

/** Subscriptions: the one thing that keys may write (T-080 … T-094). */
@Controller('api/v1/webhooks')
export class WebhooksController {
  constructor(private readonly webhooks: SpaceWebhooks) {}

  @Get()
  list(@Res() reply: FastifyReply): Promise<void> {
    return this.webhooks.showList(reply, 'webhooks.list', webhookList, {}, 'webhooks');
  }

  @Post()
  create(@Res() reply: FastifyReply, @Body() body: unknown): Promise<void> {
    const key = reply.request.headers['idempotency-key'];
    const wanted = { input: body ?? null, ...(typeof key === 'string' ? { idempotencyKey: key } : {}) };
    return this.webhooks.carryOut(reply, 'webhooks.create', wanted, 201);
  }

  @Get(':id')
  get(@Res() reply: FastifyReply, @Param() path: OneWebhook): Promise<void> {
    return this.webhooks.showOne(reply, 'webhooks.get', path);
  }

  @Patch(':id')
  update(@Res() reply: FastifyReply, @Param() path: OneWebhook, @Body() body: unknown): Promise<void> {
    return this.webhooks.carryOut(reply, 'webhooks.update', { ...path, input: orNothing(body) });
  }

  @Delete(':id')
  delete(@Res() reply: FastifyReply, @Param() path: OneWebhook): Promise<void> {
    return this.webhooks.carryOut(reply, 'webhooks.delete', path);
  }

  @Post(':id/pause')
  pause(@Res() reply: FastifyReply, @Param() path: OneWebhook): Promise<void> {
    return this.webhooks.carryOut(reply, 'webhooks.pause', path);
  }

  @Post(':id/resume')
  resume(@Res() reply: FastifyReply, @Param() path: OneWebhook): Promise<void> {
    return this.webhooks.carryOut(reply, 'webhooks.resume', path);
  }

  @Post(':id/rotate')
  rotate(@Res() reply: FastifyReply, @Param() path: OneWebhook, @Body() body: unknown): Promise<void> {
    return this.webhooks.carryOut(reply, 'webhooks.rotate', { ...path, input: orNothing(body) });
  }

  @Post(':id/test')
  test(@Res() reply: FastifyReply, @Param() path: OneWebhook): Promise<void> {
    return this.webhooks.test(reply, path);
  }
}

/** No body changes nothing (T-088). */
const orNothing = (body: unknown) => (body === undefined ? {} : body);
