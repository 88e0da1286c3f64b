import type { FastifyRequest } from 'fastify';
import { traceIdOf, type Span } from '@keyturn/platform/tracing';
import type { Principal } from '../access/principal';
import type { Surface } from '../surfaces/surface';
import { traceparent } from './request-id';

declare module 'fastify' {
  interface FastifyRequest {
    /** Whose shapes the answer has: known for every request, also where no route is. */
    surface: Surface;
    /** Who asks; undefined on public paths and on the management plane, which has sessions. */
    principal: Principal | undefined;
    /** When the request came in, by `performance.now()`: what is left of its deadline counts from here. */
    startedAt: number;
    /** Its step of a trace; undefined where there are no traces. */
    span: Span | undefined;
  }
}

/** The path as sent, without the query. */
export function pathOf(url: string): string {
  const end = url.search(/[?#]/);
  return end === -1 ? url : url.slice(0, end);
}

/** For log lines: our own trace's id, or the caller's where we gather none. */
export function traceOf({ span, raw }: FastifyRequest): string | undefined {
  return span?.traceId ?? traceIdOf(traceparent(raw));
}
