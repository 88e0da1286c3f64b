/**
 * The error catalogue. A code is what our services say to one another; each surface decides the shape and the status its
 * callers see (X2). The Space API's own pairs are T-120.
 */
export const errorCodes = [
  'UNAUTHORIZED',
  'FORBIDDEN',
  'NOT_FOUND',
  'VALIDATION_ERROR',
  'CONFLICT',
  'RATE_LIMIT_EXCEEDED',
  'UNAVAILABLE',
  'INTERNAL_ERROR',
] as const;

export type ErrorCode = (typeof errorCodes)[number];

/** An expected failure with a text that its caller may read; anything else that is thrown is a fault of ours. */
export class ApiError extends Error {
  constructor(
    readonly code: ErrorCode,
    message: string,
    readonly options: { readonly field?: string; readonly retryAfterSeconds?: number; readonly cause?: unknown } = {},
  ) {
    super(message, { cause: options.cause });
    this.name = 'ApiError';
  }
}

export const validationError = (field: string, message: string) => new ApiError('VALIDATION_ERROR', message, { field });
export const notFound = (message = 'Resource not found or not in your Space') => new ApiError('NOT_FOUND', message);
/** A dependency does not answer: the caller may try again soon (DESIGN §5, health). */
export const unavailable = (message: string, cause?: unknown) =>
  new ApiError('UNAVAILABLE', message, { retryAfterSeconds: 1, cause });
