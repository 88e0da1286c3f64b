const open = Buffer.from('{"success":true,"data":');
const openList = Buffer.from('{"success":true,"data":[');
const close = Buffer.from('}');

/** A success around bytes that are JSON already: they are copied, never parsed (DESIGN §3). */
export function detail(json: Uint8Array): Buffer {
  return Buffer.concat([open, json, close]);
}

/** A success around a value of ours. */
export function success(data: unknown): Buffer {
  return Buffer.from(`{"success":true,"data":${JSON.stringify(data)}}`);
}

/** A numbered page: exactly these four keys (T-068). */
export function page(rows: Uint8Array, at: { page: number; pageSize: number; total: number }): Buffer {
  const totalPages = Math.ceil(at.total / at.pageSize);
  return list(rows, `{"page":${at.page},"pageSize":${at.pageSize},"total":${at.total},"totalPages":${totalPages}}`);
}

/** A step of a cursor walk (DESIGN §3). A walk that has ended has no cursor, unless it is one that new rows continue. */
export function walk(
  rows: Uint8Array,
  {
    pageSize,
    nextCursor,
    hasMore = nextCursor !== null,
  }: { pageSize: number; nextCursor: string | null; hasMore?: boolean },
): Buffer {
  return list(rows, `{"pageSize":${pageSize},"nextCursor":${JSON.stringify(nextCursor)},"hasMore":${hasMore}}`);
}

function list(rows: Uint8Array, pagination: string): Buffer {
  return Buffer.concat([openList, rows, Buffer.from(`],"pagination":${pagination}}`)]);
}
