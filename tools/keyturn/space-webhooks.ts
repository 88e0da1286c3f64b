import {
  ApiError,
  webhookDeeds,
  type ListDefinition,
  type ReplyOf,
  type RequestOf,
  type WebhookDeed,
  type WebhookOperation,
  type WebhookRequest,
} from '@keyturn/contracts';
import { parseListQuery } from '@keyturn/list-query';
import type { Cluster } from './cluster';
import { type Call, type Flag, given, type Outcome, required, wholeNumber } from './command';

type ListOperation = 'webhooks.list' | 'webhooks.deliveries' | 'webhooks.replay.list';

export const ofSpace = {
  space: { value: 'SLUG', required: true, description: 'the Space' },
} as const satisfies Record<string, Flag>;

export const ofWebhook = {
  ...ofSpace,
  webhook: { value: 'ID', required: true, description: 'the webhook, such as wh_42' },
} as const satisfies Record<string, Flag>;

export const ofList = {
  limit: { value: '25', field: 'pageSize', description: 'how many at most, up to 100' },
  cursor: { value: 'CURSOR', description: 'goes on where the answer with this "nextCursor" ended' },
} as const satisfies Record<string, Flag>;

/**
 * The webhooks of one Space. The operations are those of its owner's HTTP routes, asked of webhook-service itself; what they change
 * stands in the Space's audit log as done by an operator.
 */
export class SpaceWebhooks {
  private constructor(
    private readonly cluster: Cluster,
    private readonly spaceId: string,
    private readonly slug: string,
  ) {}

  static async of({ cluster, flags }: Call): Promise<SpaceWebhooks> {
    const running = await cluster();
    const { id, slug } = await running.space(required(flags, 'space'));
    return new SpaceWebhooks(running, id, slug);
  }

  async ask<N extends WebhookOperation>(
    operation: N,
    wanted: WebhookRequest<N>,
    deadlineMs?: number,
  ): Promise<ReplyOf<N>> {
    return (await this.askWhole(operation, wanted, deadlineMs)).head;
  }

  /** An answer that could not be entered in the log is given all the same: it may hold a secret that is shown this once. */
  async carryOut<N extends WebhookDeed>(
    operation: N,
    wanted: WebhookRequest<N>,
    show: (reply: ReplyOf<N>) => string,
  ): Promise<Outcome> {
    const reply = await this.ask(operation, wanted);
    const outcome = { json: reply, text: show(reply) };
    try {
      await this.cluster.ask('admin.webhooks.deed', { spaceId: this.spaceId, operation, object: reply.id });
      return outcome;
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      const message = `${webhookDeeds[operation]} is done, but not entered in the audit log: ${error.message}`;
      return { ...outcome, alarm: { code: 'NOT_LOGGED', message } };
    }
  }

  /** One page, and the cursor of the next; null at the end. */
  async list<N extends ListOperation, Row>(
    operation: N,
    list: ListDefinition,
    of: Omit<WebhookRequest<N>, 'query'>,
    flags: Call['flags'],
    filters: Readonly<Record<string, string | undefined>> = {},
  ): Promise<{ rows: Row[]; nextCursor: string | null }> {
    const limit = wholeNumber(flags, 'limit', 1, 100) ?? 25;
    const parameters = { ...given(filters), cursor: flags['cursor'] ?? '', pageSize: `${limit}` };
    const cursors = this.cluster.cursors();
    const scope = [this.spaceId, operation, JSON.stringify(of)];
    const query = parseListQuery(list, Object.entries<string>(parameters), { cursors, scope });
    const { head, body } = await this.askWhole(operation, { ...of, query } as unknown as WebhookRequest<N>);
    return {
      rows: JSON.parse(`[${Buffer.from(body).toString('utf8')}]`) as Row[],
      nextCursor: head.next ? cursors.encode(scope, query, head.next) : null,
    };
  }

  private async askWhole<N extends WebhookOperation>(operation: N, wanted: WebhookRequest<N>, deadlineMs?: number) {
    try {
      return await this.cluster.askWhole(
        operation,
        { ...wanted, spaceId: this.spaceId } as RequestOf<N>,
        ...(deadlineMs === undefined ? [] : [deadlineMs]),
      );
    } catch (error) {
      if (error instanceof ApiError && error.code === 'NOT_FOUND') throw this.missing(wanted);
      throw error;
    }
  }

  private missing({ id, deliveryId, replayId }: { id?: string; deliveryId?: string; replayId?: string }): ApiError {
    const part = deliveryId ?? replayId;
    const named = part === undefined ? `webhook "${id}"` : `"${part}" of webhook "${id}"`;
    return new ApiError('NOT_FOUND', `There is no ${named} in the Space "${this.slug}"`);
  }
}

/** What ends a table that goes on. */
export const andMore = (nextCursor: string | null): string =>
  nextCursor === null ? '' : `\n\nThere are more: --cursor ${nextCursor}`;
