import { readFileSync } from 'node:fs';
import path from 'node:path';
import { workspaceRoot } from '@keyturn/testing';
import { rows } from './rows';
import { conformanceTable, tableFile } from './table';
import { testsIn, testsWithRows } from './test-names';

describe('the rows of the contract', () => {
  const tests = testsWithRows(workspaceRoot());

  it('each have a test that carries their id', () => {
    const tested = new Set(tests.flatMap((test) => test.rows));
    expect(rows.filter(({ id, waitsFor }) => !waitsFor && !tested.has(id)).map(({ id }) => id)).toEqual([]);
  });

  it('are all that tests speak of', () => {
    const known = new Set(rows.map(({ id }) => id));
    expect(tests.filter((test) => !test.rows.every((id) => known.has(id)))).toEqual([]);
    expect(known.size).toBe(rows.length);
  });

  it('stand in a table that is up to date: npm run conformance writes it anew', () => {
    const committed = readFileSync(path.join(workspaceRoot(), tableFile), 'utf8');
    expect(committed.split('\n')).toEqual(conformanceTable(tests).split('\n'));
  });

  it('are found in names of every form, but not in comments, skipped tests or the middle of a range', () => {
    const id = (n: number) => `T-${String(n).padStart(3, '0')}`;
    const source = `
      // it('${id(900)} in a comment', () => undefined);
      describe('${id(901)} of a group', () => {
        it('${id(1)} ${id(2)} plain', () => undefined);
        it(\`${id(3)} with \${value}\`, () => undefined);
        it.each([1])('${id(4)} %s', () => undefined);
        it.each\`a\`('${id(5)} $a', () => undefined);
        it.skip('${id(902)} skipped', () => undefined);
        it('${id(10)} … ${id(12)} a range', () => undefined);
      });`;
    expect(testsIn('x.spec.ts', source).flatMap((test) => test.rows)).toEqual([1, 2, 3, 4, 5, 10, 12].map(id));
  });
});
