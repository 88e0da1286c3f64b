import { workspaceRoot } from '@keyturn/testing';
import { readFileSync } from 'node:fs';
import path from 'node:path';

interface Locked {
  hasInstallScript?: boolean;
  integrity?: string;
  link?: boolean;
  optionalDependencies?: Record<string, string>;
}

const read = <T>(file: string): T => JSON.parse(readFileSync(path.join(workspaceRoot(), file), 'utf8')) as T;

describe('package-lock.json', () => {
  const { packages } = read<{ packages: Record<string, Locked> }>('package-lock.json');
  const { allowScripts } = read<{ allowScripts: Record<string, boolean> }>('package.json');

  it('has an entry for each optional dependency that it names, or npm ci refuses it on another platform', () => {
    const missing = Object.entries(packages).flatMap(([holder, { optionalDependencies = {} }]) =>
      Object.keys(optionalDependencies)
        .filter((name) => !isLocked(holder, name))
        .map((name) => `${name}, wanted by ${holder || 'package.json'}`),
    );
    expect(missing).toEqual([]);
  });

  it('has a decision in package.json for each package with an install script: none may run its own', () => {
    const withScript = Object.entries(packages)
      .filter(([, { hasInstallScript }]) => hasInstallScript)
      .map(([folder]) => folder.replace(/^.*node_modules\//, ''));
    expect(withScript.length).toBeGreaterThan(0);
    expect(allowScripts).toEqual(Object.fromEntries(withScript.map((name) => [name, false])));
  });

  it('is installed without scripts by whoever installs it: by hand, by npm start and by the Dockerfile', () => {
    const textOf = (file: string) => readFileSync(path.join(workspaceRoot(), file), 'utf8');
    expect(textOf('.npmrc')).toMatch(/^ignore-scripts=true$/m);
    expect(textOf('tools/bootstrap.mjs')).toMatch(/\['ci', [^\]]*'--ignore-scripts'/);
    expect(textOf('docker/Dockerfile')).toMatch(/^RUN npm ci --ignore-scripts /m);
  });

  it('takes every package from the registry, by its checksum', () => {
    const strange = Object.entries(packages).filter(
      ([folder, { integrity, link }]) => folder !== '' && (link === true || !integrity?.startsWith('sha512-')),
    );
    expect(strange.map(([folder]) => folder)).toEqual([]);
  });

  /** Node looks for a package beside its user, then in every folder above. */
  function isLocked(holder: string, name: string): boolean {
    for (let folder = holder; ; folder = folder.slice(0, Math.max(0, folder.lastIndexOf('/node_modules/')))) {
      if (packages[folder === '' ? `node_modules/${name}` : `${folder}/node_modules/${name}`]) return true;
      if (folder === '') return false;
    }
  }
});
