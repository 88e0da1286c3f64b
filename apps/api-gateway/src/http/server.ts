import type { IncomingMessage } from 'node:http';
import type { Socket } from 'node:net';
import { fastify, type FastifyInstance, type FastifyReply, type FastifyRequest } from 'fastify';
import { validationError } from '@keyturn/contracts';
import { isTracing, openSpan, within } from '@keyturn/platform/tracing';
import type { TrustProxy } from '../settings';
import type { FailureResponder } from './failure-responder';
import type { Gate } from './gate';
import { parseJsonBody } from './json-body';
import type { RequestMetrics } from './request-metrics';
import { pathOf } from './request-context';
import { requestId, traceparent } from './request-id';

/** What the server needs and the injector makes only later. */
export interface ServerParts {
  readonly gate: Gate;
  readonly failures: FailureResponder;
  readonly metrics: RequestMetrics;
}

const bodyLimitBytes = 1024 * 1024;
/** A path parameter longer than this is no id of ours. */
const maxParamLength = 256;

/** Fastify with our gate as its first hook and our shape for its every failure, those before routing included. */
export function makeServer(trustProxy: TrustProxy, parts: () => ServerParts): FastifyInstance {
  const server: FastifyInstance = fastify({
    trustProxy,
    bodyLimit: bodyLimitBytes,
    genReqId: requestId,
    // A request that comes while we finish is served; its connection ends with it.
    return503OnClosing: false,
    // Slow senders and slow readers lose their connection; a load balancer's idle one outlives its own patience of 60 s.
    requestTimeout: 30_000,
    connectionTimeout: 90_000,
    keepAliveTimeout: 72_000,
    // A request without a Host header is answered in our shape, as any other.
    http: { headersTimeout: 15_000, connectionsCheckingInterval: 5_000, requireHostHeader: false },
    routerOptions: { maxParamLength },
    rewriteUrl: originForm,
    frameworkErrors: (error, request, reply) => {
      // Fastify could not route it and so ran no hook: the gate comes first all the same.
      parts().gate.enter(request, reply, (refusal) => parts().failures.send(request, reply, refusal ?? error));
    },
    clientErrorHandler: (error, socket) => parts().failures.sendRaw(socket, error),
  });
  server.decorateRequest('surface');
  server.decorateRequest('principal');
  server.decorateRequest('startedAt', 0);
  server.decorateRequest('span');
  const noRoute = (request: FastifyRequest, reply: FastifyReply) =>
    parts().failures.sendNoRoute(request, reply, methodsOf(server, pathOf(request.raw.url ?? '/')));
  server.addHook('onRequest', (request, reply, done) => {
    request.span = openSpan({ name: request.method, kind: 'server' }, traceparent(request.raw));
    within(request.span, () =>
      parts().gate.enter(request, reply, (refusal) => {
        // Before the body is read: what is wrong with it comes after the route in the order of T-121.
        if (!refusal && request.is404) noRoute(request, reply);
        else done(refusal);
      }),
    );
  });
  // A body arrives on its socket's account: what handles it belongs to the request again.
  if (isTracing()) server.addHook('preHandler', (request, _reply, done) => within(request.span, done));
  server.addHook('onResponse', (request, reply, done) => {
    parts().metrics.observe(request, reply);
    done();
  });
  server.setErrorHandler((error, request, reply) => parts().failures.send(request, reply, error));
  server.setNotFoundHandler(noRoute);
  readBodies(server);
  answerOddRequests(server, parts);
  return server;
}

/**
 * A request may name the whole address, as to a proxy (RFC 9112 §3.2.2). The router would see through that and the gate would
 * not, so it is taken apart before either looks; its host counts, and not the header's.
 */
function originForm(request: IncomingMessage): string {
  const url = request.url ?? '/';
  const parts = /^https?:\/\/([^/?#]*)(.*)$/is.exec(url);
  if (!parts) return url;
  const [, host = '', rest = ''] = parts;
  request.headers.host = host;
  return rest.startsWith('/') ? rest : `/${rest}`;
}

function readBodies(server: FastifyInstance): void {
  server.removeAllContentTypeParsers();
  server.addContentTypeParser('application/json', { parseAs: 'buffer' }, (_request, body, done) => {
    try {
      done(null, parseJsonBody(body as Buffer));
    } catch (error) {
      done(error as Error);
    }
  });
  server.addContentTypeParser('*', (request, _body, done) => {
    if (request.headers['content-length'] === '0') done(null, undefined);
    else done(validationError('Content-Type', 'Content-Type must be application/json'));
  });
}

/** What Node would answer by itself, in shapes of its own or by hanging up. */
function answerOddRequests(server: FastifyInstance, parts: () => ServerParts): void {
  server.server.on('checkExpectation', (request, response) => server.server.emit('request', request, response));
  server.server.on('connect', (_request, socket) =>
    parts().failures.sendRaw(socket as Socket, validationError('method', 'CONNECT is not supported')),
  );
}

const methods = ['GET', 'POST', 'PATCH', 'DELETE', 'PUT'] as const;

/** The methods that a path does take: a path without any is no route. */
function methodsOf(server: FastifyInstance, path: string): string[] {
  return methods.filter((method) => server.findRoute({ method, url: path }) !== null);
}
