import { createInbox, type Msg, type NatsConnection, type Subscription } from 'nats';
import {
  ApiError,
  errorCodes,
  unavailable,
  type ErrorCode,
  type OperationName,
  type ReplyOf,
  type RequestOf,
} from '@keyturn/contracts';
import type { NatsLink } from '../nats';
import { currentSpan, openChild, type Span } from '../tracing';
import { decodeFrame, encodeFrame, type ReplyHead, type RequestHead, type WireError } from './frame';

export interface RpcOptions {
  readonly body?: Uint8Array;
  /** How long to wait; 1.8 s unless told, so that a dead dependency is a 503 within 2 s. */
  readonly deadlineMs?: number;
  readonly requestId?: string;
  readonly traceparent?: string;
  /** Operations of the command line need it. */
  readonly adminToken?: string;
}

export interface RpcResult<N extends OperationName> {
  readonly head: ReplyOf<N>;
  readonly body: Uint8Array;
}

interface Pending {
  readonly resolve: (result: { head: never; body: Uint8Array }) => void;
  readonly reject: (error: unknown) => void;
  /** By `performance.now()`: a clock that is set must not end a request, nor keep one waiting. */
  readonly expires: number;
  readonly operation: string;
  readonly span: Span | undefined;
  head?: ReplyHead;
  body?: Buffer;
  received: number;
}

const empty = new Uint8Array(0);
const defaultDeadlineMs = 1_800;
const sweepMs = 50;

/**
 * Asks other services. One subscription takes all replies; one timer, running only while somebody waits, ends those that are
 * late. Nobody listening is an error at once (NATS says so), not a wait.
 */
export class RpcClient {
  private readonly pending = new Map<string, Pending>();
  private inbox: { connection: NatsConnection; prefix: string; subscription: Subscription } | undefined;
  private sweeper: NodeJS.Timeout | undefined;
  private counter = 0;

  constructor(private readonly link: NatsLink) {}

  request<N extends OperationName>(
    operation: N,
    request: RequestOf<N>,
    options: RpcOptions = {},
  ): Promise<RpcResult<N>> {
    return new Promise((resolve, reject) => {
      const { body = empty, deadlineMs = defaultDeadlineMs, ...rest } = options;
      const token = (++this.counter).toString(36);
      // Throws where the link is down; inside the promise, so that the caller sees one kind of failure.
      const { connection, prefix } = this.inboxOf(this.link.connection());
      const span = openChild({ name: operation, kind: 'client', attributes: attributesOf(operation) });
      const traceparent = (span ?? currentSpan())?.traceparent;
      const head: RequestHead = { request, waitMs: deadlineMs, ...rest, ...(traceparent && { traceparent }) };
      connection.publish(`rpc.${operation}`, encodeFrame(head, body), { reply: `${prefix}.${token}` });
      this.pending.set(token, {
        resolve,
        reject,
        expires: performance.now() + deadlineMs,
        operation,
        span,
        received: 0,
      });
      this.sweeper ??= setInterval(() => this.sweep(), sweepMs);
    });
  }

  private inboxOf(connection: NatsConnection) {
    if (this.inbox?.connection !== connection) {
      const prefix = createInbox();
      const subscription = connection.subscribe(`${prefix}.*`, {
        callback: (error, message) => {
          if (!error) this.receive(message.subject.slice(prefix.length + 1), message);
        },
      });
      this.inbox = { connection, prefix, subscription };
    }
    return this.inbox;
  }

  private receive(token: string, message: Msg): void {
    const pending = this.pending.get(token);
    if (!pending) return;
    if (message.data.length === 0 && message.headers?.code === 503) {
      this.settle(token, pending, unavailable(`nobody answers ${pending.operation}`));
      return;
    }
    if (!pending.head) {
      const frame = decodeFrame<ReplyHead>(message.data);
      if (!frame) {
        this.settle(token, pending, unavailable(`${pending.operation} was answered with garbage`));
        return;
      }
      pending.head = frame.head;
      if (frame.head.bytes === frame.body.length) {
        this.finish(token, pending, frame.body);
        return;
      }
      pending.body = Buffer.allocUnsafe(frame.head.bytes);
      pending.received = pending.body.length && Buffer.from(frame.body).copy(pending.body);
      return;
    }
    const whole = pending.body as Buffer;
    pending.received += Buffer.from(message.data.buffer, message.data.byteOffset, message.data.length).copy(
      whole,
      pending.received,
    );
    if (pending.received >= whole.length) this.finish(token, pending, whole);
  }

  private finish(token: string, pending: Pending, body: Uint8Array): void {
    const { error, reply } = pending.head as ReplyHead;
    if (error) this.settle(token, pending, rebuild(error));
    else {
      this.drop(token);
      pending.span?.end();
      pending.resolve({ head: reply as never, body });
    }
  }

  private settle(token: string, pending: Pending, error: ApiError): void {
    this.drop(token);
    pending.span?.end(error.code);
    pending.reject(error);
  }

  private drop(token: string): void {
    this.pending.delete(token);
    if (this.pending.size === 0) {
      clearInterval(this.sweeper);
      this.sweeper = undefined;
    }
  }

  private sweep(): void {
    const now = performance.now();
    const down = !this.link.connected;
    for (const [token, pending] of this.pending)
      if (down || pending.expires <= now)
        this.settle(token, pending, unavailable(`${pending.operation} was not answered in time`));
  }
}

const attributesOf = (operation: string) => ({ 'rpc.system.name': 'nats', 'rpc.method': operation });

function rebuild({ code, message, field, retryAfterSeconds }: WireError): ApiError {
  const known = errorCodes.find((candidate) => candidate === code) ?? ('INTERNAL_ERROR' satisfies ErrorCode);
  return new ApiError(known, message, {
    ...(field === undefined ? {} : { field }),
    ...(retryAfterSeconds === undefined ? {} : { retryAfterSeconds }),
  });
}
