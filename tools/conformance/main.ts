import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { workspaceRoot } from '@keyturn/testing';
import { conformanceTable, tableFile } from './table';
import { testsWithRows } from './test-names';

/** Writes the table of rows and tests anew. */
const root = workspaceRoot();
writeFileSync(path.join(root, tableFile), conformanceTable(testsWithRows(root)));
process.stderr.write(`Wrote ${tableFile}.\n`);
