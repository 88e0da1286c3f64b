import { ApiError, type SpaceStatus } from '@keyturn/contracts';
import { reply } from '@keyturn/platform/rpc';
import { freshDatabase, freshNats, type FreshDatabase, type FreshNats } from '@keyturn/testing';
import { accessTemplate, RunningGateway, StandIn } from '../gateway-fixture';

jest.setTimeout(30_000);

describe('Spaces', () => {
  let database: FreshDatabase;
  let nats: FreshNats;
  let services: StandIn;
  let gateway: RunningGateway;
  let known: Map<string, SpaceStatus>;
  let failure: Error | undefined;

  beforeAll(async () => {
    [database, nats] = await Promise.all([freshDatabase(accessTemplate), freshNats()]);
    known = new Map();
    services = await StandIn.start(nats.url, {
      'data.space.put': ({ request }) => {
        if (failure) throw failure;
        known.set(request.spaceId, request.status);
        return reply({});
      },
      'data.list': () => reply({ count: 0, total: 0, next: null }),
    });
    gateway = await RunningGateway.start(database.url, nats.url);
  });

  afterEach(() => {
    failure = undefined;
  });

  afterAll(async () => {
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
    expect(known.get(id)).toBe('suspended');
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
    expect(known.get(id)).toBe('deleted');
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

  it('retention drops what is over and reports it', async () => {
    const report = await gateway.admin('admin.retention.access', { now: '2099-01-01T00:00:00Z' });
    expect(Object.keys(report).sort()).toEqual(['audit', 'loginAttempts', 'permits', 'sessions']);
    expect(report['audit']).toBeGreaterThan(0);
    await expect(gateway.admin('admin.retention.access', { now: 'soon' })).rejects.toMatchObject({
      code: 'VALIDATION_ERROR',
    });
  });
});
