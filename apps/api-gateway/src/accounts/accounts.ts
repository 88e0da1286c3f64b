import { Injectable } from '@nestjs/common';
import { ApiError, validationError } from '@keyturn/contracts';
import { Database, statement, type Transaction } from '@keyturn/platform/database';
import { emailOf } from './email';
import { hashPassword, isPassword, makePassword, passwordLength } from './password';

export type Role = 'owner' | 'member';

const byEmail = statement('access.account.by_email', `select id, password_hash from access.account where email = $1`);
const insert = statement(
  'access.account.insert',
  `insert into access.account (email, password_hash) values ($1, $2) on conflict (email) do nothing returning id`,
);
const insertMember = statement(
  'access.membership.insert',
  `insert into access.membership (space_id, account_id, role) values ($1, $2, $3)
   on conflict (space_id, account_id) do nothing returning account_id`,
);

const reason = 'an account may belong to several Spaces';

/** Somebody who is to join a Space: an account that exists, or one that begins with it. */
export interface Joiner {
  readonly email: string;
  readonly accountId?: string;
  readonly passwordHash?: string;
  /** Made up, since none was chosen: shown this once. */
  readonly madeUpPassword?: string;
}

/** The people who sign in. */
@Injectable()
export class Accounts {
  constructor(private readonly database: Database) {}

  /** Ready to join. The password of an account that exists is not changed by joining a further Space. */
  async prepare(email: string, password: string | undefined): Promise<Joiner> {
    const [account] = await this.database
      .acrossSpaces(reason)
      .query<{ id: string; password_hash: string }>(byEmail, [email]);
    if (!account) {
      const chosen = password ?? makePassword();
      const passwordHash = await hashPassword(chosen);
      return { email, passwordHash, ...(password === undefined ? { madeUpPassword: chosen } : {}) };
    }
    if (password !== undefined && !(await isPassword(password, account.password_hash)))
      throw new ApiError('CONFLICT', `The account ${email} exists with another password; leave the password out`);
    return { email, accountId: account.id };
  }

  /** False when the account belongs to the Space already. */
  async join(tx: Transaction, spaceId: string, joiner: Joiner, role: Role): Promise<boolean> {
    const accountId = joiner.accountId ?? (await this.insert(tx, joiner));
    return (await tx.inSpace(spaceId).query(insertMember, [accountId, role])).length > 0;
  }

  private async insert(tx: Transaction, { email, passwordHash }: Joiner): Promise<string> {
    const [made] = await tx.acrossSpaces(reason).query<{ id: string }>(insert, [email, passwordHash]);
    // Made by somebody else in these milliseconds: asking again finds it, and checks the password against it.
    if (!made) throw new ApiError('CONFLICT', `The account ${email} was made meanwhile; try again`);
    return made.id;
  }
}

/** The address that names an account; a 400 on `field` where it is none. */
export function checkEmail(field: string, value: unknown): string {
  const email = emailOf(value);
  if (email === undefined) throw validationError(field, `${field} must be an e-mail address`);
  return email;
}

/** A password for a new account, where one is chosen; a 400 on `field` where it cannot be one. */
export function checkPassword(field: string, value: unknown): string | undefined {
  if (value === undefined) return undefined;
  const { min, max } = passwordLength;
  if (typeof value !== 'string' || value.length < min || value.length > max)
    throw validationError(field, `${field} must have ${min} to ${max} characters`);
  return value;
}
