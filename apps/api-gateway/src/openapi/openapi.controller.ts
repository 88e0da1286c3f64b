import { Controller, Get, Req, Res } from '@nestjs/common';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { asset, respondWithAsset } from '../http/asset';
import { jsonType } from '../http/headers';
import { openApiDocument } from './document';

/** The description of the Space API, for everybody: made once, at start. */
@Controller('api/v1/openapi.json')
export class OpenApiController {
  private readonly document = asset(Buffer.from(JSON.stringify(openApiDocument())), jsonType, 'public, no-cache');

  @Get()
  show(@Req() request: FastifyRequest, @Res() reply: FastifyReply): void {
    // Read by programs of other origins as well: editors, generators, documentation sites.
    void reply.header('access-control-allow-origin', '*');
    respondWithAsset(request, reply, this.document);
  }
}
