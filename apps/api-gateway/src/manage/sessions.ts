import { createHash, randomBytes, timingSafeEqual } from 'node:crypto';
import { Inject, Injectable } from '@nestjs/common';
import type { FastifyRequest } from 'fastify';
import { ApiError, notFound, validationError } from '@keyturn/contracts';
import { Database, spaceId, statement } from '@keyturn/platform/database';
import { SETTINGS } from '@keyturn/platform/service';
import type { Role } from '../accounts/accounts';
import { emailOf } from '../accounts/email';
import { isPassword, passwordLength, wasteTime } from '../accounts/password';
import type { GatewaySettings } from '../settings';
import { LoginLimit } from './login-limit';
import { sessionTokenOf } from './session-cookie';

export interface Session {
  readonly accountId: string;
  readonly email: string;
  readonly expiresAt: Date;
  /** Goes with every write, in header `X-CSRF-Token`: only a page that could read our answer knows it. */
  readonly csrfToken: string;
}

export interface Membership {
  readonly id: string;
  readonly slug: string;
  readonly name: string;
  readonly role: Role;
}

const accountByEmail = statement(
  'access.session.account',
  `select id, email, password_hash from access.account where email = $1`,
);
const insert = statement(
  'access.session.insert',
  `insert into access.session (sha256, account_id, expires_at) values ($1, $2, $3)`,
);
const find = statement(
  'access.session.find',
  `select s.account_id, a.email, s.expires_at from access.session s join access.account a on a.id = s.account_id
    where s.sha256 = $1 and s.expires_at > now()`,
);
const remove = statement('access.session.delete', `delete from access.session where sha256 = $1`);
const memberships = statement(
  'access.session.memberships',
  `select s.id, s.slug, s.name, m.role from access.membership m join access.space s on s.id = m.space_id
    where m.account_id = $1 and s.status <> 'deleted' and s.ready_at is not null order by s.slug`,
);

const reason = 'an account may belong to several Spaces';
const wrong = () => new ApiError('UNAUTHORIZED', 'Wrong e-mail or password');
const unsigned = () => new ApiError('UNAUTHORIZED', 'Sign in first: POST /manage/session');

/** Who is signed in on the management plane. Tokens are kept as hashes, so the table opens nothing. */
@Injectable()
export class Sessions {
  constructor(
    private readonly database: Database,
    private readonly limit: LoginLimit,
    @Inject(SETTINGS) private readonly settings: GatewaySettings,
  ) {}

  async signIn(
    credentials: { readonly email?: unknown; readonly password?: unknown },
    address: string,
  ): Promise<{ token: string; session: Session }> {
    const email = emailOf(credentials.email);
    const { password } = credentials;
    if (email === undefined) throw validationError('email', 'email must be an e-mail address');
    if (typeof password !== 'string' || password === '' || password.length > passwordLength.max)
      throw validationError('password', 'password must be given');
    const attempt = await this.limit.begin(email, address);
    const queries = this.database.acrossSpaces(reason);
    const [account] = await queries.query<{ id: string; email: string; password_hash: string }>(accountByEmail, [
      email,
    ]);
    if (!account) {
      await wasteTime(password);
      throw wrong();
    }
    if (!(await isPassword(password, account.password_hash))) throw wrong();
    await this.limit.succeed(attempt);

    const token = randomBytes(32).toString('base64url');
    const expiresAt = new Date(Date.now() + this.settings.sessionLifetimeMs);
    await queries.query(insert, [digest(token), account.id, expiresAt]);
    return { token, session: { accountId: account.id, email: account.email, expiresAt, csrfToken: csrfOf(token) } };
  }

  /** The session of a request; a write must also carry its CSRF token. */
  async of(request: FastifyRequest): Promise<Session> {
    const token = sessionTokenOf(request.headers.cookie);
    if (token === undefined) throw unsigned();
    const [row] = await this.database
      .acrossSpaces(reason)
      .query<{ account_id: string; email: string; expires_at: Date }>(find, [digest(token)]);
    if (!row) throw unsigned();
    const csrfToken = csrfOf(token);
    if (request.method !== 'GET' && request.method !== 'HEAD' && !isSame(request.headers['x-csrf-token'], csrfToken))
      throw new ApiError('FORBIDDEN', 'The header X-CSRF-Token is missing or wrong');
    return { accountId: row.account_id, email: row.email, expiresAt: row.expires_at, csrfToken };
  }

  async signOut(request: FastifyRequest): Promise<void> {
    await this.of(request);
    const token = sessionTokenOf(request.headers.cookie) ?? '';
    await this.database.acrossSpaces(reason).query(remove, [digest(token)]);
  }

  async memberships(session: Session): Promise<Membership[]> {
    const rows = await this.database.acrossSpaces(reason).query<Membership>(memberships, [session.accountId]);
    return rows.map((row) => ({ ...row, id: spaceId(row.id) }));
  }

  /** The Space of a path, for its owner. To an account outside it, it does not exist; to a member, it is forbidden (T-027). */
  async ownedSpace(request: FastifyRequest, slug: string): Promise<{ session: Session; space: Membership }> {
    const session = await this.of(request);
    const space = (await this.memberships(session)).find((membership) => membership.slug === slug);
    if (!space) throw notFound(`There is no Space "${slug}"`);
    if (space.role !== 'owner') throw new ApiError('FORBIDDEN', 'Only the owner of the Space may do this');
    return { session, space };
  }
}

const digest = (token: string) => createHash('sha256').update(token).digest();

/** Derived, so it need not be kept: whoever knows it cannot find the session's token from it. */
const csrfOf = (token: string) => createHash('sha256').update(`csrf ${token}`).digest('base64url');

function isSame(given: string | string[] | undefined, expected: string): boolean {
  if (typeof given !== 'string') return false;
  const [a, b] = [Buffer.from(given), Buffer.from(expected)];
  return a.length === b.length && timingSafeEqual(a, b);
}
