import type { FastifyReply } from 'fastify';
import { quotaWindowSeconds, type Quota } from '../access/quota';

/** On every response: JSON is never a page, a frame or a script, and the address of a request goes nowhere else. */
export const securityHeaders = {
  'x-content-type-options': 'nosniff',
  'x-frame-options': 'DENY',
  'referrer-policy': 'no-referrer',
  'content-security-policy': "default-src 'none'; frame-ancestors 'none'",
} as const;

export const jsonType = 'application/json; charset=utf-8';

/** The seed's two headers (T-041), and the same in the fields of the IETF's draft (httpapi-ratelimit-headers-10). */
export function quotaHeaders({ policy, limit, remaining, resetSeconds }: Quota): Record<string, string> {
  return {
    'x-ratelimit-limit': `${limit}`,
    'x-ratelimit-remaining': `${remaining}`,
    'ratelimit-policy': `"${policy}";q=${limit};w=${quotaWindowSeconds}`,
    ratelimit: `"${policy}";r=${remaining};t=${resetSeconds}`,
  };
}

export function showQuota(reply: FastifyReply, quota: Quota): void {
  void reply.headers(quotaHeaders(quota));
}
