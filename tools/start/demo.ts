import { ApiError } from '@keyturn/contracts';
import { randomBytes } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import type { Demo } from '../home/run-file';
import type { Cluster } from '../keyturn/cluster';
import { demoDay } from '../keyturn/demo/demo-events';
import { loadDemo } from '../keyturn/demo/load-demo';

const FILES = 200;
const SEED = 1;

/** What is kept of the demo Space in the home (mode 600): its key is shown only once, by the service that made it. */
interface KeptDemo extends Demo {
  /** Whether all of its records are there; a start that was stopped half-way left it false. */
  loaded: boolean;
}

export interface DemoOptions {
  readonly home: string;
  readonly baseUrl: string;
  readonly cluster: Cluster;
  /** Hears once that records are being loaded. */
  readonly loading: () => void;
}

/** The Space that a newcomer's first requests go to. Made and filled once per home and database. */
export async function demoSpace({ home, baseUrl, cluster, loading }: DemoOptions): Promise<Demo> {
  const file = path.join(home, 'demo.json');
  const keep = (kept: KeptDemo): void => writeFileSync(file, `${JSON.stringify(kept, null, 2)}\n`, { mode: 0o600 });
  const { loaded, ...demo } = (await stillAccepted(read(file), baseUrl)) ?? { loaded: false, ...(await make(cluster)) };
  keep({ ...demo, loaded });
  if (!loaded) {
    loading();
    await loadDemo({ link: cluster.link, spaceId: demo.spaceId, files: FILES, seed: SEED, today: demoDay });
    keep({ ...demo, loaded: true });
  }
  return demo;
}

async function make(cluster: Cluster): Promise<Demo> {
  const ownerPassword = randomBytes(12).toString('base64url');
  const space = await createSpace(cluster, ownerPassword);
  const { key } = await cluster.ask('admin.keys.create', { space: space.slug, name: 'Demo' });
  return { spaceId: space.id, slug: space.slug, ownerEmail: space.ownerEmail, ownerPassword, apiKey: key };
}

async function createSpace(
  cluster: Cluster,
  ownerPassword: string,
): Promise<{ id: string; slug: string; ownerEmail: string }> {
  const create = (slug: string): Promise<{ id: string; slug: string; ownerEmail: string }> =>
    cluster.ask('admin.spaces.create', {
      name: 'Harbour Point Realty',
      slug,
      ownerEmail: `owner@${slug}.example`,
      ownerPassword,
    });
  try {
    return await create('demo');
  } catch (error) {
    if (!(error instanceof ApiError) || error.code !== 'CONFLICT') throw error;
    // A database of somebody's own has one already, made from another home: its key and password are not ours to know.
    return create(`demo-${randomBytes(3).toString('hex')}`);
  }
}

/** With another database behind the same home, what is kept is worth nothing. */
async function stillAccepted(kept: KeptDemo | undefined, baseUrl: string): Promise<KeptDemo | undefined> {
  if (!kept) return undefined;
  const response = await fetch(`${baseUrl}/api/v1/files?pageSize=1`, { headers: { 'X-API-Key': kept.apiKey } });
  await response.arrayBuffer();
  return response.status === 401 ? undefined : kept;
}

function read(file: string): KeptDemo | undefined {
  try {
    return JSON.parse(readFileSync(file, 'utf8')) as KeptDemo;
  } catch {
    return undefined;
  }
}
