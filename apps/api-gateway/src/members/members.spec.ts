import { reply } from '@keyturn/platform/rpc';
import { freshDatabase, freshNats, type FreshDatabase, type FreshNats } from '@keyturn/testing';
import { Audit } from '../audit/audit';
import { accessTemplate, RunningGateway, StandIn } from '../gateway-fixture';

jest.setTimeout(30_000);

const password = 'correct horse battery';

describe('members of a Space', () => {
  let database: FreshDatabase;
  let nats: FreshNats;
  let services: StandIn;
  let gateway: RunningGateway;

  beforeAll(async () => {
    [database, nats] = await Promise.all([freshDatabase(accessTemplate), freshNats()]);
    services = await StandIn.start(nats.url, { 'data.space.put': () => reply({}) });
    gateway = await RunningGateway.start(database.url, nats.url);
  });

  afterAll(async () => {
    await gateway.close();
    await services.close();
    await nats.stop();
    await database.drop();
  });

  let spaces = 0;
  let space: string;
  let spaceId: string;
  const owner = () => `owner@${space}.example`;
  beforeEach(async () => {
    space = `s-${++spaces}`;
    ({ id: spaceId } = await gateway.createSpace(space, { ownerPassword: password }));
  });

  const add = (email: string, more: { role?: string; password?: string } = {}) =>
    gateway.admin('admin.members.add', { space, email, ...more });
  const remove = (email: string) => gateway.admin('admin.members.remove', { space, email });
  const list = async () =>
    (await gateway.admin('admin.members.list', { space })).members.map(({ email, role }) => [email, role]);
  const ownerOfSpace = async () =>
    (await gateway.admin('admin.spaces.list', {})).spaces.find(({ slug }) => slug === space)?.ownerEmail;

  /** Signs in; the requests of that session. */
  async function signIn(email: string, secret: string) {
    const answer = await fetch(`${gateway.url}/manage/session`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ email, password: secret }),
    });
    const cookie = answer.headers.get('set-cookie')?.split(';')[0] ?? '';
    const status = async () =>
      (await fetch(`${gateway.url}/manage/spaces/${space}/keys`, { headers: { cookie } })).status;
    return { signedIn: answer.status, status };
  }

  it('join with an account of their own, whose password is shown once, and are listed', async () => {
    const added = await add(' Ann@Example.com ');
    expect(added).toEqual({
      email: 'ann@example.com',
      role: 'member',
      since: expect.stringMatching(/Z$/) as string,
      password: expect.stringMatching(/^.{20}$/) as string,
    });
    expect(await list()).toEqual([
      [owner(), 'owner'],
      ['ann@example.com', 'member'],
    ]);
    const { signedIn, status } = await signIn('ann@example.com', added.password ?? '');
    expect([signedIn, await status()]).toEqual([201, 403]);
    await expect(add('ann@example.com')).rejects.toMatchObject({ code: 'CONFLICT' });
  });

  it('keep their password when they join a further Space', async () => {
    await add('bob@example.com', { password });
    space = `s-${++spaces}`;
    await gateway.createSpace(space);
    await expect(add('bob@example.com', { password: 'another password' })).rejects.toMatchObject({ code: 'CONFLICT' });
    expect(await add('bob@example.com', { role: 'owner' })).not.toHaveProperty('password');
    expect((await signIn('bob@example.com', password)).signedIn).toBe(201);
  });

  it('who are removed lose what they may do at once, in open sessions too', async () => {
    await add('eve@example.com', { role: 'owner', password });
    const { status } = await signIn('eve@example.com', password);
    expect(await status()).toBe(200);
    expect(await remove('eve@example.com')).toEqual({ email: 'eve@example.com', removed: true });
    expect(await status()).toBe(404);
    await expect(remove('eve@example.com')).rejects.toMatchObject({ code: 'NOT_FOUND' });
  });

  it('always have an owner among them, whom the Space names', async () => {
    await add('member@example.com');
    await expect(remove(owner())).rejects.toMatchObject({ code: 'CONFLICT' });
    await add('next@example.com', { role: 'owner' });
    const answers = await Promise.allSettled([remove(owner()), remove('next@example.com')]);
    expect(answers.map(({ status }) => status).sort()).toEqual(['fulfilled', 'rejected']);
    const [left] = (await list()).filter(([, role]) => role === 'owner');
    expect(await ownerOfSpace()).toBe(left?.[0]);
  });

  it.each([
    ['no e-mail address', { email: 'nobody' }, 'email'],
    ['an unknown role', { email: 'a@example.com', role: 'boss' }, 'role'],
    ['a short password', { email: 'a@example.com', password: 'short' }, 'password'],
  ])('are refused with %s', async (_what, { email, ...more }, field) => {
    await expect(add(email, more)).rejects.toMatchObject({ code: 'VALIDATION_ERROR', options: { field } });
  });

  it('and what the command line has done to webhooks and records stand in the log', async () => {
    await add('ann@example.com');
    await remove('ann@example.com');
    const deed = (operation: string, object = 'wh_7') =>
      gateway.admin('admin.webhooks.deed', { spaceId, operation, object });
    await deed('webhooks.rotate');
    for (const wrong of [deed('webhooks.list'), deed('toString'), deed('webhooks.pause', 'whsec_secret')])
      await expect(wrong).rejects.toMatchObject({ code: 'VALIDATION_ERROR' });
    const erasure = (resource: string, recordId: number) =>
      gateway.admin('audit.erasure', { spaceId, resource, recordId });
    await erasure('calendar_item', 12);
    for (const wrong of [erasure('calendar-items', 12), erasure('contact', 0), erasure('contact', 'Jane Doe' as never)])
      await expect(wrong).rejects.toMatchObject({ code: 'VALIDATION_ERROR' });
    const { entries } = await gateway.part(Audit).list(spaceId, { page: 1, pageSize: 10 });
    expect(entries.map(({ actor, action, object }) => [actor, action, object])).toEqual([
      ['admin', 'record.erased', 'calendar_item_12'],
      ['admin', 'webhook.rotated', 'wh_7'],
      ['admin', 'member.removed', 'ann@example.com'],
      ['admin', 'member.added', 'ann@example.com'],
      ['admin', 'space.created', spaceId],
    ]);
  });
});
