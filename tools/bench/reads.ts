import { fork, type ChildProcess } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { fileResource } from '@keyturn/contracts';
import { CursorCodec, parseListQuery } from '@keyturn/list-query';
import { services, type TestSystem } from '@keyturn/testing';
import { residentMegabytes, withBenchSystem } from './bench-system';
import { median, printFigure, say } from './figures';
import { liveDelaysDuring, measureApplying } from './applying';
import type { LoadPlan, LoadResult } from './load';
import { fillSpace, type ReadSpace } from './read-space';

/**
 * `npm run bench -- reads`: what a read costs through the whole system beside a bare one-process reference, whether it grows
 * with the table, how fast events are applied, and what each service holds in memory.
 */

const connections = 32;
const rounds = 5;
const smallFiles = 1_000;
const middleFiles = 20_000;

export interface ReadsOptions {
  /** Seconds of each measured round. */
  readonly seconds: number;
  /** How many files the large Space has; 0 leaves the growth figures out. */
  readonly large: number;
}

export async function benchReads(options: ReadsOptions): Promise<void> {
  await withBenchSystem({}, async (system) => {
    const small = await fillSpace(system, smallFiles);
    const middle = await fillSpace(system, middleFiles);
    await compareWithReference(system, middle, options.seconds);
    await measureApplying(system);
    for (const service of services)
      printFigure(`${service}: resident after the load`, 'MB', residentMegabytes(system, service));
    if (options.large) await measureGrowth(system, small, options);
  });
}

/** The kinds of read whose cost must not depend on how much a Space holds. */
const kinds: readonly { name: string; product(space: ReadSpace): string[]; reference(space: ReadSpace): string[] }[] = [
  { name: 'list of 25', product: () => ['/api/v1/files'], reference: () => ['/files'] },
  {
    name: 'detail',
    product: ({ fileIds }) => fileIds.map((id) => `/api/v1/files/${id}`),
    reference: ({ fileIds }) => fileIds.map((id) => `/files/${id}`),
  },
  {
    name: 'lookup',
    product: ({ phones }) => phones.map((phone) => `/api/v1/contacts/lookup?phone=${phone}`),
    reference: ({ phones }) => phones.map((phone) => `/contacts/lookup?phone=${phone}`),
  },
];

async function compareWithReference(system: TestSystem, space: ReadSpace, seconds: number): Promise<void> {
  say(`${space.files} files in a Space, key and limiter on, ${connections} connections`);
  const reference = await startReference(system.databaseUrl, space.number);
  try {
    for (const kind of kinds) {
      const ours = { ...asked(system, space, kind.product(space)), connections };
      const bare = { origin: reference.origin, paths: kind.reference(space), headers: {}, connections };
      await load({ ...ours, seconds: 2 });
      await load({ ...bare, seconds: 2 });
      const pairs: [number, number][] = [];
      // In turn, so that a busy moment of the machine meets both.
      for (let round = 0; round < rounds; round++)
        pairs.push([
          (await load({ ...ours, seconds })).requestsPerSecond,
          (await load({ ...bare, seconds })).requestsPerSecond,
        ]);
      printFigure(kind.name, 'requests/s', ...middlePair(pairs));
    }
  } finally {
    reference.child.kill();
  }
}

async function measureGrowth(system: TestSystem, small: ReadSpace, options: ReadsOptions): Promise<void> {
  let large: Awaited<ReturnType<typeof fillSpace>> | undefined;
  const delays = await liveDelaysDuring(system, async () => {
    large = await fillSpace(system, options.large);
  });
  if (!large) throw new Error('the large Space was not filled');
  printFigure(`backfill of ${options.large} files, events applied`, 'events/s', large.eventsPerSecond);
  printFigure('live event during the backfill, publish to stream EVENTS', 'ms median', median(delays));
  printFigure('live event during the backfill, publish to stream EVENTS', 'ms max', delays.at(-1) ?? 0);
  await measureGrowing(system, { small, large });
}

