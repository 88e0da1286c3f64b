import { Injectable } from '@nestjs/common';
import { ApiError, notFound, validationError, type MemberSummary } from '@keyturn/contracts';
import { Database, spaceNumber, statement } from '@keyturn/platform/database';
import { Accounts, checkEmail, checkPassword, type Role } from '../accounts/accounts';
import { Audit, type Actor } from '../audit/audit';

interface MemberRow {
  account_id: string;
  email: string;
  role: Role;
  created_at: Date;
}

const columns = `m.account_id, a.email, m.role, m.created_at from access.membership m join access.account a on a.id = m.account_id`;
const list = statement(
  'access.membership.list',
  `select ${columns} where m.space_id = $1 order by m.created_at, m.account_id`,
);
/** Locked, so that of two owners who are removed at once one stays. */
const listLocked = statement(
  'access.membership.list_locked',
  `select ${columns} where m.space_id = $1 order by m.created_at, m.account_id for update of m`,
);
const remove = statement(
  'access.membership.remove',
  `delete from access.membership where space_id = $1 and account_id = $2`,
);
/** Whom lists of Spaces name. */
const nameOwner = statement('access.space.name_owner', `update access.space set owner_email = $2 where id = $1`);

const roles: readonly Role[] = ['owner', 'member'];

export interface NewMember {
  readonly email: unknown;
  readonly role?: unknown;
  readonly password?: unknown;
}

/** Who may sign in for a Space, and as what. */
@Injectable()
export class Members {
  constructor(
    private readonly database: Database,
    private readonly accounts: Accounts,
    private readonly audit: Audit,
  ) {}

  async list(spaceId: string): Promise<MemberSummary[]> {
    return (await this.database.inSpace(spaceId).query<MemberRow>(list)).map(summary);
  }

  async add(spaceId: string, input: NewMember, actor: Actor): Promise<MemberSummary & { password?: string }> {
    const email = checkEmail('email', input.email);
    const role = roleOf(input.role);
    const joiner = await this.accounts.prepare(email, checkPassword('password', input.password));
    const members = await this.database.transaction('a member and the entry in the log', async (tx) => {
      if (!(await this.accounts.join(tx, spaceId, joiner, role)))
        throw new ApiError('CONFLICT', `${email} belongs to the Space already`);
      await this.audit.record(tx, spaceId, { actor, action: 'member.added', object: email, detail: { role } });
      return tx.inSpace(spaceId).query<MemberRow>(list);
    });
    const added = members.find((member) => member.email === email) as MemberRow;
    const { madeUpPassword } = joiner;
    return { ...summary(added), ...(madeUpPassword === undefined ? {} : { password: madeUpPassword }) };
  }

  /** Holds at once, for sessions that are open too. The account stays: it may belong to other Spaces. */
  async remove(spaceId: string, address: unknown, actor: Actor): Promise<{ email: string; removed: true }> {
    const email = checkEmail('email', address);
    await this.database.transaction('a member leaves, and an owner stays', async (tx) => {
      const db = tx.inSpace(spaceId);
      const members = await db.query<MemberRow>(listLocked);
      const leaving = members.find((member) => member.email === email);
      if (!leaving) throw notFound(`${email} does not belong to the Space`);
      const owner = members.find((member) => member.role === 'owner' && member !== leaving);
      if (!owner) throw new ApiError('CONFLICT', `${email} is the only owner of the Space: add another one first`);
      await db.query(remove, [leaving.account_id]);
      if (leaving.role === 'owner')
        await tx.acrossSpaces('Spaces themselves are managed').query(nameOwner, [spaceNumber(spaceId), owner.email]);
      await this.audit.record(tx, spaceId, { actor, action: 'member.removed', object: email });
    });
    return { email, removed: true };
  }
}

function roleOf(role: unknown): Role {
  if (role === undefined) return 'member';
  const known = roles.find((candidate) => candidate === role);
  if (!known) throw validationError('role', `role must be one of ${roles.join(', ')}`);
  return known;
}

const summary = ({ email, role, created_at }: MemberRow): MemberSummary => ({
  email,
  role,
  since: created_at.toISOString(),
});
