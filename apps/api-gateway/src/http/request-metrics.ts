import { Injectable } from '@nestjs/common';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { Log } from '@keyturn/platform/logs';
import { Metrics } from '@keyturn/platform/metrics';
import { traceOf } from './request-context';

/** Rate, errors and duration by route; the end of the request's span; and, at level debug, one line a request. */
@Injectable()
export class RequestMetrics {
  private readonly duration;

  constructor(
    metrics: Metrics,
    private readonly log: Log,
  ) {
    this.duration = metrics.histogram(
      'http_server_request_duration_seconds',
      'Time to answer a request.',
      ['method', 'route', 'status'],
      [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5],
    );
  }

  observe(request: FastifyRequest, reply: FastifyReply): void {
    const seconds = (performance.now() - request.startedAt) / 1000;
    const { method } = request;
    // The route's pattern, never the path: ids would make a series each.
    const route = request.routeOptions.url ?? 'none';
    this.duration.observe({ method, route, status: reply.statusCode }, seconds);
    this.endSpan(request, route, reply.statusCode);
    this.log.debug(
      {
        requestId: request.id,
        traceId: traceOf(request),
        method,
        route,
        status: reply.statusCode,
        ms: Math.round(seconds * 10_000) / 10,
        spaceId: request.principal?.spaceId,
      },
      'answered',
    );
  }

  /** Without path and query, where a caller may have put anything. */
  private endSpan({ span, method, principal, id }: FastifyRequest, route: string, status: number): void {
    if (!span) return;
    span.rename(`${method} ${route}`);
    span.set({
      'http.request.method': method,
      'http.route': route,
      'http.response.status_code': status,
      'keyturn.request.id': id,
      'keyturn.space.id': principal?.spaceId,
    });
    span.end(status >= 500 ? String(status) : undefined);
  }
}
