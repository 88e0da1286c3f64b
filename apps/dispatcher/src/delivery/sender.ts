import { signatureHeaders, type Attempt, type AttemptResult, type SigningKey } from '@keyturn/webhook-store';
import { randomBytes } from 'node:crypto';
import type { Exchange, ExchangeOutcome } from '../outbound/exchange';
import { keysAt, type Recipient } from './endpoint-book';
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
    private readonly chance: () => number = Math.random,
  ) {}

  /** Reports each request that was made; the last report is the one that counts, those before it are immediate repeats. */
  async send(delivery: Outgoing, recipient: Recipient, onReport: (report: Report) => void): Promise<Report> {
    const scheduleMs = recipient.endpoint.retryScheduleMs ?? this.rules.scheduleMs;
    const rules = delivery.reason === 'test' ? { scheduleMs: [], jitter: false } : { ...this.rules, scheduleMs };
    for (let repeated = delivery.reason === 'test'; ; repeated = true) {
      const outcome = await this.post(delivery, recipient);
      const decision = decide(
        {
          status: outcome.status,
          fault: outcome.fault?.kind ?? null,
          retryAfter: outcome.retryAfter,
          totalMs: outcome.totalMs,
          attempt: delivery.attempts - delivery.attemptsBefore + 1,
          repeated,
        },
        rules,
        new Date(),
        this.chance,
      );
      const report: Report = {
        delivery,
        attempt: attemptOf(delivery, outcome, repeated && delivery.reason !== 'test'),
        decision,
        trouble: slowsDown(outcome.status, outcome.fault?.kind ?? null),
      };
      onReport(report);
      if (decision.kind !== 'repeat') return report;
    }
  }

  private post(delivery: Outgoing, recipient: Recipient): Promise<ExchangeOutcome> {
    const now = Date.now();
    const keys = keysAt(recipient, now) as readonly [SigningKey, ...SigningKey[]];
    const signed = signatureHeaders(
      { id: delivery.messageId, timestamp: Math.floor(now / 1_000), body: delivery.body },
      keys,
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
    const trace = childOf(delivery.traceparent);
    if (trace) headers.push('traceparent', trace);
    return this.exchange.post(recipient.destination, headers, delivery.body);
  }
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
