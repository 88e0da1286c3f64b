import { Controller, Inject } from '@nestjs/common';
import { Payload } from '@nestjs/microservices';
import { validationError } from '@keyturn/contracts';
import { Database } from '@keyturn/platform/database';
import { Operation, reply, type RpcCall, type RpcReply } from '@keyturn/platform/rpc';
import { SETTINGS } from '@keyturn/platform/service';
import { acceptErased, eraseRecord, reseal, SecretBox, WebhookLedger } from '@keyturn/webhook-store';
import type { WebhookServiceSettings } from '../settings';
import { WebhookHints } from '../webhooks/webhook-hints';
import { LogReader, withPayloads } from './log-reader';
import { TakenIn } from './taken-in';

const pageSize = 1_000;
/** With payloads, which filters need. */
const fullPageSize = 200;

/** What operators ask of webhooks. */
@Controller()
export class WebhookOperationsController {
  constructor(
    private readonly database: Database,
    private readonly secrets: SecretBox,
    private readonly log: LogReader,
    private readonly takenIn: TakenIn,
    private readonly hints: WebhookHints,
    @Inject(SETTINGS) private readonly settings: WebhookServiceSettings,
  ) {}

  @Operation('admin.webhooks.audit')
  async audit(@Payload() { request }: RpcCall<'admin.webhooks.audit'>): Promise<RpcReply<'admin.webhooks.audit'>> {
    const { spaceId } = request;
    const since = this.sinceOf(request.since);
    // Asked before the deliveries are counted: what is taken in meanwhile has its deliveries.
    const ledger = await WebhookLedger.open(this.database, spaceId, await this.takenIn.position());
    const { payloads } = ledger;
    const limit = payloads ? fullPageSize : pageSize;
    let sequence = 0;
    for (let more = true; more;) {
      const page = await this.log.page({ spaceId, after: sequence, since, until: null, events: null, limit, payloads });
      await ledger.add(page);
      sequence = page.last;
      more = page.more;
    }
    return reply({ spaceId, since, sequence, balanced: ledger.balanced, webhooks: ledger.webhooks });
  }

  @Operation('admin.webhooks.reseal')
  async reseal(): Promise<RpcReply<'admin.webhooks.reseal'>> {
    return reply(await reseal(this.database, this.secrets));
  }

  /** Asked by data-service, whose log has the events: those that dispatchers may not have taken in yet come with it. */
  @Operation('webhooks.erase')
  async erase(@Payload() { request, body }: RpcCall<'webhooks.erase'>): Promise<RpcReply<'webhooks.erase'>> {
    const { spaceId, events } = request;
    const { inHands, ...done } = await eraseRecord(this.database, request);
    for (const endpointId of inHands) this.hints.giveBack(endpointId);
    const committed = withPayloads(events, body).map(({ traceparent, ...event }) => ({
      ...event,
      spaceId,
      ...(traceparent === null ? {} : { traceparent }),
    }));
    await acceptErased(this.database, committed, this.settings.retryScheduleMs.length + 1);
    return reply(done);
  }

  /** Older deliveries are forgotten, so nothing could be said of them. A day is kept whole. */
  private sinceOf(given: string | undefined): string {
    const kept = new Date(Date.now() - this.settings.retentionMs);
    const since = given === undefined ? kept : new Date(given);
    if (Number.isNaN(since.getTime())) throw validationError('since', 'since must be a moment, ISO 8601');
    return (since < kept ? kept : since).toISOString();
  }
}
