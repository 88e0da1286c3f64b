/**
 * Puts what one built program needs to run, and nothing else, into a folder: its bundle, and of each npm package only the
 * files that the bundle can reach by `require` or `import`, with the package's licence.
 * Usage: node tools/images/collect.mjs [--build] <app | cli> <folder>
 *
 * The packages stay as they are, file by file, so the image runs the very code that the tests run; bundling them would be
 * a second program. esbuild only follows the imports here and writes nothing.
 */
import { execFileSync } from 'node:child_process';
import { copyFile, mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { existsSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';

const root = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '../..');

/**
 * Packages that are found by `require.resolve` and read file by file at run time, and so are invisible to whoever follows
 * imports: package → what of it.
 */
const readByName = { 'swagger-ui-dist': ['swagger-ui-bundle.js', 'swagger-ui.css'] };

const words = process.argv.slice(2);
const [app, folder] = words.filter((word) => word !== '--build');
if (!app || !folder) {
  console.error('usage: node tools/images/collect.mjs [--build] <app | cli> <folder>');
  process.exit(1);
}
/** The command line is built with the other tools; in an image it is a program of its own. */
const isCli = app === 'cli';
if (words.includes('--build'))
  execFileSync(process.execPath, [path.join(root, 'tools/build.mjs'), isCli ? 'tools' : app], { stdio: 'inherit' });
const built = isCli ? path.join(root, 'dist/tools/keyturn.js') : path.join(root, 'dist/apps', app, 'main.js');
if (!existsSync(built)) {
  console.error(`collect: ${path.relative(root, built)} is not built`);
  process.exit(1);
}

/** Path below the outermost node_modules; undefined for a file of ours. */
function packagePath(file) {
  const at = file.split(path.sep).indexOf('node_modules');
  return at < 0 ? undefined : file.split(path.sep).slice(at + 1);
}

/** A package may try another that is not installed (a driver, a plugin); our own code may not. */
const missing = [];
const optionalOfPackages = {
  name: 'optional-of-packages',
  setup(esbuild) {
    esbuild.onResolve({ filter: /^[^./]/ }, async ({ path: name, importer, kind, resolveDir, pluginData }) => {
      if (pluginData === 'asked') return undefined;
      const found = await esbuild.resolve(name, { importer, kind, resolveDir, pluginData: 'asked' });
      if (!found.errors.length) return found;
      if (!packagePath(importer)) missing.push(name);
      return { path: name, external: true };
    });
  },
};

const { metafile } = await build({
  absWorkingDir: root,
  entryPoints: [built],
  bundle: true,
  write: false,
  metafile: true,
  outdir: 'nowhere',
  platform: 'node',
  target: 'node20',
  format: 'cjs',
  // As Node itself resolves: `main`, and no condition that only bundlers know.
  mainFields: ['main'],
  conditions: [],
  loader: { '.node': 'file' },
  plugins: [optionalOfPackages],
  logLevel: 'error',
});
if (missing.length) {
  console.error(`collect: ${app} imports what is not installed: ${missing.join(', ')}`);
  process.exit(1);
}

const wanted = new Map();
const packages = new Map();
const want = (parts, source) => wanted.set(path.join('node_modules', ...parts), source);
for (const input of Object.keys(metafile.inputs)) {
  const file = path.resolve(root, input);
  const parts = packagePath(file);
  if (!parts) continue;
  want(parts, file);
  // Every package.json on the way: name and version, and the `type` that says how the files beside it are read.
  const base = file.split(path.sep).slice(0, -parts.length);
  for (let depth = 1; depth < parts.length; depth++) {
    const here = parts.slice(0, depth);
    const manifest = path.join('/', ...base, ...here, 'package.json');
    if (!existsSync(manifest)) continue;
    want([...here, 'package.json'], manifest);
    const isPackage = /(^|\/)node_modules\/(@[^/]+\/)?[^/]+$/.test(path.join('node_modules', ...here));
    if (isPackage) packages.set(here.join('/'), path.dirname(manifest));
  }
}
const resolved = [...(await readFile(built, 'utf8')).matchAll(/\brequire\.resolve\(["']((?:@[^/"']+\/)?[^/"']+)/g)];
for (const name of new Set(resolved.map(([, found]) => found))) {
  const files = readByName[name];
  if (!files) {
    console.error(`collect: ${app} reads files of ${name}; readByName has to say which`);
    process.exit(1);
  }
  const source = path.join(root, 'node_modules', name);
  packages.set(name, source);
  for (const file of ['package.json', ...files]) want([name, file], path.join(source, file));
}
for (const [name, source] of packages)
  for (const entry of await readdir(source, { withFileTypes: true }))
    if (entry.isFile() && /^(licen[cs]e|notice|copying)/i.test(entry.name))
      want([...name.split('/'), entry.name], path.join(source, entry.name));

await rm(folder, { recursive: true, force: true });
await mkdir(folder, { recursive: true });
await copyFile(built, path.join(folder, 'main.js'));
await copyFile(`${built}.map`, path.join(folder, 'main.js.map'));
for (const parent of new Set([...wanted.keys()].map((target) => path.dirname(target))))
  await mkdir(path.join(folder, parent), { recursive: true });
await Promise.all([...wanted].map(([target, source]) => copyFile(source, path.join(folder, target))));
const { name, version, license } = JSON.parse(await readFile(path.join(root, 'package.json'), 'utf8'));
await writeFile(
  path.join(folder, 'package.json'),
  `${JSON.stringify({ name: `${name}-${app}`, version, license, private: true }, undefined, 2)}\n`,
);
console.log(`${app}: ${packages.size} packages, ${wanted.size} of their files`);
