import { Injectable } from '@nestjs/common';
import type { FastifyReply } from 'fastify';
import {
  webhookDeeds,
  type ListDefinition,
  type RequestOf,
  type WebhookDeed,
  type WebhookOperation,
  type WebhookRequest,
} from '@keyturn/contracts';
import { CursorCodec, parseListQuery } from '@keyturn/list-query';
import { RpcClient, type RpcOptions, type RpcResult } from '@keyturn/platform/rpc';
import { Audit } from '../audit/audit';
import { respondWithList } from '../http/list-response';
import { queryOf } from '../http/query';
import { respond, respondUnstored } from '../http/respond';
import { principalOf, upstream } from '../http/upstream';
import { success } from '../surfaces/v1/envelope';

/** A test call and a handshake answer when their one request is over, and a receiver may take its whole time (T-091). */
const receiverDeadlineMs = 30_000;

type ListOperation = 'webhooks.list' | 'webhooks.deliveries' | 'webhooks.replay.list';
type RecordOperation = 'webhooks.get' | 'webhooks.delivery' | 'webhooks.replay.get';

/** What a path names; the names are those of the operations. */
export interface OneWebhook {
  readonly id: string;
}

/**
 * The webhooks of a Space. The gateway says who asks and what the reply looks like; webhook-service knows the rest. Each route is
 * a list, one record, or a deed: what a deed returns may hold a secret, so nobody on the way keeps it.
 */
@Injectable()
export class SpaceWebhooks {
  constructor(
    private readonly rpc: RpcClient,
    private readonly cursors: CursorCodec,
    private readonly audit: Audit,
  ) {}

  /** Cursors hold for the list that is named by `within` and no other. */
  async showList<N extends ListOperation>(
    reply: FastifyReply,
    operation: N,
    list: ListDefinition,
    of: Omit<WebhookRequest<N>, 'query'>,
    ...within: readonly string[]
  ): Promise<void> {
    const { request } = reply;
    const scope = [principalOf(request).spaceId, ...within];
    const query = parseListQuery(list, queryOf(request), { cursors: this.cursors, scope });
    const { head, body } = await this.ask(reply, operation, { ...of, query } as unknown as WebhookRequest<N>);
    await respondWithList(request, reply, { query, head, rows: body }, this.cursors, scope);
  }

  async showOne<N extends RecordOperation>(reply: FastifyReply, operation: N, path: WebhookRequest<N>): Promise<void> {
    const { head } = await this.ask(reply, operation, path);
    await respond(reply.request, reply, success(head));
  }

  async carryOut<N extends WebhookDeed>(
    reply: FastifyReply,
    operation: N,
    wanted: WebhookRequest<N>,
    status = 200,
  ): Promise<void> {
    const { head } = await this.ask(reply, operation, wanted, await this.patience(reply, wanted));
    const { spaceId, keyId } = principalOf(reply.request);
    const done = { action: webhookDeeds[operation], object: head.id };
    await this.audit.recordAfterwards(spaceId, { actor: `key:key_${keyId}`, ...done, address: reply.request.ip });
    respondUnstored(reply, success(head), status);
  }

  /** Changes nothing, so it is no deed. */
  async test(reply: FastifyReply, path: OneWebhook): Promise<void> {
    const { head } = await this.ask(reply, 'webhooks.test', path, { deadlineMs: receiverDeadlineMs });
    respondUnstored(reply, success(head));
  }

  /** The Space is the key's own, whatever `wanted` says. */
  private ask<N extends WebhookOperation>(
    { request }: FastifyReply,
    operation: N,
    wanted: WebhookRequest<N>,
    options: RpcOptions = {},
  ): Promise<RpcResult<N>> {
    const { spaceId } = principalOf(request);
    return this.rpc.request(operation, { ...wanted, spaceId } as RequestOf<N>, { ...upstream(request), ...options });
  }

  /**
   * A new URL may have to be consented to by its receiver. Only then is there more time than any answer has: nobody else shall
   * wait longer for a service that is down.
   */
  private async patience(reply: FastifyReply, { id, input }: { id?: string; input?: unknown }): Promise<RpcOptions> {
    const fields = (typeof input === 'object' && input !== null ? input : {}) as Record<string, unknown>;
    const handshake = fields['handshake'] === true;
    if (typeof fields['url'] !== 'string' && !handshake) return {};
    const { head } = await this.ask(reply, 'webhooks.consent', { ...(id === undefined ? {} : { id }), handshake });
    return head.asked ? { deadlineMs: receiverDeadlineMs } : {};
  }
}
