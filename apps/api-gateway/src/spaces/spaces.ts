import { Injectable } from '@nestjs/common';
import {
  ApiError,
  checkText,
  notFound,
  validationError,
  type SpaceStatus,
  type SpaceSummary,
} from '@keyturn/contracts';
import { Database, spaceId, spaceNumber, statement, type Statement } from '@keyturn/platform/database';
import { RpcClient } from '@keyturn/platform/rpc';
import { isSlug } from '../access/host-label';
import { Accounts, checkEmail, checkPassword } from '../accounts/accounts';
import { Audit, type Actor, type Deed } from '../audit/audit';

interface SpaceRow {
  id: string;
  slug: string;
  name: string;
  status: SpaceStatus;
  owner_email: string;
  created_at: Date;
  ready: boolean;
  ending: boolean;
}

const columns = `id, slug, name, status, owner_email, created_at, ready_at is not null as ready,
  deletion_began_at is not null as ending`;
const insert = statement(
  'access.space.insert',
  `insert into access.space (slug, name, owner_email) values ($1, $2, $3)
   on conflict (slug) where status <> 'deleted' do nothing returning ${columns}`,
);
const bySlug = statement(
  'access.space.by_slug',
  `select ${columns} from access.space where slug = $1 and status <> 'deleted'`,
);
const list = statement(
  'access.space.list',
  `select ${columns} from access.space where status <> 'deleted' and ready_at is not null order by id`,
);
const makeReady = statement(
  'access.space.make_ready',
  `update access.space set ready_at = now(), name = $2, owner_email = $3 where id = $1 and ready_at is null returning ${columns}`,
);
const setStatus = statement(
  'access.space.set_status',
  `update access.space set status = $2, deleted_at = case when $2 = 'deleted' then now() end
   where id = $1 and status <> 'deleted' returning ${columns}`,
);
const beginDeletion = statement(
  'access.space.begin_deletion',
  `update access.space set status = 'suspended', deletion_began_at = coalesce(deletion_began_at, now())
   where id = $1 and status <> 'deleted' returning ${columns}`,
);
/** One after the other: what the services were told last is what stands here. */
const oneAtATime = statement(
  'access.space.one_at_a_time',
  `select pg_advisory_xact_lock(hashtext('keyturn.space.' || $1::text))`,
);
const byId = statement('access.space.by_id', `select ${columns} from access.space where id = $1`);
const notActive = statement(
  'access.space.not_active',
  `select id from access.space where status <> 'active' and purged_at is null order by id`,
);

export interface NewSpace {
  readonly name: string;
  readonly slug: string;
  readonly ownerEmail: string;
  readonly ownerPassword?: string | undefined;
}

const reason = 'Spaces themselves are managed';
/** Long enough for a data-service that is busy applying events, and for the end of what waits. */
const putDeadlineMs = 5_000;

/** The Spaces: who owns them and whether their keys open anything. */
@Injectable()
export class Spaces {
  constructor(
    private readonly database: Database,
    private readonly rpc: RpcClient,
    private readonly accounts: Accounts,
    private readonly audit: Audit,
  ) {}

  /**
   * Returns only when data-service knows the Space, so that an event published the next moment is accepted. What broke off
   * half-way is completed by asking again.
   */
  async create(input: NewSpace, actor: Actor): Promise<SpaceSummary & { ownerPassword?: string }> {
    const { name, slug, ownerEmail, ownerPassword } = checked(input);
    const owner = await this.accounts.prepare(ownerEmail, ownerPassword);
    const found = await this.insertOrFind(slug, name, ownerEmail);
    await this.tellDataService(spaceId(found.id), 'active');

    const row = await this.database.transaction('a Space and its owner begin together', async (tx) => {
      const [ready] = await tx.acrossSpaces(reason).query<SpaceRow>(makeReady, [found.id, name, ownerEmail]);
      if (!ready) throw taken(slug);
      const id = spaceId(ready.id);
      await this.accounts.join(tx, id, owner, 'owner');
      await this.audit.record(tx, id, { actor, action: 'space.created', object: id, detail: { slug, ownerEmail } });
      return ready;
    });
    const { madeUpPassword } = owner;
    return { ...summary(row), ...(madeUpPassword === undefined ? {} : { ownerPassword: madeUpPassword }) };
  }

  async list(): Promise<SpaceSummary[]> {
    return (await this.database.acrossSpaces(reason).query<SpaceRow>(list)).map(summary);
  }

  /** The Space of a host label; NOT_FOUND when there is none. */
  async bySlug(slug: string): Promise<SpaceSummary> {
    const row = await this.find(slug);
    if (!row?.ready) throw notFound(`There is no Space "${slug}"`);
    return summary(row);
  }

  /** Its keys are refused at once, its events no longer taken, and nothing is sent. */
  async suspend(slug: string, actor: Actor): Promise<SpaceSummary> {
    return this.alone(slug, async ({ id, ending }) => {
      if (ending) throw ends(slug);
      const suspended = await this.mark(id, 'suspended', { actor, action: 'space.suspended', object: id });
      await this.tell(id, 'suspended');
      return suspended;
    });
  }

  /** Its events are taken before its keys open anything: who reads again sees what is published again. */
  async resume(slug: string, actor: Actor): Promise<SpaceSummary> {
    return this.alone(slug, async ({ id, ending }) => {
      if (ending) throw ends(slug);
      await this.tell(id, 'active');
      return this.mark(id, 'active', { actor, action: 'space.resumed', object: id });
    });
  }

