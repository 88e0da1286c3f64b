import { rows } from './rows';
import type { NamedTest } from './test-names';

/** Where the table is committed. */
export const tableFile = 'tools/conformance/ROWS.md';

const cell = (text: string) => text.replaceAll('|', '\\|').replaceAll('<', '&lt;');

/** Which tests prove which row of the contract. */
export function conformanceTable(tests: readonly NamedTest[]): string {
  const lines = rows.map(({ id, what, waitsFor }) => {
    const proofs = tests.filter((test) => test.rows.includes(id));
    const shown = proofs.map(({ file, name }) => `\`${file}\`: ${cell(name)}`);
    return `| ${id} | ${cell(what)} | ${waitsFor ? `waits for ${waitsFor}` : shown.join('<br>')} |`;
  });
  return [
    '<!-- Written by tools/conformance/main.ts (npm run conformance); do not edit. -->',
    '',
    '# Rows of the contract and their tests',
    '',
    '| row | says | tests |',
    '|---|---|---|',
    ...lines,
    '',
  ].join('\n');
}
