import { secretContext, type SecretBox } from './secret-box';
import { ApiError } from '@keyturn/contracts';
import { spaceNumber, statement, type Transaction } from '@keyturn/platform/database';

/** A key holds for 24 hours. */
const find = statement(
  'webhooks.idempotency.find',
  `select request_hash, reply_enc from webhooks.idempotency
   where space_id = $1 and key = $2 and created_at > now() - interval '1 day'`,
);

const keep = statement(
  'webhooks.idempotency.keep',
  `insert into webhooks.idempotency (space_id, key, request_hash, reply_enc) values ($1, $2, $3, $4)
   on conflict (space_id, key)
     do update set request_hash = excluded.request_hash, reply_enc = excluded.reply_enc, created_at = now()`,
);

export interface Idempotency {
  readonly key: string;
  /** Of everything that the request said. */
  readonly requestHash: Buffer;
}

type Doors = Pick<Transaction, 'inSpace'>;

/** What requests under a key were answered, so that a repeat gets it again; sealed, since it holds a secret. */
export class KeptReplies {
  constructor(private readonly secrets: SecretBox) {}

  /** What the same request was answered before; another one under its key is a CONFLICT. */
  async find<R>(doors: Doors, spaceId: string, { key, requestHash }: Idempotency): Promise<R | undefined> {
    const [found] = await doors.inSpace(spaceId).query<{ request_hash: Buffer; reply_enc: Buffer }>(find, [key]);
    if (!found) return undefined;
    if (!found.request_hash.equals(requestHash))
      throw new ApiError('CONFLICT', 'This Idempotency-Key was used with another request in the last 24 hours');
    return JSON.parse(this.secrets.open(found.reply_enc, secretContext(spaceNumber(spaceId)))) as R;
  }

  async keep(doors: Doors, spaceId: string, { key, requestHash }: Idempotency, reply: object): Promise<void> {
    const sealed = this.secrets.seal(JSON.stringify(reply), secretContext(spaceNumber(spaceId)));
    await doors.inSpace(spaceId).query(keep, [key, requestHash, sealed]);
  }
}
