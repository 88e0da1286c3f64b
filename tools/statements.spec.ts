import { execFileSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { workspaceRoot } from '@keyturn/testing';

it('npm run statements writes down what every service says today, by the newest migration of its schema', () => {
  const folder = mkdtempSync(path.join(tmpdir(), 'keyturn-statements-'));
  try {
    execFileSync(process.execPath, [path.join(workspaceRoot(), 'tools/statements.mjs'), folder], { stdio: 'pipe' });
    const written = (place: string) => {
      const inside = path.join(folder, place, 'statements');
      const [file = '', ...others] = readdirSync(inside);
      expect(others).toEqual([]);
      const statements = JSON.parse(readFileSync(path.join(inside, file), 'utf8')) as Record<string, string>;
      return { migration: path.basename(file, '.json'), names: Object.keys(statements) };
    };
    const data = written('apps/data-service/src/migrations');
    expect(data.migration).toMatch(/^[A-Z]\w+\d{13}$/);
    expect(data.names).toEqual(expect.arrayContaining(['apply.record', 'apply.upsert_file', 'detail_files', 'lookup']));
    expect(data.names.filter((name) => name.startsWith('list_')).length).toBeGreaterThan(10);
    expect(written('apps/api-gateway/src/migrations').names.length).toBeGreaterThan(20);
    expect(written('libs/webhook-store/src/migrations').names.length).toBeGreaterThan(60);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});
