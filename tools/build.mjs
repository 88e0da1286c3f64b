/**
 * Builds one program with esbuild: our own code in one file, packages from npm left outside.
 * Usage: node tools/build.mjs <app | tools> …   (no name: everything)
 *
 * esbuild cannot write decorator metadata, which Nest's injection reads, so files with decorators go through swc first.
 */
import { readFile } from 'node:fs/promises';
import { existsSync, readdirSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';
import { transform } from '@swc/core';

const root = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '..');

const decoratorMetadata = {
  name: 'decorator-metadata',
  setup(builder) {
    builder.onLoad({ filter: /\.ts$/ }, async ({ path: file }) => {
      const source = await readFile(file, 'utf8');
      if (!/^\s*@[A-Z]\w*\(/m.test(source)) return { contents: source, loader: 'ts' };
      const { code } = await transform(source, {
        filename: file,
        sourceMaps: 'inline',
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
  },
};

/** name → entry file and output. Apps have one entry; each tool command is an entry of its own. */
function programs() {
  const found = {};
  for (const app of readdirSync(path.join(root, 'apps'))) {
    const entry = path.join(root, 'apps', app, 'src/main.ts');
    if (existsSync(entry)) found[app] = { entries: { main: entry }, outdir: path.join(root, 'dist/apps', app) };
  }
  const commands = {};
  for (const command of readdirSync(path.join(root, 'tools'), { withFileTypes: true })) {
    const entry = path.join(root, 'tools', command.name, 'main.ts');
    if (command.isDirectory() && existsSync(entry)) commands[command.name] = entry;
  }
  if (Object.keys(commands).length) found.tools = { entries: commands, outdir: path.join(root, 'dist/tools') };
  return found;
}

const all = programs();
const wanted = process.argv.length > 2 ? process.argv.slice(2) : Object.keys(all);
for (const name of wanted) {
  const program = all[name];
  if (!program) {
    console.error(`build: there is no program "${name}" (known: ${Object.keys(all).join(', ')})`);
    process.exit(1);
  }
  await build({
    absWorkingDir: root,
    entryPoints: program.entries,
    outdir: program.outdir,
    bundle: true,
    packages: 'external',
    // The libraries' aliases look like packages, so they are named here as what they are: our own folders.
    alias: Object.fromEntries(
      ['contracts', 'list-query', 'webhook-store', 'testing'].map((lib) => [
        `@keyturn/${lib}`,
        path.join(root, 'libs', lib, 'src/index.ts'),
      ]),
    ),
    plugins: [
      {
        name: 'platform-sub-paths',
        setup(builder) {
          builder.onResolve({ filter: /^@keyturn\/platform\// }, ({ path: name }) => ({
            path: path.join(root, 'libs/platform/src', name.slice('@keyturn/platform/'.length), 'index.ts'),
          }));
        },
      },
      decoratorMetadata,
    ],
    platform: 'node',
    target: 'node20',
    format: 'cjs',
    sourcemap: true,
    logLevel: 'warning',
  }).catch((error) => {
    // What is wrong in our sources esbuild has told already.
    if (!error.errors) throw error;
    process.exit(1);
  });
}
