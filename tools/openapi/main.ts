import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { workspaceRoot } from '@keyturn/testing';

/** Writes the description of the Space API where it is committed: what the built gateway says it is. */
const root = workspaceRoot();
const file = path.join('apps', 'api-gateway', 'openapi.json');
const document = execFileSync(process.execPath, [path.join(root, 'dist/apps/api-gateway/main.js'), 'openapi'], {
  maxBuffer: 64 * 1024 * 1024,
});
writeFileSync(path.join(root, file), document);
process.stderr.write(`Wrote ${file}.\n`);