  /**
   * Suspended first, so that nothing opens it any more, and gone only when the other services know: until then it can be
   * repeated, and retention does so.
   */
  async delete(slug: string, confirm: string, actor: Actor): Promise<{ id: string; deleted: true }> {
    if (confirm !== slug) throw validationError('confirm', `confirm must repeat the slug of the Space: ${slug}`);
    return this.alone(slug, async ({ id, status }) => {
      const deed = { actor, action: 'space.suspended', object: id };
      await this.change(beginDeletion, id, [], status === 'active' ? deed : undefined);
      await this.finishDeletion(id, slug, actor);
      return { id, deleted: true };
    });
  }

  /**
   * Says again what other services may have missed of Spaces that are not active, because they were away, were set back, or did not
   * ask for it yet; and finishes deletions that broke off. How many Spaces that were.
   */
  async tellAgain(until: number): Promise<number> {
    const rows = await this.database.acrossSpaces(reason).query<{ id: string }>(notActive);
    let told = 0;
    for (const { id: number } of rows) {
      if (performance.now() >= until) break;
      const id = spaceId(number);
      await this.holding(id, async () => {
        const [row] = await this.database.acrossSpaces(reason).query<SpaceRow>(byId, [number]);
        if (!row || row.status === 'active') return;
        if (row.status === 'suspended' && row.ending) await this.finishDeletion(id, row.slug, 'admin');
        else await this.tell(id, row.status);
        told++;
      });
    }
    return told;
  }

  private async finishDeletion(id: string, slug: string, actor: Actor): Promise<void> {
    await this.tell(id, 'deleted');
    await this.mark(id, 'deleted', { actor, action: 'space.deleted', object: id, detail: { slug } });
  }

  /** Works on a Space as it is when nobody else changes its state. */
  private async alone<T>(slug: string, work: (space: SpaceSummary & { ending: boolean }) => Promise<T>): Promise<T> {
    const { id } = await this.bySlug(slug);
    return this.holding(id, async () => {
      const row = await this.find(slug);
      if (!row || spaceId(row.id) !== id) throw notFound(`There is no Space "${slug}"`);
      return work({ ...summary(row), ending: row.ending });
    });
  }

  private holding<T>(id: string, work: () => Promise<T>): Promise<T> {
    // The lock alone is this transaction's: each step commits by itself.
    return this.database.transaction('one change of a Space’s state at a time', async (tx) => {
      await tx.acrossSpaces(reason).query(oneAtATime, [spaceNumber(id)]);
      return work();
    });
  }

  private async find(slug: string): Promise<SpaceRow | undefined> {
    return (await this.database.acrossSpaces(reason).query<SpaceRow>(bySlug, [slug]))[0];
  }

  private async insertOrFind(slug: string, name: string, ownerEmail: string): Promise<SpaceRow> {
    // Looked for first, since an attempt to insert takes an id even where it fails.
    const found =
      (await this.find(slug)) ??
      (await this.database.acrossSpaces(reason).query<SpaceRow>(insert, [slug, name, ownerEmail]))[0];
    if (!found || found.ready) throw taken(slug);
    return found;
  }

  private mark(id: string, status: SpaceStatus, deed: Deed): Promise<SpaceSummary> {
    return this.change(setStatus, id, [status], deed);
  }

  private change(
    sql: Statement,
    id: string,
    values: readonly unknown[],
    deed: Deed | undefined,
  ): Promise<SpaceSummary> {
    return this.database.transaction('a Space changes its state with its entry in the log', async (tx) => {
      const [row] = await tx.acrossSpaces(reason).query<SpaceRow>(sql, [spaceNumber(id), ...values]);
      if (!row) throw notFound(`There is no Space ${id}`);
      if (deed) await this.audit.record(tx, id, deed);
      return summary(row);
    });
  }

  /** Whoever has something of the Space; one that is away does not keep the other from hearing of it. */
  private async tell(id: string, status: SpaceStatus): Promise<void> {
    const answers = await Promise.allSettled([
      this.tellDataService(id, status),
      this.rpc.request('webhooks.space.put', { spaceId: id, status }, { deadlineMs: putDeadlineMs }),
    ]);
    for (const answer of answers) if (answer.status === 'rejected') throw answer.reason;
  }

  private async tellDataService(id: string, status: SpaceStatus): Promise<void> {
    await this.rpc.request('data.space.put', { spaceId: id, status }, { deadlineMs: putDeadlineMs });
  }
}

const taken = (slug: string) => new ApiError('CONFLICT', `There is a Space "${slug}" already`);
const ends = (slug: string) =>
  new ApiError('CONFLICT', `The deletion of the Space "${slug}" has begun: repeat it, to finish it`);

function summary({ id, slug, name, status, owner_email, created_at }: SpaceRow): SpaceSummary {
  return { id: spaceId(id), slug, name, status, ownerEmail: owner_email, createdAt: created_at.toISOString() };
}

function checked({ name, slug, ownerEmail, ownerPassword }: NewSpace): NewSpace {
  const text = checkText(name);
  if (!text.ok || text.value.trim() === '' || text.value.length > 200)
    throw validationError('name', 'name must have 1 to 200 characters');
  if (typeof slug !== 'string' || !isSlug(slug))
    throw validationError(
      'slug',
      'slug must be a host label of letters, digits and hyphens that the system does not use',
    );
  const email = checkEmail('ownerEmail', ownerEmail);
  return {
    name: text.value.trim(),
    slug,
    ownerEmail: email,
    ownerPassword: checkPassword('ownerPassword', ownerPassword),
  };
}
