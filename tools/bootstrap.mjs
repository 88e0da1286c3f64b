/**
 * The door of every npm command: `node tools/bootstrap.mjs <command> …` installs what is missing, builds what is stale,
 * then runs `dist/tools/<command>.js` in this very process; without a command that is all. Node's own modules only: there may be nothing else yet.
 * What it says goes to stderr, because a command's stdout may be one JSON document.
 */
import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import fs from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';
import process from 'node:process';
import { fileURLToPath } from 'node:url';

const root = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '..');
const inRoot = (...parts) => path.join(root, ...parts);
const say = (sentence) => process.stderr.write(`${sentence}\n`);

/** Ends with one clear sentence. */
class Refusal extends Error {}

const [command, ...args] = process.argv.slice(2);
try {
  checkNode();
  checkCommand();
  await prepare();
} catch (error) {
  if (!(error instanceof Refusal)) throw error;
  say(`Keyturn: ${error.message}`);
  process.exit(1);
}
if (command) run();

function checkNode() {
  const [major, minor] = process.versions.node.split('.').map(Number);
  if (major < 20 || (major === 20 && minor < 19))
    throw new Refusal(`Node.js 20.19 or newer is needed; this is ${process.versions.node}.`);
}

function checkCommand() {
  const commands = fs.readdirSync(inRoot('tools')).filter((name) => fs.existsSync(inRoot('tools', name, 'main.ts')));
  if (command !== undefined && !commands.includes(command))
    throw new Refusal(`there is no command "${command}"; there are ${commands.join(', ')}.`);
}

async function prepare() {
  if (isInstalled() && isBuilt()) return;
  await alone(async () => {
    if (!isInstalled()) await install();
    if (!isBuilt()) await build();
  });
}

/** Whether node_modules holds what package-lock.json asks for. npm writes its own copy of the lock file last. */
function isInstalled() {
  const wanted = readJson(inRoot('package-lock.json'))?.packages;
  const found = readJson(inRoot('node_modules/.package-lock.json'))?.packages;
  if (!wanted) throw new Refusal(`${inRoot('package-lock.json')} is missing or damaged; take a fresh clone.`);
  if (!found) return false;
  return Object.entries(wanted).every(
    ([name, { version, integrity, optional }]) =>
      name === '' || (found[name] ? found[name].version === version && found[name].integrity === integrity : optional),
  );
}

async function install() {
  say('Installing packages (npm ci); this takes a minute the first time …');
  // Through npm's own script when npm started us: there may be no npm on the PATH.
  const npm = process.env.npm_execpath?.endsWith('.js') ? [process.execPath, process.env.npm_execpath] : ['npm'];
  // NODE_ENV=production must not leave the build out, and `npm run -s` must not silence what goes wrong.
  // No package runs a script of its own, whatever this machine's npm is set to.
  const options = ['ci', '--include=dev', '--ignore-scripts', '--no-audit', '--no-fund', '--loglevel=error'];
  const code = await finish(npm[0], [...npm.slice(1), ...options]);
  if (code !== 0)
    throw new Refusal(`npm ci failed (exit code ${code}); what it says above has to be mended, then try again.`);
}

function isBuilt() {
  return readText(inRoot('dist/fingerprint')) === fingerprint();
}

async function build() {
  say('Building …');
  const before = fingerprint();
  fs.rmSync(inRoot('dist/fingerprint'), { force: true });
  const code = await finish(process.execPath, [inRoot('tools/build.mjs')]);
  if (code !== 0) throw new Refusal('the build failed; what is wrong stands above.');
  fs.writeFileSync(inRoot('dist/fingerprint'), before);
}

/** Of everything that a build reads. */
function fingerprint() {
  const hash = createHash('sha256');
  const add = (file) =>
    hash
      .update(`${path.relative(root, file)}\0`)
      .update(fs.readFileSync(file))
      .update('\0');
  for (const file of ['package-lock.json', 'tsconfig.base.json', 'tools/build.mjs']) add(inRoot(file));
  for (const folder of ['apps', 'libs', 'tools']) {
    const files = fs.readdirSync(inRoot(folder), { recursive: true, withFileTypes: true });
    files
      .filter(
        (entry) => entry.isFile() && /\.(ts|json|css|html|svg)$/.test(entry.name) && !/\.spec\.ts$/.test(entry.name),
      )
      .map((entry) => path.join(entry.parentPath ?? entry.path, entry.name))
      .sort()
      .forEach(add);
  }
  return hash.digest('hex');
}

/** Two commands started at once must not install or build into each other: the second waits for the first. */
async function alone(work) {
  const lock = inRoot('dist/lock');
  try {
    fs.mkdirSync(inRoot('dist'), { recursive: true });
    fs.accessSync(root, fs.constants.W_OK);
  } catch (error) {
    throw new Refusal(`cannot write to ${root} (${error.code}); use a clone in a folder that you may write to.`);
  }
  for (let told = false; ;) {
    try {
      fs.writeFileSync(lock, String(process.pid), { flag: 'wx' });
      break;
    } catch (error) {
      if (error.code !== 'EEXIST') throw new Refusal(`cannot write to ${root} (${error.code}).`);
      const holder = Number(readText(lock));
      if (!isAlive(holder)) {
        fs.rmSync(lock, { force: true });
        continue;
      }
      if (!told) say(`Waiting for another command (process ${holder}) to finish installing or building …`);
      told = true;
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
  }
  const release = () => fs.rmSync(lock, { force: true });
  process.once('exit', release);
  try {
    await work();
  } finally {
    process.off('exit', release);
    release();
  }
}

/** Runs a program to its end, its output on stderr; a signal for us ends it too. */
function finish(program, programArgs) {
  return new Promise((resolve, reject) => {
    const child = spawn(program, programArgs, { cwd: root, stdio: ['ignore', 2, 2] });
    const signals = ['SIGINT', 'SIGTERM', 'SIGHUP'];
    const stop = (signal) => {
      child.kill(signal);
      child.once('exit', () => process.exit(130));
    };
    for (const signal of signals) process.on(signal, stop);
    const done = () => signals.forEach((signal) => process.off(signal, stop));
    child.once('error', (error) => {
      done();
      reject(new Refusal(`${program} cannot be started (${error.code}); install npm with Node.js.`));
    });
    child.once('exit', (code, signal) => {
      done();
      resolve(code ?? signal);
    });
  });
}

function run() {
  const program = inRoot('dist/tools', `${command}.js`);
  process.argv = [process.execPath, program, ...args];
  process.setSourceMapsEnabled(true);
  createRequire(program)(program);
}

function isAlive(pid) {
  try {
    return pid > 0 && process.kill(pid, 0);
  } catch (error) {
    return error.code === 'EPERM';
  }
}

function readText(file) {
  try {
    return fs.readFileSync(file, 'utf8');
  } catch {
    return undefined;
  }
}

function readJson(file) {
  try {
    return JSON.parse(readText(file));
  } catch {
    return undefined;
  }
}
