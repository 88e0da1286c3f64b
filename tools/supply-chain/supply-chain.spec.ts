import { workspaceRoot } from '@keyturn/testing';
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import path from 'node:path';

interface Locked {
  version: string;
  license?: string;
  dev?: boolean;
  devOptional?: boolean;
  optional?: boolean;
}

const root = workspaceRoot();
const { packages } = JSON.parse(readFileSync(path.join(root, 'package-lock.json'), 'utf8')) as {
  packages: Record<string, Locked>;
};
const others = Object.entries(packages).filter(([folder]) => folder !== '');
const shipped = others.filter(([, { dev, devOptional, optional }]) => !dev && !devOptional && !optional);
const nameOf = (folder: string) => folder.replace(/^.*node_modules\//, '');

/** Licences that ask for nothing but their own text, which the images carry. */
const permissive = [
  '0BSD',
  'Apache-2.0',
  'BSD-2-Clause',
  'BSD-3-Clause',
  'BlueOak-1.0.0',
  'CC0-1.0',
  'ISC',
  'MIT',
  'Unlicense',
];
/** Of tools that are used here and shipped to nobody. */
const forTools = [...permissive, '(MIT OR CC0-1.0)', 'Apache-2.0 AND MIT', 'CC-BY-4.0', 'PSF-2.0', 'Python-2.0'];

describe('licences', () => {
  const unlike = (list: typeof others, allowed: readonly string[]) =>
    list
      .filter(([, { license }]) => !allowed.includes(license ?? ''))
      .map(([folder, { license }]) => `${nameOf(folder)}: ${license}`);

  it('of everything that is shipped are permissive', () => {
    expect(shipped.length).toBeGreaterThan(50);
    expect(unlike(shipped, permissive)).toEqual([]);
  });

  it('of the tools are ones that somebody has looked at', () => {
    expect(unlike(others, forTools)).toEqual([]);
  });
});

describe('the bill of materials', () => {
  it('names every package that is shipped, and no tool', () => {
    execFileSync(process.execPath, [path.join(root, 'tools/supply-chain/sbom.mjs')], { stdio: 'pipe' });
    const { metadata, components, dependencies } = JSON.parse(
      readFileSync(path.join(root, 'dist/keyturn.cdx.json'), 'utf8'),
    ) as {
      metadata: { component: { name: string } };
      components: { name: string; version: string; licenses: unknown[] }[];
      dependencies: { ref: string; dependsOn: string[] }[];
    };
    expect(metadata.component.name).toBe('keyturn');
    const named = components.map(({ name, version }) => `${name}@${version}`);
    const expected = [...new Set(shipped.map(([folder, { version }]) => `${nameOf(folder)}@${version}`))];
    expect(named.sort()).toEqual(expected.sort());
    // Nobody depends on what is not named.
    const refs = new Set(dependencies.map(({ ref }) => ref));
    expect(dependencies.flatMap(({ dependsOn }) => dependsOn).filter((ref) => !refs.has(ref))).toEqual([]);
  });
});
