import { Catch, type ArgumentsHost, type ExceptionFilter } from '@nestjs/common';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { FailureResponder } from './failure-responder';

/** What a controller throws is answered like every other failure. */
@Catch()
export class ThrownErrorsFilter implements ExceptionFilter {
  constructor(private readonly failures: FailureResponder) {}

  catch(error: unknown, host: ArgumentsHost): void {
    const http = host.switchToHttp();
    this.failures.send(http.getRequest<FastifyRequest>(), http.getResponse<FastifyReply>(), error);
  }
}
