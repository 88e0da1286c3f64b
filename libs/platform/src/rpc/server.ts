import { createHash, timingSafeEqual } from 'node:crypto';
import { MessagePattern, Server, type CustomTransportStrategy, type MessageHandler } from '@nestjs/microservices';
import type { Msg, NatsConnection, Subscription } from 'nats';
import { firstValueFrom, isObservable } from 'rxjs';
import { ApiError, type OperationName, type ReplyOf, type RequestOf } from '@keyturn/contracts';
import type { Log } from '../logs';
import type { Metrics } from '../metrics';
import type { NatsLink } from '../nats';
import { openSpan, traceIdOf, within } from '../tracing';
import { decodeFrame, encodeFrame, partBytes, type ReplyHead, type RequestHead } from './frame';

/** A request as its handler sees it. */
export interface RpcCall<N extends OperationName> {
  readonly request: RequestOf<N>;
  readonly body: Uint8Array;
  /** By `performance.now()`; an answer after it reaches nobody. */
  readonly deadline: number;
  readonly requestId?: string;
  readonly traceparent?: string;
}

export interface RpcReply<N extends OperationName> {
  readonly head: ReplyOf<N>;
  readonly body?: Uint8Array;
}

export function reply<N extends OperationName>(head: ReplyOf<N>, body?: Uint8Array | string): RpcReply<N> {
  if (body === undefined) return { head };
  return { head, body: typeof body === 'string' ? Buffer.from(body, 'utf8') : body };
}

/** Marks the handler of an operation; `admin.*` ones are refused without the admin credential before they are called. */
export const Operation = (name: OperationName): MethodDecorator => MessagePattern(name);

const empty = new Uint8Array(0);
const digest = (text: string) => createHash('sha256').update(text).digest();

/**
 * Nest's transport for our operations: raw bytes behind a small head, parts for long replies, deadlines, and garbage dropped
 * (Nest's own NATS transport throws on what is not JSON and on replies over 1 MB).
 */
export class RpcServer extends Server implements CustomTransportStrategy {
  private readonly subscriptions: Subscription[] = [];
  private running = 0;
  private onIdle: (() => void) | undefined;
  private readonly duration;
  private readonly garbage;

  constructor(
    private readonly service: string,
    private readonly link: NatsLink,
    private readonly log: Log,
    metrics: Metrics,
    /** A function is asked at every call that needs the credential, so that a new one holds from the next on. */
    private readonly adminToken: string | (() => string),
  ) {
    super();
    this.duration = metrics.histogram(
      'rpc_server_duration_seconds',
      'Time to answer an operation.',
      ['operation', 'outcome'],
      [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5],
    );
    this.garbage = metrics.counter('rpc_server_garbage_total', 'Messages on our subjects that are no request.', []);
  }

  listen(callback: (error?: unknown) => void): void {
    // Serving starts when the server is there; until then the service runs, unready.
    void this.link.whenConnected().then((connection) => this.subscribe(connection));
    callback();
  }

  private subscribe(connection: NatsConnection): void {
    for (const [pattern, handler] of this.messageHandlers) {
      const operation = pattern as OperationName;
      this.subscriptions.push(
        connection.subscribe(`rpc.${operation}`, {
          queue: this.service,
          callback: (error, message) => {
            if (!error) void this.serve(operation, handler, message);
          },
        }),
      );
    }
  }

