import { spawnSync } from 'node:child_process';
import { chownSync, readFileSync, realpathSync, statSync } from 'node:fs';
import path from 'node:path';
import { ServerError } from './server-error';

/** How PostgreSQL's programs are to be started: it refuses to run as root, so root hands it to another account. */
export interface PostgresAccount {
  /** Makes a file or folder the account's own. */
  own(file: string): void;
  /** The program and options that `spawn` is to be called with. */
  command(program: string, args: readonly string[]): { file: string; args: string[]; uid?: number; gid?: number };
}

const ourselves: PostgresAccount = {
  own: () => undefined,
  command: (file, args) => ({ file, args: [...args] }),
};

/** The account to run as, with its data under `folder`. */
export function postgresAccount(folder: string): PostgresAccount {
  if (process.getuid?.() !== 0) return ourselves;
  const { uid, gid } = nobody();
  const own = (file: string): void => chownSync(file, uid, gid);
  if (othersCanReach(folder)) return { own, command: (file, args) => ({ file, args: [...args], uid, gid }) };
  // A home under /root: only root may enter. `setpriv` (util-linux) gives the other account just the right to pass.
  const setpriv = [
    ...[`--reuid=${uid}`, `--regid=${gid}`, '--clear-groups'],
    ...['--inh-caps=-all,+dac_override', '--ambient-caps=-all,+dac_override'],
  ];
  if (spawnSync('setpriv', [...setpriv, 'true']).status !== 0)
    throw new ServerError(
      `PostgreSQL does not run as root, and the account it would run as cannot enter ${folder}: start as an ordinary user, or set KEYTURN_HOME to a folder that others may enter.`,
    );
  return { own, command: (file, args) => ({ file: 'setpriv', args: [...setpriv, file, ...args] }) };
}

function nobody(): { uid: number; gid: number } {
  // initdb looks its own account up by name, so a number without an entry will not do.
  const accounts = readFileSync('/etc/passwd', 'utf8')
    .split('\n')
    .map((line) => line.split(':'))
    .map(([name, , uid, gid]) => ({ name, uid: Number(uid), gid: Number(gid) }))
    .filter(({ uid, gid }) => uid > 0 && gid > 0);
  const account = accounts.find(({ name }) => name === 'nobody') ?? accounts.at(-1);
  if (!account) throw new ServerError('PostgreSQL does not run as root, and /etc/passwd names no other account.');
  return account;
}

/** Whether any account may enter a folder and all those above it. */
export function othersCanReach(folder: string): boolean {
  for (let at = realpathSync(folder); ; at = path.dirname(at)) {
    if ((statSync(at).mode & 0o001) === 0) return false;
    if (at === path.dirname(at)) return true;
  }
}
