import { Injectable } from '@nestjs/common';
import { ApiError } from '@keyturn/contracts';
import { Database, statement } from '@keyturn/platform/database';
import { clientNetwork } from '../access/client-network';

/** In the last quarter of an hour. An address may be a whole office, so it has more. */
const limits = { email: 10, address: 50 } as const;
const windowSeconds = 15 * 60;

export interface Attempt {
  readonly ids: readonly string[];
}

const insert = statement(
  'access.login.insert',
  `insert into access.login_attempt (subject) select unnest($1::text[]) returning id`,
);
const count = statement(
  'access.login.count',
  `select subject, count(*) as attempts, min(at) as first from access.login_attempt
    where subject = any($1) and at > clock_timestamp() - make_interval(secs => $2) group by subject`,
);
const remove = statement('access.login.delete', `delete from access.login_attempt where id = any($1)`);

const reason = 'whoever signs in belongs to no Space yet';

/** Failed attempts to sign in, by e-mail and by address: in the database, so that more replicas do not mean more guesses. */
@Injectable()
export class LoginLimit {
  constructor(private readonly database: Database) {}

  /**
   * Counts first and looks then: of attempts that come together, each sees at least those that were counted before it, so
   * never more than the limit pass. One that is refused does not count.
   */
  async begin(email: string, address: string): Promise<Attempt> {
    const queries = this.database.acrossSpaces(reason);
    const subjects = { email: `email ${email}`, address: `address ${clientNetwork(address)}` };
    const rows = await queries.query<{ id: string }>(insert, [Object.values(subjects)]);
    const attempt = { ids: rows.map(({ id }) => id) };
    const counted = await queries.query<{ subject: string; attempts: string; first: Date }>(count, [
      Object.values(subjects),
      windowSeconds,
    ]);
    for (const { subject, attempts, first } of counted) {
      if (Number(attempts) <= (subject === subjects.email ? limits.email : limits.address)) continue;
      await this.succeed(attempt);
      const waitMs = first.getTime() + windowSeconds * 1000 - Date.now();
      throw new ApiError('RATE_LIMIT_EXCEEDED', 'Too many attempts to sign in: wait before the next', {
        retryAfterSeconds: Math.max(1, Math.ceil(waitMs / 1000)),
      });
    }
    return attempt;
  }

  /** It was no guess, so it does not count. */
  async succeed({ ids }: Attempt): Promise<void> {
    await this.database.acrossSpaces(reason).query(remove, [ids]);
  }
}
