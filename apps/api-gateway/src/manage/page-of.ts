import { validationError } from '@keyturn/contracts';
import { defaultPageSize, maxPageSize } from '@keyturn/list-query';

/** `page` and `pageSize` as on the Space API (T-066, T-067), for the lists of the management plane. */
export function pageOf(query: URLSearchParams): { page: number; pageSize: number } {
  for (const name of query.keys())
    if (name !== 'page' && name !== 'pageSize') throw validationError(name, 'Only page and pageSize are allowed here');
  return {
    page: positive('page', query.get('page') ?? '1'),
    pageSize: Math.min(maxPageSize, positive('pageSize', query.get('pageSize') ?? `${defaultPageSize}`)),
  };
}

function positive(name: string, text: string): number {
  if (!/^[1-9]\d{0,8}$/.test(text)) throw validationError(name, `${name} must be a whole number from 1`);
  return Number(text);
}
