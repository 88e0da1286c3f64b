import { Controller, Get, Param, Post, Res } from '@nestjs/common';
import type { FastifyReply } from 'fastify';
import { deliveryList } from '@keyturn/contracts';
import { SpaceWebhooks, type OneWebhook } from './space-webhooks';

interface OneDelivery extends OneWebhook {
  readonly deliveryId: string;
}

/** What one webhook was sent (T-092). */
@Controller('api/v1/webhooks/:id/deliveries')
export class DeliveriesController {
  constructor(private readonly webhooks: SpaceWebhooks) {}

  @Get()
  list(@Res() reply: FastifyReply, @Param() path: OneWebhook): Promise<void> {
    return this.webhooks.showList(reply, 'webhooks.deliveries', deliveryList, path, 'deliveries', path.id);
  }

  @Get(':deliveryId')
  get(@Res() reply: FastifyReply, @Param() path: OneDelivery): Promise<void> {
    return this.webhooks.showOne(reply, 'webhooks.delivery', path);
  }

  @Post(':deliveryId/resend')
  resend(@Res() reply: FastifyReply, @Param() path: OneDelivery): Promise<void> {
    return this.webhooks.carryOut(reply, 'webhooks.resend', path);
  }
}
