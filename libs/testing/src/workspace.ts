import { existsSync } from 'node:fs';
import path from 'node:path';

/** The folder that holds `nx.json`: the same from the sources (Jest) and from the built tools under `dist/`. */
export function workspaceRoot(): string {
  for (let folder = __dirname; ; folder = path.dirname(folder)) {
    if (existsSync(path.join(folder, 'nx.json'))) return folder;
    if (folder === path.dirname(folder)) throw new Error(`No workspace above ${__dirname}: nx.json is missing.`);
  }
}

/** Where a running system keeps its data, secrets and run file: `KEYTURN_HOME`, or `.keyturn/` of the clone. */
export function keyturnHome(env: NodeJS.ProcessEnv = process.env): string {
  return path.resolve(env['KEYTURN_HOME'] || path.join(workspaceRoot(), '.keyturn'));
}
