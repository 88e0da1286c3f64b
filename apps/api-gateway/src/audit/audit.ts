import { Injectable } from '@nestjs/common';
import { Database, statement, type Transaction } from '@keyturn/platform/database';
import { Log } from '@keyturn/platform/logs';

/** Who did it: the command line, an account by its e-mail, or a key. */
export type Actor = `admin` | `account:${string}` | `key:${string}`;

export interface Deed {
  readonly actor: Actor;
  /** `key.created`, `space.suspended`, … */
  readonly action: string;
  /** What it was done to: `key_12`. */
  readonly object: string;
  /** The client's address, where there is one. */
  readonly address?: string;
  /** Never a secret, nor personal data beyond what the object needs to be recognised. */
  readonly detail?: Readonly<Record<string, unknown>>;
}

export interface AuditEntry {
  readonly id: string;
  readonly at: string;
  readonly actor: string;
  readonly action: string;
  readonly object: string;
  readonly address: string | null;
  readonly detail: unknown;
}

interface AuditRow {
  id: string;
  at: Date;
  actor: string;
  action: string;
  object: string;
  address: string | null;
  detail: string;
}

const insert = statement(
  'access.audit.insert',
  `insert into access.audit (space_id, actor, action, object, address, detail) values ($1, $2, $3, $4, $5, $6)`,
);
const list = statement(
  'access.audit.list',
  `select id, at, actor, action, object, address, detail from access.audit
    where space_id = $1 order by id desc limit $2 offset $3`,
);
const count = statement('access.audit.count', `select count(*) as total from access.audit where space_id = $1`);

/** What was done to a Space's access, by whom: written in the transaction of the deed, so that neither exists alone. */
@Injectable()
export class Audit {
  constructor(
    private readonly database: Database,
    private readonly log: Log,
  ) {}

  async record(tx: Transaction, spaceId: string, deed: Deed): Promise<void> {
    const { actor, action, object, address, detail = {} } = deed;
    await tx.inSpace(spaceId).query(insert, [actor, action, object, address ?? null, JSON.stringify(detail)]);
  }

  /** For a deed that another service has done already: an entry that cannot be written must not undo its answer. */
  async recordAfterwards(spaceId: string, deed: Deed): Promise<void> {
    try {
      await this.database.transaction('an entry in the log', (tx) => this.record(tx, spaceId, deed));
    } catch (error) {
      this.log.error({ spaceId, action: deed.action, object: deed.object, error: String(error) }, 'audit entry lost');
    }
  }

  /** Newest first. */
  async list(
    spaceId: string,
    { page, pageSize }: { page: number; pageSize: number },
  ): Promise<{ entries: AuditEntry[]; total: number }> {
    const space = this.database.inSpace(spaceId);
    const [rows, [counted]] = await Promise.all([
      space.query<AuditRow>(list, [pageSize, (page - 1) * pageSize]),
      space.query<{ total: string }>(count),
    ]);
    return {
      entries: rows.map(({ id, at, detail, ...rest }) => ({
        id: `aud_${id}`,
        at: at.toISOString(),
        ...rest,
        detail: JSON.parse(detail) as unknown,
      })),
      total: Number(counted?.total ?? 0),
    };
  }
}
