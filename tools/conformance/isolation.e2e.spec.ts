import { readFileSync } from 'node:fs';
import path from 'node:path';
import { collections, resources } from '@keyturn/contracts';
import { startSystem, waitFor, workspaceRoot, type TestSystem } from '@keyturn/testing';
import { Receivers } from './receivers';
import { TestSpace } from './space';

/**
 * T-029 T-030 T-093: every documented route with the ids of another Space. The routes come from the OpenAPI document, so a new
 * one is in here as soon as it is documented.
 */

interface Documented {
  readonly paths: Readonly<
    Record<string, Readonly<Record<string, { readonly requestBody?: object; readonly security?: readonly object[] }>>>
  >;
}

const document = JSON.parse(
  readFileSync(path.join(workspaceRoot(), 'apps/api-gateway/openapi.json'), 'utf8'),
) as Documented;
const methods = ['get', 'post', 'put', 'patch', 'delete'];
const routes = Object.entries(document.paths).flatMap(([route, item]) =>
  Object.entries(item)
    // What is documented without a key is public, and of no Space that has to be asked for.
    .filter(([method, { security }]) => methods.includes(method) && security?.length !== 0)
    .map(([method]): [string, string] => [method.toUpperCase(), route]),
);
const one = routes.filter(([, route]) => route.includes('{'));
const lists = routes.filter(
  ([method, route]) => method === 'GET' && /^\/api\/v1\/[^/]+$/.test(route) && collectionOf(route),
);

const secret = 'a word of the other Space only';
const foreignId = 4_711;

function collectionOf(route: string): string | undefined {
  const [, name] = /^\/api\/v1\/([^/]+)/.exec(route) ?? [];
  return name && (name === 'webhooks' || collections.has(name)) ? name : undefined;
}

// A whole system starts first, on whatever machine this is.
jest.setTimeout(60_000);

describe('what is of another Space', () => {
  let system: TestSystem;
  let receivers: Receivers;
  let mine: TestSpace;
  let theirs: TestSpace;
  let foreign: Readonly<Record<string, string>>;

  beforeAll(async () => {
    system = await startSystem();
    receivers = await Receivers.start();
    mine = await TestSpace.make(system);
    theirs = await TestSpace.make(system);
    const all = resources.map((resource) => `${resource.name}.*`);
    const { id } = await theirs.subscribe(receivers.url('/theirs'), all, { name: secret });
    await theirs.publish(
      resources.map((resource) => ({
        type: `${resource.name}.created`,
        data: { id: foreignId, ...(resource.name === 'user' ? { role: 'agent' } : {}), ...named(resource.name) },
      })),
    );
    await receivers.received('/theirs', resources.length);
    const delivery = await waitFor('a delivery on record', async () => {
      const [row] = await theirs.door.rows(`/api/v1/webhooks/${id}/deliveries?status=success`);
      return row ? String(row.id) : undefined;
    });
    const since = new Date(Date.now() - 60_000).toISOString();
    const replay = await theirs.door.post(`/api/v1/webhooks/${id}/replays`, { since, dryRun: true });
    const { id: replayId } = replay.json.data as { id: string };
    foreign = { webhook: id, delivery, replay: replayId, record: String(foreignId) };
  });

  afterAll(async () => {
    await system.stop();
    await receivers.stop();
  });

  /** Each `{…}` of a route as its owner would fill it. */
  const filled = (route: string) =>
    route.replace(/\{(\w+)\}/g, (_all, name: string) => {
      if (name === 'deliveryId') return foreign['delivery'] as string;
      if (name === 'replayId') return foreign['replay'] as string;
      return (collectionOf(route) === 'webhooks' ? foreign['webhook'] : foreign['record']) as string;
    });

  it('is documented with a list for every collection and a route for each record', () => {
    expect(new Set(lists.map(([, route]) => collectionOf(route)))).toEqual(
      new Set([
        'webhooks',
        ...resources.flatMap(({ collection, views }) => [collection, ...views.map((v) => v.collection)]),
      ]),
    );
    expect(one.length).toBeGreaterThan(resources.length);
  });

  it.each(one)('T-030 T-093 %s %s is there for its owner and not found for another', async (method, route) => {
    const target = filled(route);
    const body = route.endsWith('/replays') ? { since: new Date(Date.now() - 60_000).toISOString() } : {};
    const sent = { method, ...(method === 'GET' || method === 'DELETE' ? {} : { body }) };
    const answer = await mine.door.send(target, sent);
    expect([answer.status, answer.json.error?.code]).toEqual([404, 'NOT_FOUND']);
    const nowhere = await mine.door.send(
      target.replaceAll(/\d+/g, (digits) => (digits === '1' ? digits : '999999999')),
      sent,
    );
    expect(answer.json).toEqual(nowhere.json);
    if (method === 'GET') expect((await theirs.door.get(target)).status).toBe(200);
  });

  it.each(one)('T-121 %s %s asks for a key before anything else', async (method, route) => {
    const answer = await mine.door.with({ 'x-api-key': 'tc_live_nobody' }).send(filled(route), { method });
    expect(answer.status).toBe(401);
  });

  it.each(lists)('T-029 %s %s shows, counts, finds and sorts nothing of it', async (_method, route) => {
    const queries = [
      '',
      '?pageSize=100',
      `?search=${encodeURIComponent('other Space')}`,
      `?cursor=`,
      '?sort=createdAt&order=desc',
    ];
    for (const query of queries) {
      const answer = await mine.door.get(route + query);
      expect([query, answer.status]).toEqual([query, 200]);
      expect(answer.text).not.toContain(secret);
      expect(answer.json.data).toEqual([]);
      if (query !== '?cursor=') expect(answer.json.pagination.total).toBe(0);
    }
    expect((await theirs.door.page(route)).pagination.total).toBe(1);
  });
});

/** The secret word in a field that every reader of the resource sees. */
function named(resource: string): Record<string, string> {
  const field = {
    file: 'name',
    contact: 'company',
    user: 'brokerage',
    task: 'title',
    calendar_item: 'title',
    contingency: 'name',
    note: 'subject',
  }[resource];
  return field ? { [field]: secret } : {};
}
