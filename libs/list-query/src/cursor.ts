import { createHmac, hkdfSync, timingSafeEqual } from 'node:crypto';
import { validationError, type ListQuery, type Position } from '@keyturn/contracts';

/** What a cursor belongs to, beside the query: the Space, the collection, and what else chooses the rows. */
export type CursorScope = readonly string[];

type Walk = Pick<ListQuery, 'filters' | 'search' | 'sort' | 'order'>;

const macBytes = 16;
const maxLength = 8_192;

/**
 * Turns the place where a walk stands into a cursor and back. A cursor is signed and holds only for the Space, collection,
 * filter, search, sort and order it was made for; page size and `fields` may change on the way (DESIGN §3).
 */
export class CursorCodec {
  private readonly key: Buffer;

  constructor(secretsKey: string) {
    this.key = Buffer.from(hkdfSync('sha256', secretsKey, '', 'keyturn list cursor 1', 32));
  }

  encode(scope: CursorScope, walk: Walk, position: Position): string {
    const payload = Buffer.from(JSON.stringify([position.value, position.id]));
    return Buffer.concat([this.mac(scope, walk, payload), payload]).toString('base64url');
  }

  decode(scope: CursorScope, walk: Walk, cursor: string): Position {
    const position = this.read(scope, walk, cursor);
    if (!position) throw validationError('cursor', 'cursor is not one of this list: begin again with an empty cursor');
    return position;
  }

  private read(scope: CursorScope, walk: Walk, cursor: string): Position | undefined {
    if (cursor.length > maxLength) return undefined;
    const bytes = Buffer.from(cursor, 'base64url');
    // Node skips what is not base64url; only the one spelling that we gave out counts.
    if (bytes.length <= macBytes || bytes.toString('base64url') !== cursor) return undefined;
    const payload = bytes.subarray(macBytes);
    if (!timingSafeEqual(bytes.subarray(0, macBytes), this.mac(scope, walk, payload))) return undefined;
    const [value, id] = JSON.parse(payload.toString()) as [Position['value'], number];
    return { value, id };
  }

  private mac(scope: CursorScope, walk: Walk, payload: Buffer): Buffer {
    const filters = walk.filters.map(({ field, operator, values }) =>
      JSON.stringify([field, operator, values.map((value) => JSON.stringify(value)).sort()]),
    );
    const bound = JSON.stringify([scope, filters.sort(), [...walk.search].sort(), walk.sort, walk.order]);
    return createHmac('sha256', this.key).update(bound).update('\0').update(payload).digest().subarray(0, macBytes);
  }
}
