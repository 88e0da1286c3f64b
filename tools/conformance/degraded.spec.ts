import { readFileSync } from 'node:fs';
import path from 'node:path';
import { workspaceRoot } from '@keyturn/testing';
import { everyTest } from './test-names';

const heading = '## Degraded, not dead';

/** The first cell of each row of the table under the heading. */
function rowsOf(readme: string): string[] {
  const from = readme.indexOf(`${heading}\n`);
  if (from === -1) throw new Error(`the README has no "${heading}"`);
  const section = readme.slice(from + heading.length).split('\n## ')[0] as string;
  const [, , ...rows] = section.split('\n').filter((line) => line.startsWith('|'));
  return rows.map((row) => (row.split('|')[1] as string).trim());
}

describe('the table of what a dependency that is down does', () => {
  const root = workspaceRoot();
  const rows = rowsOf(readFileSync(path.join(root, 'README.md'), 'utf8'));
  const tests = everyTest(root);

  it('has a test for each row, which bears its name', () => {
    const untested = rows.filter(
      (row) => !tests.some(({ name }) => name.replace(/^(T-\d{3} )+/, '').startsWith(`${row}:`)),
    );
    expect(untested).toEqual([]);
    expect(new Set(rows).size).toBe(rows.length);
  });

  it('has a row for each test of the whole system', () => {
    const names = tests
      .filter(({ file }) => file === 'tools/conformance/degraded.e2e.spec.ts')
      .map(({ name }) => name.split(':')[0]);
    expect(names.length).toBeGreaterThan(8);
    expect(names.filter((name) => !rows.includes(name as string))).toEqual([]);
  });
});
