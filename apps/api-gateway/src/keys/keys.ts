import { Injectable } from '@nestjs/common';
import { checkDatetime, checkText, notFound, validationError, type ApiKeySummary } from '@keyturn/contracts';
import { Database, spaceId, statement } from '@keyturn/platform/database';
import { isScope, scopes, type Scope } from '../access/principal';
import { Audit, type Actor } from '../audit/audit';
import { hashApiKey, makeApiKey, shownLength } from './api-key';

/** The seed's 60 requests a minute (T-040). */
const defaultRateLimit = 60;
const maxRateLimit = 1_000_000;
const maxNameLength = 200;

interface KeyRow {
  id: string;
  name: string;
  prefix: string;
  scopes: string[];
  rate_limit: number;
  created_at: Date;
  last_used_at: Date | null;
  expires_at: Date | null;
  revoked_at: Date | null;
}

const columns =
  'k.id, k.name, k.prefix, k.scopes, k.rate_limit, k.created_at, s.last_used_at, k.expires_at, k.revoked_at';
const insert = statement(
  'access.api_key.insert',
  `insert into access.api_key (space_id, name, prefix, sha256, scopes, rate_limit, created_by, expires_at)
   values ($1, $2, $3, decode($4, 'hex'), $5, $6, $7, $8)
   returning id, name, prefix, scopes, rate_limit, created_at, null as last_used_at, expires_at, revoked_at`,
);
const insertState = statement('access.key_state.insert', `insert into access.key_state (key_id) values ($1)`);
const list = statement(
  'access.api_key.list',
  `select ${columns} from access.api_key k join access.key_state s on s.key_id = k.id
    where k.space_id = $1 order by k.id limit $2 offset $3`,
);
const count = statement('access.api_key.count', `select count(*) as total from access.api_key where space_id = $1`);
const revoke = statement(
  'access.api_key.revoke',
  `update access.api_key set revoked_at = coalesce(revoked_at, now()) where space_id = $1 and id = $2
   returning id, revoked_at`,
);
const spaceOf = statement('access.api_key.space', `select space_id from access.api_key where id = $1`);

export interface NewKey {
  readonly name: unknown;
  readonly rateLimit?: unknown;
  readonly expiresAt?: unknown;
  readonly scopes?: unknown;
}

export interface Doer {
  readonly actor: Actor;
  readonly address?: string;
}

/** A Space's keys. The key itself leaves this class once, when it is made (T-026). */
@Injectable()
export class Keys {
  constructor(
    private readonly database: Database,
    private readonly audit: Audit,
  ) {}

  async create(space: string, input: NewKey, doer: Doer): Promise<ApiKeySummary & { key: string }> {
    const { name, rateLimit, expiresAt, scopes: granted } = checked(input);
    const key = makeApiKey();
    return this.database.transaction('a key, its state and its entry in the log begin together', async (tx) => {
      const [row] = await tx
        .inSpace(space)
        .query<KeyRow>(insert, [
          name,
          key.slice(0, shownLength),
          hashApiKey(key),
          granted,
          rateLimit,
          doer.actor,
          expiresAt,
        ]);
      const made = summary(row as KeyRow);
      await tx.acrossSpaces('the state belongs to the key just made').query(insertState, [(row as KeyRow).id]);
      await this.audit.record(tx, space, {
        ...doer,
        action: 'key.created',
        object: made.id,
        detail: { name, prefix: made.prefix, scopes: granted, rateLimit, expiresAt },
      });
      return { ...made, key };
    });
  }

  async list(
    space: string,
    { page, pageSize }: { page: number; pageSize: number },
  ): Promise<{ keys: ApiKeySummary[]; total: number }> {
    const scope = this.database.inSpace(space);
    const [rows, [counted]] = await Promise.all([
      scope.query<KeyRow>(list, [pageSize, (page - 1) * pageSize]),
      scope.query<{ total: string }>(count),
    ]);
    return { keys: rows.map(summary), total: Number(counted?.total ?? 0) };
  }

  /** Holds everywhere once it has returned: every request asks the database. A second time changes nothing. */
  async revoke(space: string, keyId: string, doer: Doer): Promise<{ id: string; revokedAt: string }> {
    const number = numberOf(keyId);
    return this.database.transaction('a revocation and its entry in the log', async (tx) => {
      const [row] = await tx.inSpace(space).query<{ id: string; revoked_at: Date }>(revoke, [number]);
      if (!row) throw notFound(`There is no key "${keyId}"`);
      await this.audit.record(tx, space, { ...doer, action: 'key.revoked', object: keyId });
      return { id: keyId, revokedAt: row.revoked_at.toISOString() };
    });
  }

  /** For the command line, which names a key without its Space. */
  async spaceOf(keyId: string): Promise<string> {
    const [row] = await this.database
      .acrossSpaces('the command line names a key by its id alone')
      .query<{ space_id: string }>(spaceOf, [numberOf(keyId)]);
    if (!row) throw notFound(`There is no key "${keyId}"`);
    return spaceId(row.space_id);
  }
}

function numberOf(keyId: string): string {
  const match = /^key_([1-9]\d{0,17})$/.exec(keyId);
  if (!match) throw notFound(`There is no key "${keyId}"`);
  return match[1] as string;
}

const iso = (at: Date | null) => at?.toISOString() ?? null;

function summary(row: KeyRow): ApiKeySummary {
  return {
    id: `key_${row.id}`,
    name: row.name,
    prefix: row.prefix,
    scopes: row.scopes,
    rateLimit: row.rate_limit,
    createdAt: row.created_at.toISOString(),
    lastUsedAt: iso(row.last_used_at),
    expiresAt: iso(row.expires_at),
    revokedAt: iso(row.revoked_at),
  };
}

function checked({ name, rateLimit = defaultRateLimit, expiresAt, scopes: wanted = scopes }: NewKey) {
  const text = checkText(name);
  if (!text.ok || text.value.trim() === '' || text.value.length > maxNameLength)
    throw validationError('name', `name must have 1 to ${maxNameLength} characters`);
  if (!Number.isInteger(rateLimit) || (rateLimit as number) < 1 || (rateLimit as number) > maxRateLimit)
    throw validationError('rateLimit', `rateLimit must be a whole number from 1 to ${maxRateLimit}`);
  const moment = expiresAt === undefined || expiresAt === null ? undefined : checkDatetime(expiresAt);
  if (moment && !moment.ok) throw validationError('expiresAt', `expiresAt ${moment.problem}`);
  if (!Array.isArray(wanted) || wanted.length === 0 || !wanted.every(isScope))
    throw validationError('scopes', `scopes must be a list of ${scopes.join(', ')}`);
  return {
    name: text.value.trim(),
    rateLimit: rateLimit as number,
    expiresAt: moment?.value ?? null,
    scopes: scopes.filter((scope: Scope) => wanted.includes(scope)),
  };
}
