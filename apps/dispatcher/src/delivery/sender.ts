import { signatureHeaders, type Attempt, type AttemptResult, type SigningKey } from '@keyturn/webhook-store';
import type { Log } from '@keyturn/platform/logs';
import { isTracing, openSpan, type Span } from '@keyturn/platform/tracing';
import { randomBytes } from 'node:crypto';
import { failed, type Exchange, type ExchangeOutcome } from '../outbound/exchange';
import { Fault } from '../outbound/fault';
import { signersAt, type Recipient } from './endpoint-book';
import type { Outgoing } from './outgoing';
import { decide, isSuccess, slowsDown, type Decision, type RetryRules } from './retry-policy';

/** An attempt that has been made, and what follows from it. */
export interface Report {
  readonly delivery: Outgoing;
  readonly attempt: Attempt;
  readonly decision: Decision;
  /** Of the receiver: it hangs, refuses or is overloaded. */
  readonly trouble: boolean;
}

const userAgent = 'Keyturn-Webhooks/1';

/** Makes one attempt of a delivery: signs its bytes, sends them, and says what follows. */
export class Sender {
  constructor(
    private readonly exchange: Pick<Exchange, 'post'>,
    private readonly rules: RetryRules,
    private readonly origin: string,
    private readonly log: Log,
    private readonly chance: () => number = Math.random,
  ) {}

  /** Reports each request that was made; the last report is the one that counts, those before it are immediate repeats. */
  async send(delivery: Outgoing, recipient: Recipient, onReport: (report: Report) => void): Promise<Report> {
    const scheduleMs = recipient.endpoint.retryScheduleMs ?? this.rules.scheduleMs;
    const rules = delivery.reason === 'test' ? { scheduleMs: [], jitter: false } : { ...this.rules, scheduleMs };
    for (let repeated = delivery.reason === 'test'; ; repeated = true) {
      const outcome = await this.attempt(delivery, recipient);
      const decision = decide(
        {
          status: outcome.status,
          fault: outcome.fault?.kind ?? null,
          retryAfter: outcome.retryAfter,
          totalMs: outcome.totalMs,
          attempt: delivery.attempts - delivery.attemptsBefore + 1,
          repeated,
          probe: delivery.reason === 'probe',
        },
        rules,
        new Date(),
        this.chance,
      );
      const report: Report = {
        delivery,
        attempt: attemptOf(delivery, outcome, repeated && delivery.reason !== 'test'),
        decision,
        trouble: slowsDown(outcome.status, outcome.fault?.kind ?? null, outcome.totalMs),
      };
      onReport(report);
      if (decision.kind !== 'repeat') return report;
    }
  }

  /**
   * What goes wrong on our side is this one attempt's failure. Thrown, it would end the process, and then the next one that
   * is handed the delivery: nobody's deliveries would get past it.
   */
  private async attempt(delivery: Outgoing, recipient: Recipient): Promise<ExchangeOutcome> {
    const startedAt = new Date();
    try {
      return await this.post(delivery, recipient);
    } catch (error) {
      this.log.error(
        { deliveryId: `dlv_${delivery.id}`, error: String(error instanceof Error ? error.stack : error) },
        'attempt met an unexpected error',
      );
      return failed(new Fault('internal', 'the attempt met an unexpected error', error), startedAt);
    }
  }

  /** The step of the trace that an attempt is; what the receiver is told is that step. */
  private async post(delivery: Outgoing, recipient: Recipient): Promise<ExchangeOutcome> {
    if (!isTracing() || delivery.traceparent === undefined)
      return this.exchange.post(
        recipient.destination,
        headersOf(delivery, recipient, this.origin, childOf(delivery.traceparent)),
        delivery.body,
      );
    const span = openAttempt(delivery, recipient);
    const headers = headersOf(delivery, recipient, this.origin, span?.traceparent);
    const outcome = await this.exchange.post(recipient.destination, headers, delivery.body);
    const { status, fault } = outcome;
    if (status !== null) span?.set({ 'http.response.status_code': status });
    span?.end(fault?.kind ?? (isSuccess(status) ? undefined : String(status)));
    return outcome;
  }
}

