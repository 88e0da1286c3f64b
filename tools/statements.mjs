/**
 * Writes down every statement that the services make today, under the name of the newest migration of each schema:
 *   npm run statements [-- FOLDER]        (at a release, and before a migration is added; FOLDER instead of the workspace)
 * `chain.spec.ts` of each schema then holds every later migration against what a version that still runs says.
 *
 * The programs are bundled as they are, but for two things: their main function does not start, and whoever makes a statement
 * leaves it with us. Statements that depend on what a caller filters or sorts by are there in their simplest form.
 */
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';
import { transform } from '@swc/core';

const root = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '..');
const target = path.resolve(process.argv[2] ?? root);

/** What a program makes only when it is asked for something. */
const more = {
  'data-service': `
    import { collections, resources } from '@keyturn/contracts';
    import { statementsOf } from './apply/apply.sql';
    import { SpaceReader } from './read/space-reader';
    for (const resource of resources) statementsOf(resource);
    const connection = { query: async (sql) => (keep(sql), [{ json: '{}', found: '0', rows: '', total: '0' }]) };
    const reader = new SpaceReader({ of: () => ({ inSpace: () => connection }) }, { read: async () => undefined });
    const query = { filters: [], search: [], order: 'asc', pageSize: 25, fields: null };
    for (const [name] of collections) {
      void reader.detail('spc_1', name, 1, null);
      for (const sort of ['id', 'updatedAt'])
        for (const window of [{ page: 1 }, { after: null }]) void reader.list('spc_1', name, { ...query, sort, window });
    }
    void reader.lookup('spc_1', '4155550123', null);`,
};

const schemas = [
  { programs: ['api-gateway'], folder: 'apps/api-gateway/src/migrations', list: 'migrations' },
  { programs: ['data-service'], folder: 'apps/data-service/src/migrations', list: 'migrations' },
  {
    programs: ['webhook-service', 'dispatcher'],
    folder: 'libs/webhook-store/src/migrations',
    list: 'webhookMigrations',
  },
];

for (const { programs, folder, list } of schemas) {
  const statements = new Map();
  let newest;
  for (const program of programs) {
    const found = await load(program, folder, list);
    newest = found.newest;
    for (const { name, text } of found.statements) statements.set(name, text);
  }
  const file = path.join(target, folder, 'statements', `${newest}.json`);
  await mkdir(path.dirname(file), { recursive: true });
  const sorted = Object.fromEntries([...statements].sort(([a], [b]) => (a < b ? -1 : 1)));
  await writeFile(file, `${JSON.stringify(sorted, undefined, 2)}\n`);
  console.log(`${path.relative(target, file)}: ${statements.size} statements`);
}

async function load(program, folder, list) {
  const source = path.join(root, 'apps', program, 'src');
  const { outputFiles } = await build({
    absWorkingDir: root,
    stdin: {
      contents: `
        import 'reflect-metadata';
        import './main';
        import { ${list} as migrations } from '${path.join(root, folder, 'index.ts')}';
        const keep = globalThis.keepStatement;
        ${more[program] ?? ''}
        const last = migrations[migrations.length - 1];
        globalThis.newestMigration = new last().name ?? last.name;`,
      resolveDir: source,
      loader: 'ts',
    },
    bundle: true,
    write: false,
    platform: 'node',
    format: 'cjs',
    keepNames: true,
    packages: 'external',
    alias: Object.fromEntries(
      ['contracts', 'list-query', 'webhook-store'].map((lib) => [
        `@keyturn/${lib}`,
        path.join(root, 'libs', lib, 'src/index.ts'),
      ]),
    ),
    plugins: [{ name: 'statements', setup }],
  });
  const statements = [];
  globalThis.keepStatement = (made) => statements.push(made);
  const module = { exports: {} };
  const text = outputFiles[0].text;
  new Function('require', 'module', 'exports', text)(
    createRequire(path.join(source, 'main.ts')),
    module,
    module.exports,
  );
  await new Promise((resolve) => setImmediate(resolve));
  return { statements: statements.filter(({ name }) => name !== ''), newest: globalThis.newestMigration };
}

function setup(builder) {
  const platform = (part) => path.join(root, 'libs/platform/src', part, 'index.ts');
  builder.onResolve({ filter: /^@keyturn\/platform\// }, ({ path: name }) => {
    const part = name.slice('@keyturn/platform/'.length);
    return part === 'service' ? { path: 'service', namespace: 'stopped' } : { path: platform(part) };
  });
  builder.onLoad({ filter: /.*/, namespace: 'stopped' }, () => ({
    contents: `export * from '${platform('service')}';\nexport const runService = () => undefined;`,
    resolveDir: root,
  }));
  builder.onLoad({ filter: /\.ts$/ }, async ({ path: file }) => {
    let contents = await readFile(file, 'utf8');
    if (file.endsWith('platform/src/database/database.ts'))
      contents = contents.replace(
        /export function statement\(name: string, text: string\): Statement \{/,
        '$&\n  keepStatement({ name, text });',
      );
    if (!/^\s*@[A-Z]\w*\(/m.test(contents)) return { contents, loader: 'ts' };
    const { code } = await transform(contents, {
      filename: file,
      swcrc: false,
      jsc: {
        target: 'es2022',
        parser: { syntax: 'typescript', decorators: true },
        transform: { legacyDecorator: true, decoratorMetadata: true },
        keepClassNames: true,
      },
    });
    return { contents: code, loader: 'js' };
  });
}
