import { Injectable } from '@nestjs/common';
import {
  ApiError,
  checkText,
  notFound,
  validationError,
  type SpaceStatus,
  type SpaceSummary,
} from '@keyturn/contracts';
import { Database, spaceId, spaceNumber, statement } from '@keyturn/platform/database';
import { RpcClient } from '@keyturn/platform/rpc';
import { isSlug } from '../access/host-label';
import { Accounts, checkEmail, checkPassword } from '../accounts/accounts';
import { Audit, type Actor } from '../audit/audit';

interface SpaceRow {
  id: string;
  slug: string;
  name: string;
  status: SpaceStatus;
  owner_email: string;
  created_at: Date;
  ready: boolean;
}

const columns = 'id, slug, name, status, owner_email, created_at, ready_at is not null as ready';
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
  `update access.space set status = $2 where id = $1 and status <> 'deleted' returning ${columns}`,
);
export interface NewSpace {
  readonly name: string;
  readonly slug: string;
  readonly ownerEmail: string;
  readonly ownerPassword?: string | undefined;
}

const reason = 'Spaces themselves are managed';
/** Long enough for a data-service that is busy applying events. */
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

  /** Its keys are refused at once, and its events no longer taken. */
  async suspend(slug: string, actor: Actor): Promise<SpaceSummary> {
    const { id } = await this.bySlug(slug);
    const suspended = await this.mark(id, 'suspended', { actor, action: 'space.suspended', object: id });
    await this.tellDataService(id, 'suspended');
    return suspended;
  }

  /** Its events are taken before its keys open anything: who reads again sees what is published again. */
  async resume(slug: string, actor: Actor): Promise<SpaceSummary> {
    const { id } = await this.bySlug(slug);
    await this.tellDataService(id, 'active');
    return this.mark(id, 'active', { actor, action: 'space.resumed', object: id });
  }

  /** Suspended first, so that nothing opens it any more, and gone only when data-service knows: until then it can be repeated. */
  async delete(slug: string, confirm: string, actor: Actor): Promise<{ id: string; deleted: true }> {
    if (confirm !== slug) throw validationError('confirm', `confirm must repeat the slug of the Space: ${slug}`);
    const { id, status } = await this.bySlug(slug);
    if (status === 'active') await this.mark(id, 'suspended', { actor, action: 'space.suspended', object: id });
    await this.tellDataService(id, 'deleted');
    await this.mark(id, 'deleted', { actor, action: 'space.deleted', object: id, detail: { slug } });
    return { id, deleted: true };
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

  private async mark(id: string, status: SpaceStatus, deed: Parameters<Audit['record']>[2]): Promise<SpaceSummary> {
    return this.database.transaction('a Space changes its state with its entry in the log', async (tx) => {
      const [row] = await tx.acrossSpaces(reason).query<SpaceRow>(setStatus, [spaceNumber(id), status]);
      if (!row) throw notFound(`There is no Space ${id}`);
      await this.audit.record(tx, id, deed);
      return summary(row);
    });
  }

  private async tellDataService(id: string, status: SpaceStatus): Promise<void> {
    await this.rpc.request('data.space.put', { spaceId: id, status }, { deadlineMs: putDeadlineMs });
  }
}

const taken = (slug: string) => new ApiError('CONFLICT', `There is a Space "${slug}" already`);

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
