import { Controller, Get, Req, Res } from '@nestjs/common';
import type { FastifyReply, FastifyRequest } from 'fastify';
import type { ReplyOf } from '@keyturn/contracts';
import { CursorCodec } from '@keyturn/list-query';
import { RpcClient } from '@keyturn/platform/rpc';
import { Drain } from '@keyturn/platform/service';
import { queryOf } from '../http/query';
import { respond } from '../http/respond';
import { principalOf, upstream } from '../http/upstream';
import { walk } from '../surfaces/v1/envelope';
import { feedCursor, parseFeedQuery, type FeedQuery } from './feed-query';
import { Published } from './published';

/** Between two looks of one long poll: a Space may be busy with events that nobody asked for. */
const pauseMs = 100;

interface Look {
  readonly head: ReplyOf<'data.events'>;
  readonly body: Uint8Array;
}

/**
 * `GET /api/v1/events`: the Space's events in one order without gaps, the same ids and payloads as the webhooks. A look never
 * passes an event that commits later: it ends at the Space's sequence, which is commit order.
 */
@Controller('api/v1/events')
export class FeedController {
  constructor(
    private readonly rpc: RpcClient,
    private readonly published: Published,
    private readonly cursors: CursorCodec,
    private readonly drain: Drain,
  ) {}

  @Get()
  async feed(@Req() request: FastifyRequest, @Res() reply: FastifyReply): Promise<void> {
    const { spaceId } = principalOf(request);
    const query = parseFeedQuery(queryOf(request), this.cursors, spaceId);
    const { head, body } = query.waitMs
      ? await this.poll(request, spaceId, query)
      : await this.look(spaceId, query, upstream(request));
    const nextCursor = feedCursor(this.cursors, spaceId, head.last);
    // Unlike the end of a list, the end of the feed has a cursor: from there the next look goes on.
    await respond(
      request,
      reply,
      walk(rowsOf(head.events, body), { pageSize: query.pageSize, nextCursor, hasMore: head.more }),
    );
  }

  private look(spaceId: string, query: FeedQuery, options: ReturnType<typeof upstream>): Promise<Look> {
    const { after, types: events, pageSize: limit } = query;
    const wanted = { spaceId, after, since: null, until: null, events, limit, payloads: true };
    return this.rpc.request('data.events', wanted, options);
  }

  /**
   * Looks again whenever the Space has published something, until there is an event, the wait is over, or nobody waits; each time
   * from where the look before has come to.
   */
  private async poll(request: FastifyRequest, spaceId: string, query: FeedQuery): Promise<Look> {
    let { after } = query;
    const until = performance.now() + query.waitMs;
    let wake: () => void = () => undefined;
    // Heard before the first look, so that nothing falls between the two.
    const stop = this.published.hear(spaceId, () => wake());
    request.raw.once('close', () => wake());
    try {
      for (;;) {
        let woken: NodeJS.Timeout | undefined;
        const published = new Promise<void>((resolve) => (wake = resolve));
        // Each look has a time of its own: the request's was spent on waiting.
        const { requestId, traceparent } = upstream(request);
        const found = await this.look(spaceId, { ...query, after }, { requestId, traceparent });
        const left = until - performance.now();
        if (found.head.events.length || left <= 0 || this.drain.draining || request.raw.socket.destroyed) return found;
        after = found.head.last;
        if (found.head.more) continue;
        const over = new Promise<void>((resolve) => (woken = setTimeout(resolve, Math.min(left, 1_000))));
        await Promise.race([published, over]);
        clearTimeout(woken);
        await new Promise((resolve) => setTimeout(resolve, Math.min(pauseMs, Math.max(0, until - performance.now()))));
      }
    } finally {
      stop();
    }
  }
}

const comma = Buffer.from(',');
const close = Buffer.from('}');

/** Each event around the very bytes that its webhooks carry. */
function rowsOf(events: ReplyOf<'data.events'>['events'], payloads: Uint8Array): Buffer {
  const parts: Uint8Array[] = [];
  let at = 0;
  for (const { id, sequence, committedAt, changed, bytes } of events) {
    if (parts.length) parts.push(comma);
    const head = JSON.stringify({ id, sequence, committedAt, changed }).slice(0, -1);
    parts.push(Buffer.from(`${head},"payload":`), payloads.subarray(at, at + bytes), close);
    at += bytes;
  }
  return Buffer.concat(parts);
}
