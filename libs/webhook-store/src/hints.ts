/**
 * Words between webhook-service and the dispatchers, without an answer and without a promise: what they say stands in the
 * database too, a hint only makes it known sooner.
 */
export const hintSubject = 'hint.webhooks';

export interface WebhookHint {
  /** The number of `wh_<n>` whose settings or state have changed, or for which something has become due. */
  readonly endpointId: string;
  /** Whoever has deliveries of it in its hands gives them back: some of them are to end. */
  readonly giveBack?: boolean;
}

export const encodeHint = (hint: WebhookHint): Uint8Array => Buffer.from(JSON.stringify(hint), 'utf8');

/** Undefined for anything else that arrives on the subject. */
export function decodeHint(bytes: Uint8Array): WebhookHint | undefined {
  try {
    const hint: unknown = JSON.parse(Buffer.from(bytes).toString('utf8'));
    if (typeof hint !== 'object' || hint === null || !('endpointId' in hint)) return undefined;
    if (typeof hint.endpointId !== 'string' || !/^\d{1,18}$/.test(hint.endpointId)) return undefined;
    return { endpointId: hint.endpointId, ...('giveBack' in hint && hint.giveBack === true ? { giveBack: true } : {}) };
  } catch {
    return undefined;
  }
}