function headersOf(
  delivery: Outgoing,
  recipient: Recipient,
  origin: string,
  traceparent: string | undefined,
): string[] {
  const now = Date.now();
  const signed = signatureHeaders(
    { id: delivery.messageId, timestamp: Math.floor(now / 1_000), body: delivery.body },
    recipient.keys[0] as SigningKey,
    signersAt(recipient, now),
  );
  const headers = [
    ...recipient.headers,
    'Content-Type',
    'application/json',
    'User-Agent',
    userAgent,
    'X-Webhook-Event',
    delivery.event,
    'X-Webhook-Id',
    delivery.messageId,
    'X-Webhook-Attempt',
    String(delivery.attempts + 1),
    'X-Webhook-Signature',
    signed['x-webhook-signature'],
    'webhook-id',
    signed['webhook-id'],
    'webhook-timestamp',
    signed['webhook-timestamp'],
    'webhook-signature',
    signed['webhook-signature'],
  ];
  // As CloudEvents asks of whoever was given a receiver's consent.
  if (recipient.endpoint.verified) headers.push('Origin', origin);
  if (traceparent) headers.push('traceparent', traceparent);
  return headers;
}

/** Of the receiver its host alone: path and query of an endpoint may hold a secret of its owner. */
function openAttempt(delivery: Outgoing, { destination }: Recipient): Span | undefined {
  const attributes = {
    'http.request.method': 'POST',
    'server.address': destination.hostname,
    'server.port': destination.port,
    'http.request.resend_count': delivery.attempts || undefined,
    'messaging.message.id': delivery.messageId,
    'cloudevents.event_type': delivery.event,
    'keyturn.space.id': delivery.spaceId,
    'keyturn.delivery.id': `dlv_${delivery.id}`,
    'keyturn.webhook.id': `wh_${delivery.webhookId}`,
    'keyturn.attempt.reason': delivery.reason,
  };
  return openSpan({ name: 'POST', kind: 'client', attributes }, delivery.traceparent);
}

function attemptOf(delivery: Outgoing, outcome: ExchangeOutcome, repeat: boolean): Attempt {
  const { status, fault } = outcome;
  return {
    number: delivery.attempts + 1,
    startedAt: outcome.startedAt,
    reason: repeat ? 'repeat' : delivery.reason,
    address: outcome.address,
    status,
    headers: outcome.headers,
    body: outcome.body,
    faultClass: fault?.kind ?? (isSuccess(status) ? null : 'status'),
    error: fault?.message ?? errorOf(status),
    dnsMs: outcome.dnsMs,
    connectMs: outcome.connectMs,
    tlsMs: outcome.tlsMs,
    firstByteMs: outcome.firstByteMs,
    totalMs: outcome.totalMs,
  };
}

function errorOf(status: number | null): string | null {
  if (status === null || isSuccess(status)) return null;
  if (status >= 300 && status < 400) return `the receiver answered ${status}; redirects are not followed`;
  return `the receiver answered ${status}`;
}

/** What the store is told to do for a decision. */
export function effectOf(decision: Decision): AttemptResult['effect'] {
  switch (decision.kind) {
    case 'delivered':
    case 'repeat':
    case 'failed':
    case 'put_back':
      return { kind: decision.kind };
    case 'gone':
      return { kind: 'failed' };
    case 'retry':
      return {
        kind: 'retry',
        inMs: decision.inMs,
        ...(decision.holdMs ? { holdEndpointMs: decision.holdMs } : {}),
      };
  }
}

const traceparentPattern = /^(00-[0-9a-f]{32})-[0-9a-f]{16}-([0-9a-f]{2})$/;

/** The publisher's trace, with a span of this attempt's own; undefined where there is none. */
function childOf(traceparent: string | undefined): string | undefined {
  const parts = traceparent === undefined ? null : traceparentPattern.exec(traceparent);
  return parts ? `${parts[1]}-${randomBytes(8).toString('hex')}-${parts[2]}` : undefined;
}
