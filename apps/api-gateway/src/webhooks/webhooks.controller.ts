import { Body, Controller, Delete, Get, Param, Patch, Post, Req, Res } from '@nestjs/common';
import type { FastifyReply, FastifyRequest } from 'fastify';
import {
  deliveryList,
  replayList,
  webhookDeeds,
  webhookList,
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
interface OneWebhook {
  readonly id: string;
}
interface OneDelivery extends OneWebhook {
  readonly deliveryId: string;
}
interface OneReplay extends OneWebhook {
  readonly replayId: string;
}

/**
 * The webhooks of a Space. The gateway says who asks and what the reply looks like; webhook-service knows the rest. Each route is
 * a list, one record, or a deed: what a deed returns may hold a secret, so nobody on the way keeps it.
 */
@Controller('api/v1/webhooks')
export class WebhooksController {
  constructor(
    private readonly rpc: RpcClient,
    private readonly cursors: CursorCodec,
    private readonly audit: Audit,
  ) {}

  @Get()
  async list(@Req() request: FastifyRequest, @Res() reply: FastifyReply): Promise<void> {
    await this.showList(request, reply, 'webhooks.list', webhookList, {}, ['webhooks']);
  }

  @Post()
  async create(@Req() request: FastifyRequest, @Res() reply: FastifyReply, @Body() body: unknown): Promise<void> {
    const key = request.headers['idempotency-key'];
    const wanted = { input: body ?? null, ...(typeof key === 'string' ? { idempotencyKey: key } : {}) };
    await this.carryOut(request, reply, 'webhooks.create', wanted, 201, await this.patience(request, body));
  }

  @Get(':id')
  async get(@Req() request: FastifyRequest, @Res() reply: FastifyReply, @Param() path: OneWebhook): Promise<void> {
    await this.showOne(request, reply, 'webhooks.get', path);
  }

  @Patch(':id')
  async update(
    @Req() request: FastifyRequest,
    @Res() reply: FastifyReply,
    @Param() path: OneWebhook,
    @Body() body: unknown,
  ): Promise<void> {
    // No body changes nothing (T-088).
    const wanted = { ...path, input: body === undefined ? {} : body };
    await this.carryOut(request, reply, 'webhooks.update', wanted, 200, await this.patience(request, body, path));
  }

  @Delete(':id')
  async delete(@Req() request: FastifyRequest, @Res() reply: FastifyReply, @Param() path: OneWebhook): Promise<void> {
    await this.carryOut(request, reply, 'webhooks.delete', path);
  }

  @Post(':id/pause')
  async pause(@Req() request: FastifyRequest, @Res() reply: FastifyReply, @Param() path: OneWebhook): Promise<void> {
    await this.carryOut(request, reply, 'webhooks.pause', path);
  }

  @Post(':id/resume')
  async resume(@Req() request: FastifyRequest, @Res() reply: FastifyReply, @Param() path: OneWebhook): Promise<void> {
    await this.carryOut(request, reply, 'webhooks.resume', path);
  }

  @Post(':id/rotate')
  async rotate(
    @Req() request: FastifyRequest,
    @Res() reply: FastifyReply,
    @Param() path: OneWebhook,
    @Body() body: unknown,
  ): Promise<void> {
    await this.carryOut(request, reply, 'webhooks.rotate', { ...path, input: body === undefined ? {} : body });
  }

  @Post(':id/test')
  async test(@Req() request: FastifyRequest, @Res() reply: FastifyReply, @Param() path: OneWebhook): Promise<void> {
    const { head } = await this.ask(request, 'webhooks.test', path, { deadlineMs: receiverDeadlineMs });
    respondUnstored(reply, success(head));
  }

  @Get(':id/deliveries')
  async deliveries(
    @Req() request: FastifyRequest,
    @Res() reply: FastifyReply,
    @Param() path: OneWebhook,
  ): Promise<void> {
    await this.showList(request, reply, 'webhooks.deliveries', deliveryList, path, ['deliveries', path.id]);
  }

  @Get(':id/deliveries/:deliveryId')
  async delivery(
    @Req() request: FastifyRequest,
    @Res() reply: FastifyReply,
    @Param() path: OneDelivery,
  ): Promise<void> {
    await this.showOne(request, reply, 'webhooks.delivery', path);
  }

  @Post(':id/deliveries/:deliveryId/resend')
  async resend(@Req() request: FastifyRequest, @Res() reply: FastifyReply, @Param() path: OneDelivery): Promise<void> {
    await this.carryOut(request, reply, 'webhooks.resend', path);
  }

  @Post(':id/replays')
  async replay(
    @Req() request: FastifyRequest,
    @Res() reply: FastifyReply,
    @Param() path: OneWebhook,
    @Body() body: unknown,
  ): Promise<void> {
    const wanted = { ...path, input: body ?? null };
    await this.carryOut(
      request,
      reply,
      'webhooks.replay.create',
      wanted,
      201,
      await this.patience(request, body, path),
    );
  }

  @Get(':id/replays')
  async replays(@Req() request: FastifyRequest, @Res() reply: FastifyReply, @Param() path: OneWebhook): Promise<void> {
    await this.showList(request, reply, 'webhooks.replay.list', replayList, path, ['replays', path.id]);
  }

  @Get(':id/replays/:replayId')
  async getReplay(@Req() request: FastifyRequest, @Res() reply: FastifyReply, @Param() path: OneReplay): Promise<void> {
    await this.showOne(request, reply, 'webhooks.replay.get', path);
  }

  @Post(':id/replays/:replayId/cancel')
  async cancelReplay(
    @Req() request: FastifyRequest,
    @Res() reply: FastifyReply,
    @Param() path: OneReplay,
  ): Promise<void> {
    await this.carryOut(request, reply, 'webhooks.replay.cancel', path);
  }

  /** The Space is the key's own, whatever `wanted` says. */
  private ask<N extends WebhookOperation>(
    request: FastifyRequest,
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
  private async patience(request: FastifyRequest, body: unknown, path?: OneWebhook): Promise<RpcOptions> {
    const wanted = (typeof body === 'object' && body !== null ? body : {}) as Record<string, unknown>;
    const handshake = wanted['handshake'] === true;
    if (typeof wanted['url'] !== 'string' && !handshake) return {};
    const { head } = await this.ask(request, 'webhooks.consent', { ...path, handshake });
    return head.asked ? { deadlineMs: receiverDeadlineMs } : {};
  }

  private async showList<N extends ListOperation>(
    request: FastifyRequest,
    reply: FastifyReply,
    operation: N,
    list: ListDefinition,
    of: Omit<WebhookRequest<N>, 'query'>,
    within: readonly string[],
  ): Promise<void> {
    const scope = [principalOf(request).spaceId, ...within];
    const query = parseListQuery(list, queryOf(request), { cursors: this.cursors, scope });
    const { head, body } = await this.ask(request, operation, { ...of, query } as unknown as WebhookRequest<N>);
    await respondWithList(request, reply, { query, head, rows: body }, this.cursors, scope);
  }

  private async showOne<N extends RecordOperation>(
    request: FastifyRequest,
    reply: FastifyReply,
    operation: N,
    path: WebhookRequest<N>,
  ): Promise<void> {
    const { head } = await this.ask(request, operation, path);
    await respond(request, reply, success(head));
  }

  private async carryOut<N extends WebhookDeed>(
    request: FastifyRequest,
    reply: FastifyReply,
    operation: N,
    wanted: WebhookRequest<N>,
    status = 200,
    options: RpcOptions = {},
  ): Promise<void> {
    const { head } = await this.ask(request, operation, wanted, options);
    const { spaceId, keyId } = principalOf(request);
    const done = { action: webhookDeeds[operation], object: head.id };
    await this.audit.recordAfterwards(spaceId, { actor: `key:key_${keyId}`, ...done, address: request.ip });
    respondUnstored(reply, success(head), status);
  }
}
