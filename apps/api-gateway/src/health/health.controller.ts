import { Controller, Get, Res } from '@nestjs/common';
import type { FastifyReply } from 'fastify';
import { jsonType } from '../http/headers';

/** The one answer without the envelope (T-051): the seed shows it so. It says that the gateway answers, nothing more. */
@Controller('api/v1/health')
export class HealthController {
  @Get()
  health(@Res() reply: FastifyReply): void {
    void reply
      .headers({ 'content-type': jsonType, 'cache-control': 'no-store' })
      .send(`{"status":"ok","timestamp":"${new Date().toISOString()}"}`);
  }
}
