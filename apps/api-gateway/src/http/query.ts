import type { FastifyRequest } from 'fastify';
import { validationError } from '@keyturn/contracts';

/** The query as names and values, in the order given. Bytes that are no text are a 400, not a guess. */
export function queryOf(request: FastifyRequest): URLSearchParams {
  const query = rawQuery(request.raw.url ?? '');
  if (query.includes('%')) {
    try {
      decodeURIComponent(query);
    } catch (error) {
      if (!(error instanceof URIError)) throw error;
      throw validationError('query', 'The query has a malformed percent-encoding');
    }
  }
  return new URLSearchParams(query);
}

/** The request's own address with one parameter changed, as a relative reference for a `Link` header. */
export function withParameter(request: FastifyRequest, name: string, value: string): string {
  // Parsed and written anew, so that nothing in it can end the header's `<…>`.
  const { pathname, searchParams } = new URL(request.raw.url ?? '/', 'http://localhost');
  searchParams.set(name, value);
  return `${pathname}?${searchParams}`;
}

function rawQuery(url: string): string {
  const start = url.indexOf('?');
  return start === -1 ? '' : url.slice(start + 1);
}
