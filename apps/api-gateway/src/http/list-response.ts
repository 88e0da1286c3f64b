import type { FastifyReply, FastifyRequest } from 'fastify';
import type { ListQuery, ListReply } from '@keyturn/contracts';
import type { CursorCodec, CursorScope } from '@keyturn/list-query';
import { page, walk } from '../surfaces/v1/envelope';
import { withParameter } from './query';
import { respond } from './respond';

export interface ListAnswer {
  readonly query: ListQuery;
  readonly head: ListReply;
  /** The rows' JSON, joined by commas. */
  readonly rows: Uint8Array;
}

/** A list in the envelope of its kind, with a link to what comes next (DESIGN §3). */
export function respondWithList(
  request: FastifyRequest,
  reply: FastifyReply,
  answer: ListAnswer,
  cursors: CursorCodec,
  scope: CursorScope,
): Promise<void> {
  const { query, head, rows } = answer;
  const { pageSize, window } = query;
  if ('page' in window) {
    const total = head.total ?? 0;
    if (window.page * pageSize < total) linkNext(request, reply, 'page', `${window.page + 1}`);
    return respond(request, reply, page(rows, { page: window.page, pageSize, total }));
  }
  const nextCursor = head.next ? cursors.encode(scope, query, head.next) : null;
  if (nextCursor !== null) linkNext(request, reply, 'cursor', nextCursor);
  return respond(request, reply, walk(rows, { pageSize, nextCursor }));
}

function linkNext(request: FastifyRequest, reply: FastifyReply, name: string, value: string): void {
  void reply.header('link', `<${withParameter(request, name, value)}>; rel="next"`);
}