/** What must cost the same however much a Space holds, then what may cost more but has a bound. */
async function measureGrowing(
  system: TestSystem,
  { small, large }: { small: ReadSpace; large: ReadSpace },
): Promise<void> {
  const deep = { small: await deepCursor(system, small, 10), large: await deepCursor(system, large, 200) };
  const same: [string, (space: ReadSpace) => readonly string[]][] = [
    ['first page by id with its total', () => ['/api/v1/files']],
    ['first page by closingDate, newest first', () => ['/api/v1/files?sort=closingDate&order=desc']],
    ['first page by propertyAddress', () => ['/api/v1/files?sort=propertyAddress']],
    ['first page by listPrice, highest first', () => ['/api/v1/files?sort=listPrice&order=desc']],
    ['cursor page deep inside', (space) => [space === small ? deep.small : deep.large]],
    ['detail', (space) => kinds[1]?.product(space) ?? []],
    ['lookup', (space) => kinds[2]?.product(space) ?? []],
  ];
  for (const [name, paths] of same) {
    const pairs: [number, number][] = [];
    for (let round = 0; round < rounds; round++)
      pairs.push([
        (await load({ ...asked(system, large, paths(large)), connections: 1, seconds: 1.5 })).p50Ms,
        (await load({ ...asked(system, small, paths(small)), connections: 1, seconds: 1.5 })).p50Ms,
      ]);
    printFigure(`${name}: ${large.files} files beside ${smallFiles}`, 'ms p50', ...middlePair(pairs));
  }
  const others: [string, string][] = [
    ['lookup', kinds[2]?.product(large)[0] ?? ''],
    ['search with few matches', '/api/v1/files?search=zeta'],
    ['search with up to 1,000 matches', `/api/v1/files?search=${encodeURIComponent(await rareWord(system, large))}`],
    ['search of two letters', '/api/v1/files?search=qu'],
    ['filter by city', '/api/v1/files?city=Seattle'],
    ['filter by status, indexed sort', '/api/v1/files?status=active&sort=closingDate'],
    ['sort without an index', '/api/v1/files?sort=squareFeet&order=desc'],
    ['the last numbered page', `/api/v1/files?page=${Math.floor(large.files / 100)}&pageSize=100`],
  ];
  for (const [name, path] of others) {
    const result = await load({ ...asked(system, large, [path]), connections: 1, seconds: 5 });
    printFigure(`${name}, ${large.files} files`, 'ms p95', result.p95Ms);
    if (!path.includes('/lookup')) say(await planOf(system, large, path));
  }
}

const asked = (system: TestSystem, space: ReadSpace, paths: readonly string[]) => ({
  origin: system.baseUrl,
  paths,
  headers: { 'x-api-key': space.key },
});

/** The pair whose ratio is the middle one. */
function middlePair(pairs: readonly [number, number][]): [number, number] {
  const middle = median(pairs.map(([ours, theirs]) => ours / theirs));
  return pairs.find(([ours, theirs]) => ours / theirs === middle) ?? [0, 0];
}

/** A cursor from so many pages of 100 into the list. */
async function deepCursor(system: TestSystem, space: ReadSpace, pages: number): Promise<string> {
  let cursor = '';
  for (let page = 0; page < pages; page++) {
    const response = await fetch(
      `${system.baseUrl}/api/v1/files?pageSize=100&fields=id&cursor=${encodeURIComponent(cursor)}`,
      {
        headers: { 'x-api-key': space.key },
      },
    );
    const { pagination } = (await response.json()) as { pagination: { nextCursor: string | null } };
    if (pagination.nextCursor === null) break;
    cursor = pagination.nextCursor;
  }
  return `/api/v1/files?cursor=${encodeURIComponent(cursor)}`;
}

/** The plan that data-service really uses for a list, with what it did. */
async function planOf(system: TestSystem, space: ReadSpace, path: string): Promise<string> {
  const parameters = new URL(path, system.baseUrl).searchParams;
  const cursors = new CursorCodec(randomBytes(32).toString('hex'));
  const query = parseListQuery(fileResource, parameters, { cursors, scope: [] });
  const read = { operation: 'data.list', collection: 'files', query } as const;
  const { plan } = await system.admin.request('admin.reads.explain', { spaceId: space.spaceId, read });
  return `EXPLAIN of ${path}\n${plan}`;
}

/** In a process of its own, so that the client's work is not on the event loop of what it measures. */
export async function load(plan: LoadPlan): Promise<LoadResult> {
  const child = fork(process.argv[1] as string, ['load'], { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] });
  child.send(plan);
  const [result] = (await once(child, 'message')) as [LoadResult];
  if (result.failures) throw new Error(`${result.failures} requests failed of ${plan.paths[0]}`);
  return result;
}

async function startReference(databaseUrl: string, space: string): Promise<{ child: ChildProcess; origin: string }> {
  const args = ['reference', databaseUrl, space];
  const child = fork(process.argv[1] as string, args, { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] });
  const [origin] = (await once(child, 'message')) as [string];
  return { child, origin };
}

/** A word that some files, but at most 1,000, contain: as much of a listing number as it takes. */
async function rareWord(system: TestSystem, space: ReadSpace): Promise<string> {
  const ask = async (path: string) =>
    (await (await fetch(`${system.baseUrl}${path}`, { headers: { 'x-api-key': space.key } })).json()) as {
      data: { mlsNumber: string }[];
      pagination: { total: number };
    };
  const [file] = (await ask('/api/v1/files?mlsNumber[null]=false&pageSize=1&fields=mlsNumber')).data;
  const number = file?.mlsNumber ?? '';
  for (let length = 3; length < number.length; length++) {
    const word = number.slice(0, length);
    if ((await ask(`/api/v1/files?search=${encodeURIComponent(word)}&pageSize=1&fields=id`)).pagination.total <= 1_000)
      return word;
  }
  return number;
}
