import { Injectable } from '@nestjs/common';
import type { FastifyReply, FastifyRequest, HookHandlerDoneFunction } from 'fastify';
import { ApiError, publicKeysPrefix, unavailable } from '@keyturn/contracts';
import { Metrics } from '@keyturn/platform/metrics';
import { Drain, Startup } from '@keyturn/platform/service';
import { AddressLimit } from '../access/address-limit';
import { Admitter, type Admission } from '../access/admitter';
import { hostLabel } from '../access/host-label';
import type { Scope } from '../access/principal';
import { hashApiKey, isApiKey } from '../keys/api-key';
import { isUnder, surfaceOf } from '../surfaces/surface';
import { securityHeaders, showQuota } from './headers';
import { pathOf } from './request-context';

/** How a request is let in. */
type Door = 'health' | 'public' | 'session' | 'key';

function doorOf(method: string, path: string): Door {
  if (isUnder(path, '/manage')) return 'session';
  if (isRead(method)) {
    if (path === '/api/v1/health') return 'health';
    if (path === '/api/v1/openapi.json' || isUnder(path, '/docs') || path.startsWith(publicKeysPrefix)) return 'public';
  }
  return 'key';
}

const isRead = (method: string) => method === 'GET' || method === 'HEAD';

/**
 * What every request passes before anything else looks at it, unknown routes included (T-121): 401, then 429, then 403. Runs in
 * Fastify's `onRequest`, before a byte of the body is read.
 */
@Injectable()
export class Gate {
  private readonly decisions;

  constructor(
    private readonly admitter: Admitter,
    private readonly addresses: AddressLimit,
    private readonly drain: Drain,
    private readonly startup: Startup,
    metrics: Metrics,
  ) {
    this.decisions = metrics.counter(
      'rate_limit_decisions_total',
      'Permits asked for, by whose limit, and the answer.',
      ['limit', 'decision'],
    );
  }

  enter(request: FastifyRequest, reply: FastifyReply, done: HookHandlerDoneFunction): void {
    const { method } = request;
    const path = pathOf(request.raw.url ?? '/');
    request.surface = surfaceOf(path);
    request.startedAt = performance.now();
    void reply.headers(securityHeaders).header('x-request-id', request.id);
    // While others still come, those who keep a connection should open their next one elsewhere.
    if (this.drain.draining) void reply.header('connection', 'close');

    switch (doorOf(method, path)) {
      case 'health':
        // Never refused, and never a reason to refuse others: it is shown the bucket without a permit being taken.
        showQuota(reply, this.addresses.quota(request.ip));
        done();
        return;
      case 'public':
        done(this.countAddress(request, reply));
        return;
      case 'session':
        done(this.countAddress(request, reply) ?? this.refuseEarly());
        return;
      case 'key':
        this.enterByKey(request, reply, path, done);
    }
  }

  private enterByKey(request: FastifyRequest, reply: FastifyReply, path: string, done: HookHandlerDoneFunction): void {
    const key = request.headers['x-api-key'];
    if (typeof key !== 'string' || !isApiKey(key)) {
      done(this.refuseStranger(request, reply));
      return;
    }
    const tooEarly = this.refuseEarly();
    if (tooEarly) {
      showQuota(reply, this.addresses.quota(request.ip));
      done(tooEarly);
      return;
    }
    this.admitter.admit(hashApiKey(key), hostLabel(request.headers.host)).then(
      (admission) => {
        if (!admission) {
          done(this.refuseStranger(request, reply));
          return;
        }
        this.count('key', admission.granted);
        done(pass(request, reply, path, admission));
      },
      (error: Error) => {
        showQuota(reply, this.addresses.quota(request.ip));
        done(error);
      },
    );
  }

  /** 503 until keys and accounts can be looked up at all. */
  private refuseEarly(): Error | undefined {
    return this.startup.done ? undefined : unavailable('The service has not started yet');
  }

  /** 401, or 429 once the address has asked too often (DESIGN §3). */
  private refuseStranger(request: FastifyRequest, reply: FastifyReply): Error {
    return this.countAddress(request, reply) ?? new ApiError('UNAUTHORIZED', 'Invalid or expired API key');
  }

  private countAddress(request: FastifyRequest, reply: FastifyReply): Error | undefined {
    const taken = this.addresses.take(request.ip);
    this.count('address', taken);
    const quota = this.addresses.quota(request.ip);
    showQuota(reply, quota);
    return taken ? undefined : tooMany(quota.resetSeconds);
  }

  private count(limit: 'key' | 'address', granted: boolean): void {
    this.decisions.inc({ limit, decision: granted ? 'granted' : 'refused' });
  }
}

const tooMany = (retryAfterSeconds: number) =>
  new ApiError('RATE_LIMIT_EXCEEDED', 'Rate limit exceeded: wait before the next request', { retryAfterSeconds });

/** A good key: 429, then 403. */
function pass(request: FastifyRequest, reply: FastifyReply, path: string, admission: Admission): Error | undefined {
  const { principal, granted, quota } = admission;
  request.principal = principal;
  showQuota(reply, quota);
  return granted ? forbid(request.method, path, principal.scopes) : tooMany(quota.resetSeconds);
}

/** Everything but the webhooks is read-only, whatever the route, the record or the body (T-032, T-033). */
function forbid(method: string, path: string, scopes: readonly Scope[]): Error | undefined {
  const needed: Scope = isRead(method) ? 'read' : 'webhooks:write';
  if (needed === 'webhooks:write' && !isUnder(path, '/api/v1/webhooks'))
    return new ApiError('FORBIDDEN', 'API keys are read-only; only webhooks can be written');
  if (!scopes.includes(needed)) return new ApiError('FORBIDDEN', `This API key does not have the scope ${needed}`);
  return undefined;
}
