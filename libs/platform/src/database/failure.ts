import { ApiError, unavailable } from '@keyturn/contracts';

/** SQLSTATE classes and codes that say: the server is gone, going, or not there yet (not: the statement is wrong). */
const unavailableStates = /^(08...|57P0[1-4]|53...|25006)$/;
const unavailableCodes = new Set([
  'ECONNREFUSED',
  'ECONNRESET',
  'EPIPE',
  'ETIMEDOUT',
  'ENOTFOUND',
  'EAI_AGAIN',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'ENOENT',
]);
/** The driver reports these without any code. */
const driverMessages =
  /Connection terminated|timeout exceeded when trying to connect|Client has encountered a connection error|not queryable|Query read timeout/;

interface DriverError {
  code?: unknown;
  message?: unknown;
  errors?: unknown;
}

/** A failure of the connection rather than of the statement: worth trying again when Postgres is back. */
export function isUnavailable(error: unknown): boolean {
  if (error instanceof ApiError) return error.code === 'UNAVAILABLE';
  const { code, message, errors } = (error ?? {}) as DriverError;
  if (Array.isArray(errors) && errors.length) return errors.every(isUnavailable);
  if (typeof code === 'string') return unavailableStates.test(code) || unavailableCodes.has(code);
  return typeof message === 'string' && driverMessages.test(message);
}

/** The statement ran into `statement_timeout` (DESIGN §3: 5 s → 503). */
export const isStatementTimeout = (error: unknown): boolean => (error as DriverError)?.code === '57014';

export function translate(error: unknown): unknown {
  if (error instanceof ApiError) return error;
  if (isUnavailable(error)) return unavailable('The database cannot be reached', error);
  if (isStatementTimeout(error)) return unavailable('The query took too long', error);
  return error;
}
