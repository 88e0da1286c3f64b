import { ApiError, unavailable } from '@keyturn/contracts';
import { DatabaseError } from 'pg';

/**
 * SQLSTATE classes and codes that say: the server is gone, going, or not there yet, or another transaction was in the way
 * (not: the statement is wrong).
 */
const unavailableStates = /^(08...|57P0[1-4]|53...|25006|40001|40P01|55P03)$/;
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

/** No answer within the time that was given for it: what the connection carries next would wait behind it. */
export const isSilence = (error: unknown): boolean => (error as DriverError)?.message === 'Query read timeout';

interface DriverError {
  code?: unknown;
  message?: unknown;
  errors?: unknown;
}

/** A failure of the moment rather than of the statement: worth trying again. */
export function isUnavailable(error: unknown): boolean {
  if (error instanceof ApiError) return error.code === 'UNAVAILABLE';
  const { code, message, errors } = (error ?? {}) as DriverError;
  if (Array.isArray(errors) && errors.length) return errors.every(isUnavailable);
  if (typeof code === 'string') return unavailableStates.test(code) || unavailableCodes.has(code);
  return typeof message === 'string' && driverMessages.test(message);
}

/** What TLS says of a server that is not the one it should be: OpenSSL's words for a chain, Node's for a name. */
const distrust =
  /^(SELF_SIGNED_CERT_IN_CHAIN|DEPTH_ZERO_SELF_SIGNED_CERT|UNABLE_TO_VERIFY_LEAF_SIGNATURE|UNABLE_TO_GET_ISSUER_CERT(_LOCALLY)?|CERT_HAS_EXPIRED|CERT_NOT_YET_VALID|CERT_SIGNATURE_FAILURE|ERR_TLS_CERT_ALTNAME_INVALID)$/;

/** The server's certificate is not trusted. Trying again is right: a certificate that was rotated may be back in a moment. */
export const isDistrusted = (error: unknown): boolean => distrust.test(String((error as DriverError)?.code));

/** A login or password that does not hold, or not yet: while it is rotated the server and the file change one after the other. */
const isRefusedLogin = (error: unknown): boolean => /^28/.test(String((error as DriverError)?.code));

/** The statement ran into `statement_timeout` (DESIGN §3: 5 s → 503). */
export const isStatementTimeout = (error: unknown): boolean =>
  error instanceof ApiError ? isStatementTimeout(error.cause) : (error as DriverError)?.code === '57014';

/**
 * Postgres has no partition for a row: one can be made, so it says nothing against the row. It shares its code with violated
 * checks, but they name their constraint.
 */
export const isMissingPartition = (error: unknown): boolean =>
  error instanceof DatabaseError && error.code === '23514' && error.constraint === undefined;

/**
 * What Postgres will not store, however often it is asked: data exceptions, violated constraints, limits of a row or an index
 * entry (SQLSTATE classes 22, 23, 54). Everything else says something about the server, the network or our own statements.
 */
export const isFaultOfData = (error: unknown): error is DatabaseError =>
  error instanceof DatabaseError && /^(22|23|54)/.test(error.code ?? '') && !isMissingPartition(error);

/** Postgres answered, and what is wrong is neither the connection nor the values. */
export const isFaultOfServer = (error: unknown): boolean => error instanceof DatabaseError && !isFaultOfData(error);

export function translate(error: unknown): unknown {
  if (error instanceof ApiError) return error;
  if (isRefusedLogin(error)) return unavailable('PostgreSQL refuses the login of DATABASE_URL', error);
  if (isDistrusted(error))
    return unavailable(
      `The certificate of PostgreSQL is not trusted (sslrootcert of DATABASE_URL): ${(error as Error).message}`,
      error,
    );
  if (isUnavailable(error)) return unavailable('The database cannot be reached', error);
  if (isStatementTimeout(error)) return unavailable('The query took too long', error);
  return error;
}
