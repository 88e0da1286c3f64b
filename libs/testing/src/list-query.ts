import type { ListQuery } from '@keyturn/contracts';

/** What a list is asked by a request without parameters, and what the test asks beside it. */
export const listQuery = (change: Partial<ListQuery> = {}): ListQuery => ({
  filters: [],
  search: [],
  sort: 'id',
  order: 'asc',
  pageSize: 25,
  window: { page: 1 },
  fields: null,
  ...change,
});
