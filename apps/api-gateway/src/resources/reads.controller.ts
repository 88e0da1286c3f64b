import { Controller, Get, Param, Req, Res } from '@nestjs/common';
import type { FastifyReply, FastifyRequest } from 'fastify';
import {
  collections,
  contactResource,
  nationalDigits,
  notFound,
  validationError,
  type Collection,
} from '@keyturn/contracts';
import { CursorCodec, parseDetailQuery, parseListQuery } from '@keyturn/list-query';
import { RpcClient } from '@keyturn/platform/rpc';
import { respondWithList } from '../http/list-response';
import { queryOf } from '../http/query';
import { respond } from '../http/respond';
import { principalOf, upstream } from '../http/upstream';
import { detail } from '../surfaces/v1/envelope';

/** Every collection of the Space API, from the definitions: list, detail, and the lookup of a contact by phone (T-060 … T-077). */
@Controller('api/v1')
export class ReadsController {
  constructor(
    private readonly rpc: RpcClient,
    private readonly cursors: CursorCodec,
  ) {}

  @Get('contacts/lookup')
  async lookup(@Req() request: FastifyRequest, @Res() reply: FastifyReply): Promise<void> {
    const { spaceId } = principalOf(request);
    const parameters = queryOf(request);
    const phone = phoneOf(parameters);
    const { fields } = parseDetailQuery(contactResource, parameters);
    const { body } = await this.rpc.request('data.lookup', { spaceId, phone, fields }, upstream(request));
    await respond(request, reply, detail(body));
  }

  @Get(':collection')
  async list(
    @Req() request: FastifyRequest,
    @Res() reply: FastifyReply,
    @Param('collection') name: string,
  ): Promise<void> {
    const { name: collection, resource } = collectionOf(name);
    const { spaceId } = principalOf(request);
    const scope = [spaceId, collection];
    const query = parseListQuery(resource, queryOf(request), { cursors: this.cursors, scope });
    const { head, body } = await this.rpc.request('data.list', { spaceId, collection, query }, upstream(request));
    await respondWithList(request, reply, { query, head, rows: body }, this.cursors, scope);
  }

  @Get(':collection/:id')
  async detail(
    @Req() request: FastifyRequest,
    @Res() reply: FastifyReply,
    @Param('collection') name: string,
    @Param('id') id: string,
  ): Promise<void> {
    const { name: collection, resource } = collectionOf(name);
    const { spaceId } = principalOf(request);
    const { fields } = parseDetailQuery(resource, queryOf(request));
    const wanted = { spaceId, collection, id: recordId(id), fields };
    const { body } = await this.rpc.request('data.detail', wanted, upstream(request));
    await respond(request, reply, detail(body));
  }
}

function collectionOf(name: string): Collection {
  const collection = collections.get(name);
  if (!collection) throw notFound('There is no such endpoint');
  return collection;
}

/** Anything but a positive safe integer is the id of no record (T-062). */
function recordId(text: string): number {
  if (!/^[1-9]\d{0,15}$/.test(text) || !Number.isSafeInteger(Number(text))) throw notFound();
  return Number(text);
}

/** The number in national digits, taken out of the parameters (T-064, T-065). */
function phoneOf(parameters: URLSearchParams): string {
  const given = parameters.getAll('phone');
  parameters.delete('phone');
  if (given.length !== 1) throw validationError('phone', 'phone must be given once');
  const phone = nationalDigits(given[0] as string);
  if (phone === undefined) throw validationError('phone', 'phone must have at least 7 digits');
  return phone;
}
