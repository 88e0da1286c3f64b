import { spawnSync } from 'node:child_process';
import path from 'node:path';
import { parseAllDocuments } from 'yaml';
import { buildOverlay } from './kustomize';
import type { Manifest } from './manifest';

export const k8sFolder = path.resolve(__dirname, '..');

export const overlays = ['local', 'production'] as const;
export type Overlay = (typeof overlays)[number];

const cache = new Map<Overlay, Manifest[]>();

/** Every object of an overlay. */
export function objectsOf(overlay: Overlay): Manifest[] {
  const objects = cache.get(overlay) ?? buildOverlay(path.join(k8sFolder, 'overlays', overlay));
  cache.set(overlay, objects);
  return objects;
}

/** What `kubectl kustomize` says; undefined where there is no kubectl. */
export function kubectlBuild(overlay: Overlay): Manifest[] | undefined {
  const run = spawnSync('kubectl', ['kustomize', path.join(k8sFolder, 'overlays', overlay)], { encoding: 'utf8' });
  if (run.error) return undefined;
  if (run.status !== 0) throw new Error(run.stderr);
  return parseAllDocuments(run.stdout).map((document) => document.toJS() as Manifest);
}
