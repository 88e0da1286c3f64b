import { Body, Controller, Delete, Get, Param, Patch, Post, Req, Res } from '@nestjs/common';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { deliveryList, replayList, webhookList } from '@keyturn/contracts';
import { CursorCodec, parseListQuery } from '@keyturn/list-query';
import { RpcClient } from '@keyturn/platform/rpc';
import { Audit } from '../audit/audit';
import { respondWithList } from '../http/list-response';
import { queryOf } from '../http/query';
import { respond, respondUnstored } from '../http/respond';
import { principalOf, upstream } from '../http/upstream';
import { success } from '../surfaces/v1/envelope';

/** A test call answers when its one attempt is over, and a receiver may take its whole time (T-091). */
const testDeadlineMs = 30_000;

/**
 * The webhooks of a Space. The gateway says who asks and what the reply looks like; webhook-service knows the rest. What a
 * write returns may hold a secret, so nobody on the way keeps it.
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
    const { spaceId } = principalOf(request);
    const scope = [spaceId, 'webhooks'];
    const query = parseListQuery(webhookList, queryOf(request), { cursors: this.cursors, scope });
    const { head, body } = await this.rpc.request('webhooks.list', { spaceId, query }, upstream(request));
    await respondWithList(request, reply, { query, head, rows: body }, this.cursors, scope);
  }

  @Post()
  async create(@Req() request: FastifyRequest, @Res() reply: FastifyReply, @Body() body: unknown): Promise<void> {
    const { spaceId } = principalOf(request);
    const key = request.headers['idempotency-key'];
    const wanted = { spaceId, input: body ?? null, ...(typeof key === 'string' ? { idempotencyKey: key } : {}) };
    const { head } = await this.rpc.request('webhooks.create', wanted, upstream(request));
    await this.record(request, 'webhook.created', head.id);
    respondUnstored(reply, success(head), 201);
  }

  @Get(':id')
  async get(@Req() request: FastifyRequest, @Res() reply: FastifyReply, @Param('id') id: string): Promise<void> {
    const { spaceId } = principalOf(request);
    const { head } = await this.rpc.request('webhooks.get', { spaceId, id }, upstream(request));
    await respond(request, reply, success(head));
  }

  @Patch(':id')
  async update(
    @Req() request: FastifyRequest,
    @Res() reply: FastifyReply,
    @Param('id') id: string,
    @Body() body: unknown,
  ): Promise<void> {
    const { spaceId } = principalOf(request);
    // No body changes nothing (T-088).
    const input = body === undefined ? {} : body;
    const { head } = await this.rpc.request('webhooks.update', { spaceId, id, input }, upstream(request));
    await this.record(request, 'webhook.updated', head.id);
    respondUnstored(reply, success(head));
  }

  @Delete(':id')
  async delete(@Req() request: FastifyRequest, @Res() reply: FastifyReply, @Param('id') id: string): Promise<void> {
    const { spaceId } = principalOf(request);
    const { head } = await this.rpc.request('webhooks.delete', { spaceId, id }, upstream(request));
    await this.record(request, 'webhook.deleted', head.id);
    respondUnstored(reply, success(head));
  }

  @Post(':id/pause')
  async pause(@Req() request: FastifyRequest, @Res() reply: FastifyReply, @Param('id') id: string): Promise<void> {
    const { spaceId } = principalOf(request);
    const { head } = await this.rpc.request('webhooks.pause', { spaceId, id }, upstream(request));
    await this.record(request, 'webhook.paused', head.id);
    respondUnstored(reply, success(head));
  }

  @Post(':id/resume')
  async resume(@Req() request: FastifyRequest, @Res() reply: FastifyReply, @Param('id') id: string): Promise<void> {
    const { spaceId } = principalOf(request);
    const { head } = await this.rpc.request('webhooks.resume', { spaceId, id }, upstream(request));
    await this.record(request, 'webhook.resumed', head.id);
    respondUnstored(reply, success(head));
  }

  @Post(':id/rotate')
  async rotate(
    @Req() request: FastifyRequest,
    @Res() reply: FastifyReply,
    @Param('id') id: string,
    @Body() body: unknown,
  ): Promise<void> {
    const { spaceId } = principalOf(request);
    const input = body === undefined ? {} : body;
    const { head } = await this.rpc.request('webhooks.rotate', { spaceId, id, input }, upstream(request));
    await this.record(request, 'webhook.rotated', head.id);
    respondUnstored(reply, success(head));
  }

  @Post(':id/test')
  async test(@Req() request: FastifyRequest, @Res() reply: FastifyReply, @Param('id') id: string): Promise<void> {
    const { spaceId } = principalOf(request);
    const options = { ...upstream(request), deadlineMs: testDeadlineMs };
    const { head } = await this.rpc.request('webhooks.test', { spaceId, id }, options);
    respondUnstored(reply, success(head));
  }

  @Get(':id/deliveries')
  async deliveries(@Req() request: FastifyRequest, @Res() reply: FastifyReply, @Param('id') id: string): Promise<void> {
    const { spaceId } = principalOf(request);
    const scope = [spaceId, 'deliveries', id];
    const query = parseListQuery(deliveryList, queryOf(request), { cursors: this.cursors, scope });
    const { head, body } = await this.rpc.request('webhooks.deliveries', { spaceId, id, query }, upstream(request));
    await respondWithList(request, reply, { query, head, rows: body }, this.cursors, scope);
  }

  @Get(':id/deliveries/:deliveryId')
  async delivery(
    @Req() request: FastifyRequest,
    @Res() reply: FastifyReply,
    @Param('id') id: string,
    @Param('deliveryId') deliveryId: string,
  ): Promise<void> {
    const { spaceId } = principalOf(request);
    const { head } = await this.rpc.request('webhooks.delivery', { spaceId, id, deliveryId }, upstream(request));
    await respond(request, reply, success(head));
  }

  @Post(':id/deliveries/:deliveryId/resend')
  async resend(
    @Req() request: FastifyRequest,
    @Res() reply: FastifyReply,
    @Param('id') id: string,
    @Param('deliveryId') deliveryId: string,
  ): Promise<void> {
    const { spaceId } = principalOf(request);
    const { head } = await this.rpc.request('webhooks.resend', { spaceId, id, deliveryId }, upstream(request));
    await this.record(request, 'delivery.resent', head.id);
    respondUnstored(reply, success(head));
  }

  @Post(':id/replays')
  async replay(
    @Req() request: FastifyRequest,
    @Res() reply: FastifyReply,
    @Param('id') id: string,
    @Body() body: unknown,
  ): Promise<void> {
    const { spaceId } = principalOf(request);
    const wanted = { spaceId, id, input: body ?? null };
    const { head } = await this.rpc.request('webhooks.replay.create', wanted, upstream(request));
    await this.record(request, 'replay.created', head.id);
    respondUnstored(reply, success(head), 201);
  }

  @Get(':id/replays')
  async replays(@Req() request: FastifyRequest, @Res() reply: FastifyReply, @Param('id') id: string): Promise<void> {
    const { spaceId } = principalOf(request);
    const scope = [spaceId, 'replays', id];
    const query = parseListQuery(replayList, queryOf(request), { cursors: this.cursors, scope });
    const { head, body } = await this.rpc.request('webhooks.replay.list', { spaceId, id, query }, upstream(request));
    await respondWithList(request, reply, { query, head, rows: body }, this.cursors, scope);
  }

  @Get(':id/replays/:replayId')
  async getReplay(
    @Req() request: FastifyRequest,
    @Res() reply: FastifyReply,
    @Param('id') id: string,
    @Param('replayId') replayId: string,
  ): Promise<void> {
    const { spaceId } = principalOf(request);
    const { head } = await this.rpc.request('webhooks.replay.get', { spaceId, id, replayId }, upstream(request));
    await respond(request, reply, success(head));
  }

  @Post(':id/replays/:replayId/cancel')
  async cancelReplay(
    @Req() request: FastifyRequest,
    @Res() reply: FastifyReply,
    @Param('id') id: string,
    @Param('replayId') replayId: string,
  ): Promise<void> {
    const { spaceId } = principalOf(request);
    const { head } = await this.rpc.request('webhooks.replay.cancel', { spaceId, id, replayId }, upstream(request));
    await this.record(request, 'replay.cancelled', head.id);
    respondUnstored(reply, success(head));
  }

  private record(request: FastifyRequest, action: string, object: string): Promise<void> {
    const { spaceId, keyId } = principalOf(request);
    return this.audit.recordAfterwards(spaceId, { actor: `key:key_${keyId}`, action, object, address: request.ip });
  }
}
