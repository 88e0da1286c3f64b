import { ApiError } from '@keyturn/contracts';
import type { Administration } from '@keyturn/testing';
import { randomBytes } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import type { Demo } from '../home/run-file';

/** The Space that a newcomer's first requests go to. Made once per home and database, and kept in the home (mode 600). */
export async function demoSpace(
  home: string,
  baseUrl: string,
  administration: Administration,
): Promise<{ demo: Demo; isNew: boolean }> {
  const file = path.join(home, 'demo.json');
  const kept = read(file);
  if (kept && (await isAccepted(baseUrl, kept.apiKey))) return { demo: kept, isNew: false };
  const demo = await make(administration);
  writeFileSync(file, `${JSON.stringify(demo, null, 2)}\n`, { mode: 0o600 });
  return { demo, isNew: true };
}

async function make(administration: Administration): Promise<Demo> {
  const ownerPassword = randomBytes(12).toString('base64url');
  const space = await createSpace(administration, ownerPassword);
  const { key } = await administration.request('admin.keys.create', {
    space: space.slug,
    name: 'Demo',
    rateLimit: 600,
  });
  return { spaceId: space.id, slug: space.slug, ownerEmail: space.ownerEmail, ownerPassword, apiKey: key };
}

async function createSpace(
  administration: Administration,
  ownerPassword: string,
): Promise<{ id: string; slug: string; ownerEmail: string }> {
  const create = (slug: string): Promise<{ id: string; slug: string; ownerEmail: string }> =>
    administration.request('admin.spaces.create', {
      name: 'Harbour Point Realty',
      slug,
      ownerEmail: `owner@${slug}.example`,
      ownerPassword,
    });
  try {
    return await create('demo');
  } catch (error) {
    // A database of somebody's own may have one already, made from another home; its password is not ours to know.
    if (!(error instanceof ApiError) || error.code === 'INTERNAL_ERROR') throw error;
    return create(`demo-${randomBytes(3).toString('hex')}`);
  }
}

async function isAccepted(baseUrl: string, apiKey: string): Promise<boolean> {
  const response = await fetch(`${baseUrl}/api/v1/files?pageSize=1`, { headers: { 'X-API-Key': apiKey } });
  await response.arrayBuffer();
  return response.status !== 401;
}

function read(file: string): Demo | undefined {
  try {
    return JSON.parse(readFileSync(file, 'utf8')) as Demo;
  } catch {
    return undefined;
  }
}
