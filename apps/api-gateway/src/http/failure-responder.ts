import { Injectable } from '@nestjs/common';
import type { ServerResponse } from 'node:http';
import { STATUS_CODES } from 'node:http';
import type { Socket } from 'node:net';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { ApiError, notFound } from '@keyturn/contracts';
import { Log } from '@keyturn/platform/logs';
import { AddressLimit } from '../access/address-limit';
import { surfaceOf, type Failure } from '../surfaces/surface';
import { failureOf } from './failure';
import { jsonType, quotaHeaders, securityHeaders } from './headers';
import { traceOf } from './request-context';
import { requestId } from './request-id';

/** Answers every failure in the shape of the request's surface; nothing of ours but the words meant for callers gets out. */
@Injectable()
export class FailureResponder {
  constructor(
    private readonly log: Log,
    private readonly addresses: AddressLimit,
  ) {}

  send(request: FastifyRequest, reply: FastifyReply, error: unknown): void {
    const failure = failureOf(error);
    if (failure.code === 'INTERNAL_ERROR' || failure.code === 'UNAVAILABLE') this.report(request, failure, error);
    this.answer(request, reply, failure);
  }

  /** A path without a route is a 404; one that takes other methods says which (405 is no status of this surface, T-120). */
  sendNoRoute(request: FastifyRequest, reply: FastifyReply, allowed: readonly string[]): void {
    if (!allowed.length || allowed.includes(request.method)) {
      this.answer(request, reply, failureOf(notFound('There is no such endpoint')));
      return;
    }
    const allow = allowed.join(', ');
    void reply.header('allow', allow);
    this.answer(request, reply, { code: 'VALIDATION_ERROR', message: `This endpoint takes ${allow}` });
  }

  /** What Node could not read as a request: there is no request or reply, only a socket to write on, once. */
  sendRaw(socket: Socket, error: Error & { code?: string }): void {
    const started = (socket as { _httpMessage?: ServerResponse })._httpMessage?.headersSent;
    if (error.code === 'ECONNRESET' || !socket.writable || started) {
      socket.destroy();
      return;
    }
    const { status, body } = surfaceOf('/').failure(rawFailure(error));
    const address = socket.remoteAddress ?? '';
    this.addresses.take(address);
    const headers = {
      ...securityHeaders,
      ...quotaHeaders(this.addresses.quota(address)),
      'x-request-id': requestId({ headers: {} }),
      'content-type': jsonType,
      'content-length': `${Buffer.byteLength(body)}`,
      connection: 'close',
    };
    const head = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`);
    socket.end(`HTTP/1.1 ${status} ${STATUS_CODES[status]}\r\n${head.join('')}\r\n${body}`);
  }

  private answer(request: FastifyRequest, reply: FastifyReply, failure: Failure): void {
    const { status, body } = request.surface.failure(failure);
    // A body that is still coming is read to its end and dropped: closing on it would reset the connection under the answer.
    if (!request.raw.complete) reply.raw.shouldKeepAlive = true;
    if (failure.retryAfterSeconds !== undefined) void reply.header('retry-after', `${failure.retryAfterSeconds}`);
    void reply.code(status).headers({ 'content-type': jsonType, 'cache-control': 'no-store' }).send(body);
  }

  private report(request: FastifyRequest, failure: Failure, error: unknown): void {
    const { method, id } = request;
    const fields = {
      requestId: id,
      traceId: traceOf(request),
      method,
      route: request.routeOptions.url,
      spaceId: request.principal?.spaceId,
    };
    if (failure.code === 'UNAVAILABLE') this.log.warn({ ...fields, error: String(error) }, 'not available');
    else this.log.error({ ...fields, error: describe(error) }, 'request failed');
  }
}

function rawFailure(error: Error & { code?: string }): Failure {
  if (error instanceof ApiError) return failureOf(error);
  switch (error.code) {
    case 'HPE_HEADER_OVERFLOW':
      return { code: 'VALIDATION_ERROR', message: 'The URL and the headers together are larger than 16 KiB' };
    case 'ERR_HTTP_REQUEST_TIMEOUT':
      return { code: 'VALIDATION_ERROR', message: 'The request did not arrive in time' };
    default:
      return { code: 'VALIDATION_ERROR', message: 'The request is not valid HTTP' };
  }
}

function describe(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  return error.cause === undefined
    ? (error.stack ?? error.message)
    : `${error.stack}\ncaused by ${describe(error.cause)}`;
}
