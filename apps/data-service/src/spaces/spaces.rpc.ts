import { Controller } from '@nestjs/common';
import { Payload } from '@nestjs/microservices';
import { ApiError, notFound, spaceIdPattern, validationError, type SpaceStatus } from '@keyturn/contracts';
import { Database, statement } from '@keyturn/platform/database';
import { Operation, reply, type RpcCall, type RpcReply } from '@keyturn/platform/rpc';

const statuses: readonly string[] = ['active', 'suspended', 'deleted'];

const putSpace = statement(
  'spaces.put',
  `insert into data.space as s (space_id, status, deleted_at) values ($1, $2, case when $2 = 'deleted' then now() end)
   on conflict (space_id) do update
     set status = case when s.status = 'deleted' then s.status else excluded.status end,
         deleted_at = coalesce(s.deleted_at, excluded.deleted_at)
   returning status`,
);
const readPosition = statement('spaces.position', `select sequence from data.space where space_id = $1`);

/** What the owner of the Spaces tells us of them, and what others ask of their sequence. */
@Controller()
export class SpacesRpc {
  constructor(private readonly database: Database) {}

  /**
   * Committed before the answer, and read by the applier in each batch: an event published after it finds the Space. A Space
   * that has ended stays so.
   */
  @Operation('data.space.put')
  async put(@Payload() { request }: RpcCall<'data.space.put'>): Promise<RpcReply<'data.space.put'>> {
    const { spaceId, status } = request;
    checkSpace(spaceId);
    if (!statuses.includes(status)) throw validationError('status', `status must be one of ${statuses.join(', ')}`);
    const [space] = await this.database.inSpace(spaceId).query<{ status: SpaceStatus }>(putSpace, [status]);
    if (space?.status !== status) throw new ApiError('CONFLICT', 'The Space has been deleted: it does not come back');
    return reply({});
  }

  @Operation('data.space.position')
  async position(@Payload() { request }: RpcCall<'data.space.position'>): Promise<RpcReply<'data.space.position'>> {
    checkSpace(request.spaceId);
    const [row] = await this.database.inSpace(request.spaceId).query<{ sequence: string }>(readPosition);
    if (!row) throw notFound('There is no such Space');
    return reply({ sequence: Number(row.sequence) });
  }
}

export async function hasSpace(database: Database, spaceId: string): Promise<boolean> {
  return (await database.inSpace(spaceId).query(readPosition)).length > 0;
}

export function checkSpace(spaceId: unknown): void {
  if (typeof spaceId !== 'string' || !spaceIdPattern.test(spaceId))
    throw validationError('spaceId', 'spaceId must be the id of a Space');
}
