import type { FastifyRequest } from 'fastify';
import type { RpcOptions } from '@keyturn/platform/rpc';
import type { Principal } from '../access/principal';
import { traceparent } from './request-id';

/** A dead dependency is a 503 within 2 s of the request's arrival, whatever part of it the door has taken (DESIGN §5). */
const answerWithinMs = 1_850;
const shortestMs = 50;

/** What an operation inherits from the request it serves: its id, its trace, and what is left of its time. */
export function upstream(request: FastifyRequest): RpcOptions {
  const trace = traceparent(request);
  const deadlineMs = Math.max(shortestMs, Math.round(answerWithinMs - (performance.now() - request.startedAt)));
  return { requestId: request.id, deadlineMs, ...(trace === undefined ? {} : { traceparent: trace }) };
}

/** Whose data the request may touch. Every route behind the gate has a principal: one without is a mistake of ours. */
export function principalOf(request: FastifyRequest): Principal {
  if (!request.principal) throw new Error(`${request.routeOptions.url} is served without a principal`);
  return request.principal;
}
