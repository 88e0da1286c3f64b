import { Injectable } from '@nestjs/common';
import type { LoggedEvent, RequestOf } from '@keyturn/contracts';
import { RpcClient } from '@keyturn/platform/rpc';
import type { LogPage } from '@keyturn/webhook-store';

/** A page may hold hundreds of payloads of 100,000 bytes. */
const pageDeadlineMs = 10_000;

/** Pages of a Space's log, which data-service has. */
@Injectable()
export class LogReader {
  constructor(private readonly rpc: RpcClient) {}

  async page(request: RequestOf<'data.events'>): Promise<LogPage> {
    const { head, body } = await this.rpc.request('data.events', request, { deadlineMs: pageDeadlineMs });
    return { events: withPayloads(head.events, body), last: head.last, more: head.more };
  }
}

/** Events of the log with their payloads, which come one after the other. */
export function withPayloads(events: readonly LoggedEvent[], body: Uint8Array): LogPage['events'] {
  let at = 0;
  return events.map((event) => ({ ...event, payload: body.subarray(at, (at += event.bytes)) }));
}
