import { HttpException } from '@nestjs/common';
import { ApiError, type ErrorCode } from '@keyturn/contracts';
import { isUnavailable } from '@keyturn/platform/database';
import type { Failure } from '../surfaces/surface';

/** What the caller reads where the fault is ours: nothing of it (T-011). */
const internal: Failure = { code: 'INTERNAL_ERROR', message: 'Internal server error' };

/** Fastify's own refusals in words of ours; the rest of its 4xx say what they say. */
const refusals: Readonly<Record<string, Failure>> = {
  FST_ERR_BAD_URL: { code: 'VALIDATION_ERROR', message: 'The path has a malformed percent-encoding' },
  FST_ERR_MAX_PARAM_LENGTH: { code: 'NOT_FOUND', message: 'Resource not found or not in your Space' },
  FST_ERR_CTP_BODY_TOO_LARGE: { code: 'VALIDATION_ERROR', message: 'The body is larger than 1 MiB' },
  FST_ERR_CTP_INVALID_MEDIA_TYPE: { code: 'VALIDATION_ERROR', message: 'Content-Type must be application/json' },
  FST_ERR_CTP_INVALID_CONTENT_LENGTH: {
    code: 'VALIDATION_ERROR',
    message: 'The body is not as long as Content-Length says',
  },
};

const codeOf = (status: number): ErrorCode => {
  if (status === 401) return 'UNAUTHORIZED';
  if (status === 403) return 'FORBIDDEN';
  if (status === 404) return 'NOT_FOUND';
  if (status === 429) return 'RATE_LIMIT_EXCEEDED';
  return 'VALIDATION_ERROR';
};

/** Any thrown thing as a failure that a caller may see. */
export function failureOf(error: unknown): Failure {
  if (error instanceof ApiError) return fromApiError(error);
  if (isUnavailable(error))
    return { code: 'UNAVAILABLE', message: 'A part of the service cannot be reached', retryAfterSeconds: 1 };
  if (!(error instanceof Error)) return internal;
  if (error instanceof HttpException) {
    const status = error.getStatus();
    return status < 500 ? { code: codeOf(status), message: error.message } : internal;
  }
  const { code, statusCode } = error as Error & { code?: unknown; statusCode?: unknown };
  const refusal = typeof code === 'string' ? refusals[code] : undefined;
  if (refusal) return refusal;
  if (typeof statusCode === 'number' && statusCode >= 400 && statusCode < 500)
    return { code: codeOf(statusCode), message: error.message };
  return internal;
}

function fromApiError({ code, message, options }: ApiError): Failure {
  if (code === 'INTERNAL_ERROR') return internal;
  if (code === 'UNAVAILABLE')
    // Which part is down is our business; when to come back is the caller's.
    return {
      code,
      message: 'The service is not available at the moment',
      retryAfterSeconds: options.retryAfterSeconds ?? 1,
    };
  const { retryAfterSeconds } = options;
  return { code, message, ...(retryAfterSeconds === undefined ? {} : { retryAfterSeconds }) };
}
