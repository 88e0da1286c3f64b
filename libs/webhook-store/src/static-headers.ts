/** Owners' own headers, sent with each delivery. What HTTP, the connection or our signature says is not theirs to say. */
export const maxStaticHeaders = 20;
export const maxStaticHeaderBytes = 4_096;

const token = /^[!#$%&'*+.^_`|~0-9A-Za-z-]{1,100}$/;
/** Visible ASCII, blanks within. */
const fieldValue = /^[\x21-\x7e](?:[\x20-\x7e]*[\x21-\x7e])?$/;

const reserved = new Set([
  'accept-encoding',
  'connection',
  'content-encoding',
  'content-length',
  'content-type',
  'cookie',
  'date',
  'expect',
  'forwarded',
  'host',
  'http2-settings',
  'keep-alive',
  'origin',
  'te',
  'traceparent',
  'tracestate',
  'trailer',
  'transfer-encoding',
  'upgrade',
  'user-agent',
  'via',
]);
const reservedPrefixes = ['webhook-', 'x-webhook-', 'proxy-', 'sec-', 'x-forwarded-'];

/** What is wrong with a header's name, in words that fit behind it; undefined when it may be sent. */
export function headerNameProblem(name: string): string | undefined {
  if (!token.test(name)) return 'is not the name of a header';
  const lower = name.toLowerCase();
  return reserved.has(lower) || reservedPrefixes.some((prefix) => lower.startsWith(prefix)) ? 'is reserved' : undefined;
}

export function headerValueProblem(value: unknown): string | undefined {
  return typeof value === 'string' && fieldValue.test(value) && value.length <= 1_000
    ? undefined
    : 'must be 1 to 1,000 characters of visible ASCII';
}
