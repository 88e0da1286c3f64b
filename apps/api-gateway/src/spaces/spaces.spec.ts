import { Client } from 'pg';
import { ApiError, type SpaceStatus } from '@keyturn/contracts';
import { reply } from '@keyturn/platform/rpc';
import { freshDatabase, freshNats, rowsOfSpace, type FreshDatabase, type FreshNats } from '@keyturn/testing';
import { accessTemplate, RunningGateway, StandIn } from '../gateway-fixture';

jest.setTimeout(30_000);

describe('Spaces', () => {
  let database: FreshDatabase;
  let nats: FreshNats;
  let services: StandIn;
  let gateway: RunningGateway;
  let sql: Client;
  /** What data-service and webhook-service have been told last. */
  let known: Map<string, SpaceStatus>;
  let sendsFor: Map<string, SpaceStatus>;
  let failure: Error | undefined;
  let webhooksFailure: Error | undefined;

  beforeAll(async () => {
    [database, nats] = await Promise.all([freshDatabase(accessTemplate), freshNats()]);
    known = new Map();
    sendsFor = new Map();
    services = await StandIn.start(nats.url, {
      'data.space.put': ({ request }) => {
        if (failure) throw failure;
        known.set(request.spaceId, request.status);
        return reply({});
      },
      'webhooks.space.put': ({ request }) => {
        if (webhooksFailure) throw webhooksFailure;
        sendsFor.set(request.spaceId, request.status);
        return reply({});
      },
      'data.list': () => reply({ count: 0, total: 0, next: null }),
    });
    gateway = await RunningGateway.start(database.url, nats.url);
    sql = new Client({ connectionString: database.url });
    await sql.connect();
  });

  afterEach(() => {
    failure = undefined;
    webhooksFailure = undefined;
  });

  afterAll(async () => {
    await sql.end();
    await gateway.close();
    await services.close();
    await nats.stop();
    await database.drop();
  });

  const down = new ApiError('UNAVAILABLE', 'The database cannot be reached');
  const create = (slug: string, more: object = {}) =>
    gateway.admin('admin.spaces.create', { name: 'North West', slug, ownerEmail: `o@${slug}.example`, ...more });

  it('are made with an owner, and data-service knows them when they are', async () => {
    const made = await create('north');
    expect(made).toEqual({
      id: expect.stringMatching(/^spc_[1-9]\d*$/) as string,
      slug: 'north',
      name: 'North West',
      status: 'active',
      ownerEmail: 'o@north.example',
      createdAt: expect.any(String) as string,
      ownerPassword: expect.any(String) as string,
    });
    expect(known.get(made.id)).toBe('active');
    const { spaces } = await gateway.admin('admin.spaces.list', {});
    expect(spaces).toContainEqual(expect.objectContaining({ id: made.id, slug: 'north' }));
  });

  it('a repetition completes one that broke off half-way, and an unfinished one does not show', async () => {
    failure = down;
    await expect(create('half')).rejects.toMatchObject({ code: 'UNAVAILABLE' });
    await expect(gateway.createKey('half')).rejects.toMatchObject({ code: 'NOT_FOUND' });
    const { spaces } = await gateway.admin('admin.spaces.list', {});
    expect(spaces.map(({ slug }) => slug)).not.toContain('half');
    failure = undefined;
    const made = await create('half', { name: 'Whole', ownerEmail: 'other@x.example' });
    expect(made).toMatchObject({ name: 'Whole', ownerEmail: 'other@x.example' });
    expect(made.ownerPassword).toEqual(expect.any(String));
    expect(known.get(made.id)).toBe('active');
    await expect(create('half')).rejects.toMatchObject({ code: 'CONFLICT' });
  });

  it('one owner may have several; the account keeps its password', async () => {
    const owner = { ownerEmail: 'o@several.example', ownerPassword: 'first password' };
    expect(await create('several-1', owner)).not.toHaveProperty('ownerPassword');
    expect(await create('several-2', owner)).not.toHaveProperty('ownerPassword');
    expect(await create('several-3', { ownerEmail: owner.ownerEmail })).not.toHaveProperty('ownerPassword');
    await expect(create('several-4', { ...owner, ownerPassword: 'other password' })).rejects.toMatchObject({
      code: 'CONFLICT',
    });
  });

  it('of two that want one slug at once, one gets it', async () => {
    const answers = await Promise.allSettled([create('race'), create('race'), create('race')]);
    expect(answers.filter(({ status }) => status === 'fulfilled')).toHaveLength(1);
  });

  it.each<[string, object]>([
    ['an upper-case slug', { slug: 'North' }],
    ['a slug of the system', { slug: 'manage' }],
    ['a slug with a dot', { slug: 'a.b' }],
    ['no name', { name: '' }],
    ['a name that is no text', { name: 7 }],
    ['no e-mail address', { ownerEmail: 'nobody' }],
    ['a short password', { ownerPassword: 'short' }],
  ])('are not made with %s', async (_what, more) => {
    await expect(create('fine', more)).rejects.toMatchObject({ code: 'VALIDATION_ERROR' });
  });

  it('suspended: keys refused at once, even while data-service cannot be told; then told by asking again', async () => {
    const { id } = await create('paused');
    const { key } = await gateway.createKey('paused');
    const status = async () => (await fetch(`${gateway.url}/api/v1/files`, { headers: { 'X-API-Key': key } })).status;
    expect(await status()).toBe(200);
    failure = down;
    await expect(gateway.admin('admin.spaces.suspend', { slug: 'paused' })).rejects.toMatchObject({
      code: 'UNAVAILABLE',
    });
    expect(await status()).toBe(401);
    failure = undefined;
    expect(await gateway.admin('admin.spaces.suspend', { slug: 'paused' })).toMatchObject({ id, status: 'suspended' });
    expect([known.get(id), sendsFor.get(id)]).toEqual(['suspended', 'suspended']);
  });

  it('suspended while webhook-service is away: data-service knows; resumed only when both do', async () => {
    const { id } = await create('half-told');
    const told = () => [known.get(id), sendsFor.get(id)];
    webhooksFailure = down;
    const suspend = () => gateway.admin('admin.spaces.suspend', { slug: 'half-told' });
    await expect(suspend()).rejects.toMatchObject({ code: 'UNAVAILABLE' });
    expect(told()).toEqual(['suspended', undefined]);
    webhooksFailure = undefined;
    await suspend();
    expect(told()).toEqual(['suspended', 'suspended']);
    webhooksFailure = down;
    const resume = () => gateway.admin('admin.spaces.resume', { slug: 'half-told' });
    await expect(resume()).rejects.toMatchObject({ code: 'UNAVAILABLE' });
    const { spaces } = await gateway.admin('admin.spaces.list', {});
    expect(spaces).toContainEqual(expect.objectContaining({ id, status: 'suspended' }));
    webhooksFailure = undefined;
    await resume();
    expect(told()).toEqual(['active', 'active']);
  });

  it('suspended and resumed at once by several: what the services were told last is what is listed', async () => {
    const { id } = await create('contested');
    for (let round = 0; round < 5; round++) {
      await Promise.all(
        (['admin.spaces.suspend', 'admin.spaces.resume', 'admin.spaces.suspend', 'admin.spaces.resume'] as const).map(
          (operation) => gateway.admin(operation, { slug: 'contested' }),
        ),
      );
      const { spaces } = await gateway.admin('admin.spaces.list', {});
      const status = spaces.find((space) => space.id === id)?.status;
      expect([known.get(id), sendsFor.get(id)]).toEqual([status, status]);
    }
  });

  it('resumed: the same keys open it again, once data-service takes its events', async () => {
    const { id } = await create('back');
    const { key } = await gateway.createKey('back');
    const status = async () => (await fetch(`${gateway.url}/api/v1/files`, { headers: { 'X-API-Key': key } })).status;
    await gateway.admin('admin.spaces.suspend', { slug: 'back' });
    expect(await status()).toBe(401);
    failure = down;
    await expect(gateway.admin('admin.spaces.resume', { slug: 'back' })).rejects.toMatchObject({ code: 'UNAVAILABLE' });
    expect(await status()).toBe(401);
    failure = undefined;
    expect(await gateway.admin('admin.spaces.resume', { slug: 'back' })).toMatchObject({ id, status: 'active' });
    expect([known.get(id), await status()]).toEqual(['active', 200]);
    await expect(gateway.admin('admin.spaces.resume', { slug: 'nobody' })).rejects.toMatchObject({ code: 'NOT_FOUND' });
  });

  it('deleted: only with the slug repeated; keys refused at once; the slug is free again, the id is not', async () => {
    const { id } = await create('gone');
    const { key } = await gateway.createKey('gone');
    const remove = (confirm: string) => gateway.admin('admin.spaces.delete', { slug: 'gone', confirm });
    await expect(remove('')).rejects.toMatchObject({ code: 'VALIDATION_ERROR' });
    failure = down;
    await expect(remove('gone')).rejects.toMatchObject({ code: 'UNAVAILABLE' });
    expect((await fetch(`${gateway.url}/api/v1/files`, { headers: { 'X-API-Key': key } })).status).toBe(401);
    failure = undefined;
    expect(await remove('gone')).toEqual({ id, deleted: true });
    expect([known.get(id), sendsFor.get(id)]).toEqual(['deleted', 'deleted']);
    await expect(remove('gone')).rejects.toMatchObject({ code: 'NOT_FOUND' });
    expect((await create('gone')).id).not.toBe(id);
  });

  it('keys of the command line', async () => {
    await create('keyed');
    const made = await gateway.createKey('keyed', { rateLimit: 1_000_000 });
    expect((await gateway.admin('admin.keys.list', { space: 'keyed' })).keys).toEqual([
      expect.objectContaining({ id: made.id, prefix: made.key.slice(0, 12), revokedAt: null }),
    ]);
    const revoked = await gateway.admin('admin.keys.revoke', { id: made.id });
    expect(await gateway.admin('admin.keys.revoke', { id: made.id })).toEqual(revoked);
    await expect(gateway.admin('admin.keys.revoke', { id: 'key_999999' })).rejects.toMatchObject({ code: 'NOT_FOUND' });
    await expect(gateway.admin('admin.keys.list', { space: 'nobody' })).rejects.toMatchObject({ code: 'NOT_FOUND' });
  });

  const retention = (now?: string) => gateway.admin('admin.retention.access', now === undefined ? {} : { now });

  it('whose deletion broke off neither come back nor are forgotten: retention finishes it', async () => {
    const { id } = await create('ending');
    webhooksFailure = down;
    const slug = 'ending';
    await expect(gateway.admin('admin.spaces.delete', { slug, confirm: slug })).rejects.toMatchObject({
      code: 'UNAVAILABLE',
    });
    for (const operation of ['admin.spaces.resume', 'admin.spaces.suspend'] as const)
      await expect(gateway.admin(operation, { slug })).rejects.toMatchObject({ code: 'CONFLICT' });
    await expect(retention()).rejects.toMatchObject({ code: 'UNAVAILABLE' });
    webhooksFailure = undefined;
    expect((await retention())['spacesToldAgain']).toBeGreaterThan(0);
    expect([known.get(id), sendsFor.get(id)]).toEqual(['deleted', 'deleted']);
    await expect(gateway.createKey('ending')).rejects.toMatchObject({ code: 'NOT_FOUND' });
    expect((await create('ending')).id).not.toBe(id);
  });

  it('that are suspended or deleted are told of again by retention, to whoever has missed it', async () => {
    const [suspended, deleted, active] = [await create('again-1'), await create('again-2'), await create('again-3')];
    await gateway.admin('admin.spaces.suspend', { slug: 'again-1' });
    await gateway.admin('admin.spaces.delete', { slug: 'again-2', confirm: 'again-2' });
    known.clear();
    sendsFor.clear();
    await retention();
    for (const map of [known, sendsFor])
      expect([suspended, deleted, active].map(({ id }) => map.get(id))).toEqual(['suspended', 'deleted', undefined]);
  });

  it('that ended are kept for their time; then keys, members and who belonged to nothing else are gone', async () => {
    const alone = { ownerEmail: 'alone@purged.example', ownerPassword: 'a password of ten' };
    const { id } = await create('purged', alone);
    await gateway.admin('admin.members.add', { space: 'purged', email: 'both@purged.example' });
    await create('kept', { ownerEmail: 'both@purged.example' });
    const { key } = await gateway.createKey('purged');
    await fetch(`${gateway.url}/api/v1/files`, { headers: { 'X-API-Key': key } });
    await fetch(`${gateway.url}/api/v1/files`, { headers: { 'X-API-Key': key } });
    const session = await fetch(`${gateway.url}/manage/session`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ email: alone.ownerEmail, password: alone.ownerPassword }),
    });
    expect(session.status).toBe(201);
    const other = await gateway.createKey('kept');
    await gateway.admin('admin.spaces.delete', { slug: 'purged', confirm: 'purged' });

    const rows = () => rowsOfSpace(sql, id);
    const accounts = async () =>
      (await sql.query<{ email: string }>(`select email from access.account where email like '%@purged.example'`)).rows;
    const inDays = (days: number) => new Date(Date.now() + days * 86_400_000).toISOString();
    const before = await rows();
    expect(before).toMatchObject({ 'access.api_key': 1, 'access.membership': 2 });
    await retention(inDays(6));
    expect(await rows()).toEqual(before);
    const report = await retention(inDays(8));
    expect(report['purgedSpaces']).toBeGreaterThan(0);
    expect(report['spacesLeftToPurge']).toBe(0);

    // What was done stays written down for as long as the audit log keeps anything.
    expect(await rows()).toEqual({ 'access.audit': before['access.audit'] });
    expect(await accounts()).toEqual([{ email: 'both@purged.example' }]);
    const { rows: orphans } = await sql.query(
      `select key_id from access.permit where key_id not in (select id from access.api_key)
       union all select key_id from access.key_state where key_id not in (select id from access.api_key)`,
    );
    expect(orphans).toEqual([]);
    const space = () =>
      sql.query(`select name, owner_email from access.space where id = $1`, [id.slice('spc_'.length)]);
    expect((await space()).rows).toEqual([{ name: '', owner_email: '' }]);
    const answer = await fetch(`${gateway.url}/api/v1/files`, { headers: { 'X-API-Key': other.key } });
    expect(answer.status).toBe(200);

    expect((await retention(inDays(366)))['forgottenSpaces']).toBeGreaterThan(0);
    expect([await rows(), (await space()).rows]).toEqual([{}, []]);
    expect((await create('purged')).id).not.toBe(id);
  });

  it('retention drops what is over and reports it', async () => {
    const report = await gateway.admin('admin.retention.access', { now: '2099-01-01T00:00:00Z' });
    expect(Object.keys(report).sort()).toEqual([
      ...['audit', 'forgottenSpaces', 'loginAttempts', 'permits', 'purgedRows', 'purgedSpaces', 'sessions'],
      ...['spacesLeftToPurge', 'spacesToldAgain'],
    ]);
    expect(report['audit']).toBeGreaterThan(0);
    await expect(gateway.admin('admin.retention.access', { now: 'soon' })).rejects.toMatchObject({
      code: 'VALIDATION_ERROR',
    });
  });
});
