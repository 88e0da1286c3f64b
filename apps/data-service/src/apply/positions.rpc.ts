import { Controller } from '@nestjs/common';
import { Database, statement } from '@keyturn/platform/database';
import { Operation, reply, type RpcReply } from '@keyturn/platform/rpc';

const readPositions = statement(
  'positions.read',
  `select name, sequence from data.position where name in ('DOMAIN', 'BACKFILL', 'relay')`,
);

/** How far the streams are applied: publishers who want to read what they wrote ask for it. */
@Controller()
export class PositionsRpc {
  constructor(private readonly database: Database) {}

  @Operation('data.streams.position')
  async positions(): Promise<RpcReply<'data.streams.position'>> {
    const queries = this.database.acrossSpaces('positions of the streams');
    const rows = await queries.query<{ name: string; sequence: string }>(readPositions);
    const of = (stream: string) => Number(rows.find(({ name }) => name === stream)?.sequence ?? 0);
    return reply({ DOMAIN: of('DOMAIN'), BACKFILL: of('BACKFILL'), EVENTS: of('relay') });
  }
}
