import type { ErrorCode } from '@keyturn/contracts';
import type { Surface } from '../surface';

/** T-120: what each of our codes is called on this surface. Conflicts arise only where an answer says so. */
const pairs: Readonly<Record<ErrorCode, readonly [status: number, code: string]>> = {
  UNAUTHORIZED: [401, 'UNAUTHORIZED'],
  FORBIDDEN: [403, 'FORBIDDEN'],
  NOT_FOUND: [404, 'NOT_FOUND'],
  VALIDATION_ERROR: [400, 'VALIDATION_ERROR'],
  CONFLICT: [409, 'CONFLICT'],
  RATE_LIMIT_EXCEEDED: [429, 'RATE_LIMIT_EXCEEDED'],
  UNAVAILABLE: [503, 'INTERNAL_ERROR'],
  INTERNAL_ERROR: [500, 'INTERNAL_ERROR'],
};

export const spaceApi: Surface = {
  name: 'v1',
  failure({ code, message }) {
    const [status, name] = pairs[code];
    return { status, body: `{"success":false,"error":{"code":"${name}","message":${JSON.stringify(message)}}}` };
  },
};