  private async serve(operation: OperationName, handler: MessageHandler, message: Msg): Promise<void> {
    const frame = decodeFrame<RequestHead>(message.data);
    if (!frame || !message.reply) {
      this.garbage.inc();
      return;
    }
    const started = performance.now();
    this.running++;
    let outcome = 'ok';
    const { head, body } = frame;
    const span = openSpan(
      { name: operation, kind: 'server', attributes: { 'rpc.system.name': 'nats', 'rpc.method': operation } },
      textOf(head.traceparent),
    );
    try {
      if (operation.startsWith('admin.')) this.checkAdmin(head.adminToken);
      const call: RpcCall<OperationName> = {
        request: head.request as never,
        body,
        deadline: performance.now() + (Number.isFinite(head.waitMs) ? head.waitMs : 0),
        ...(typeof head.requestId === 'string' ? { requestId: head.requestId } : {}),
        ...(typeof head.traceparent === 'string' ? { traceparent: head.traceparent } : {}),
      };
      const result = (await within(span, () => handled(handler, call))) as RpcReply<OperationName>;
      this.answer(message, { reply: result.head, bytes: result.body?.length ?? 0 }, result.body ?? empty);
    } catch (error) {
      outcome = this.fail(operation, message, error, head);
    } finally {
      span?.end(isFailure(outcome) ? outcome : undefined);
      this.duration.observe({ operation, outcome }, (performance.now() - started) / 1_000);
      if (--this.running === 0) this.onIdle?.();
    }
  }

  private checkAdmin(token: unknown): void {
    const wanted = typeof this.adminToken === 'string' ? this.adminToken : this.adminToken();
    if (typeof token !== 'string' || !timingSafeEqual(digest(token), digest(wanted)))
      throw new ApiError('UNAUTHORIZED', 'This operation needs the admin credential');
  }

  private answer(message: Msg, head: ReplyHead, body: Uint8Array): void {
    message.respond(encodeFrame(head, body.subarray(0, partBytes)));
    for (let at = partBytes; at < body.length; at += partBytes) message.respond(body.subarray(at, at + partBytes));
  }

  private fail(operation: string, message: Msg, error: unknown, head: RequestHead): string {
    const known = error instanceof ApiError ? error : new ApiError('INTERNAL_ERROR', 'Server error', { cause: error });
    if (isFailure(known.code))
      this.log.error(
        {
          operation,
          code: known.code,
          requestId: textOf(head.requestId),
          traceId: traceIdOf(textOf(head.traceparent)),
          error: describe(error),
        },
        'operation failed',
      );
    const { field, retryAfterSeconds } = known.options;
    try {
      this.answer(
        message,
        {
          error: {
            code: known.code,
            message: known.message,
            ...(field === undefined ? {} : { field }),
            ...(retryAfterSeconds === undefined ? {} : { retryAfterSeconds }),
          },
          bytes: 0,
        },
        empty,
      );
    } catch (lost) {
      // The connection closed while we worked; the caller's deadline tells it.
      this.log.warn({ operation, error: describe(lost) }, 'reply lost');
    }
    return known.code;
  }

  /** Takes no new requests and answers those it has, those on their way to us included. */
  async close(): Promise<void> {
    const open = this.subscriptions.splice(0).filter((subscription) => !subscription.isClosed());
    await Promise.all(open.map((subscription) => this.link.endSubscription(subscription)));
    if (this.running > 0) await new Promise<void>((resolve) => (this.onIdle = resolve));
  }

  on(): never {
    throw new Error('operations have no events to listen to');
  }

  unwrap<T>(): T {
    return this.link as T;
  }
}

async function handled(handler: MessageHandler, call: RpcCall<OperationName>): Promise<unknown> {
  const answer: unknown = await handler(call);
  return isObservable(answer) ? firstValueFrom(answer) : answer;
}

/** What a stranger on our subjects may have made anything. */
const textOf = (value: unknown) => (typeof value === 'string' ? value : undefined);

/** Ours, and not an answer that the caller has asked for. */
const isFailure = (code: string) => code === 'INTERNAL_ERROR' || code === 'UNAVAILABLE';

/** The stack, and what caused it: for our own log only. */
function describe(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const cause = error instanceof ApiError ? error.options.cause : error.cause;
  return cause === undefined ? (error.stack ?? error.message) : `${error.stack}\ncaused by ${describe(cause)}`;
}
