import { DatabaseError } from 'pg';

/**
 * What Postgres will not store, however often it is asked: data exceptions, violated constraints, limits of a row or an index
 * entry (SQLSTATE classes 22, 23, 54). Everything else says something about the server, the network or our own statements.
 */
export function isFaultOfData(error: unknown): error is DatabaseError {
  return error instanceof DatabaseError && /^(22|23|54)/.test(error.code ?? '');
}
