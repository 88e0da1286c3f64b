import { workspaceRoot } from '@keyturn/testing';
import { execFileSync } from 'node:child_process';

/** Lints texts as if they stood in these files; in a process of its own, since ESLint's configuration is an ES module. */
const LINT = `
import { ESLint } from 'eslint';
const texts = JSON.parse(process.argv[1]);
const eslint = new ESLint();
const found = [];
for (const { file, text } of texts) {
  const [result] = await eslint.lintText(text, { filePath: file });
  found.push(result.messages.map(({ ruleId }) => ruleId));
}
process.stdout.write(JSON.stringify(found));
`;

const BOUNDARIES = '@nx/enforce-module-boundaries';

const refused: [why: string, file: string, imported: string][] = [
  ['an app that imports an app', 'apps/api-gateway/src/wrong.ts', '../../data-service/src/main'],
  ['the gateway at the webhooks store', 'apps/api-gateway/src/wrong.ts', '@keyturn/webhook-store'],
  ['contracts that import anything', 'libs/contracts/src/wrong.ts', '@keyturn/platform/config'],
  ['a library that imports an app', 'libs/platform/src/wrong.ts', '../../../apps/data-service/src/main'],
  ['the libraries in a circle', 'libs/list-query/src/wrong.ts', '@keyturn/webhook-store'],
  ['test servers in what is deployed', 'apps/data-service/src/wrong.ts', '@keyturn/testing'],
];

const allowed: [why: string, file: string, imported: string][] = [
  ['contracts everywhere', 'apps/api-gateway/src/right.ts', '@keyturn/contracts'],
  ['test servers in a test', 'apps/data-service/src/right.spec.ts', '@keyturn/testing'],
  ['any library in a tool', 'tools/start/right.ts', '@keyturn/testing'],
];

describe('the module boundaries', () => {
  let found: Map<string, string[]>;

  beforeAll(() => {
    const env = { ...process.env, NX_DAEMON: 'false' };
    const run = (...args: string[]): string =>
      execFileSync(process.execPath, args, { cwd: workspaceRoot(), env, encoding: 'utf8', stdio: 'pipe' });
    // The rule says nothing at all without a graph of the projects, so it is made anew first.
    run('node_modules/.bin/nx', 'show', 'projects', '--json');
    const texts = [...refused, ...allowed].map(([, file, imported]) => ({
      file,
      text: `import * as it from '${imported}';\nexport const use = it;\n`,
    }));
    const results = JSON.parse(run('--input-type=module', '--eval', LINT, JSON.stringify(texts))) as string[][];
    found = new Map([...refused, ...allowed].map(([why], index) => [why, results[index] ?? []]));
  }, 60_000);

  it.each(refused)('refuse %s', (why) => {
    expect(found.get(why)).toEqual([BOUNDARIES]);
  });

  it.each(allowed)('allow %s', (why) => {
    expect(found.get(why)).toEqual([]);
  });
});
