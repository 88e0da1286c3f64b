import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  accessSync,
  constants,
  copyFileSync,
  mkdirSync,
  mkdtempSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { readdir } from 'node:fs/promises';
import path from 'node:path';
import { promisify } from 'node:util';
import { keyturnHome, workspaceRoot } from '../workspace';
import { ServerError } from './server-error';

const run = promisify(execFile);

/** Older servers lack the discard rule and the deduplication window that the streams are made with. */
const OLDEST = [2, 9] as const;

/** The official release that is fetched where there is no package, and the checksums its publisher gives. */
const RELEASE = '2.11.8';
const RELEASE_SHA256: Readonly<Record<string, string>> = {
  'linux-amd64': '397a6deffb5533e160de0cca322bc3dcaec7fb7282d66a3dfa87a9c183152ad1',
  'linux-arm64': 'b08936cb1dc0ae7086137bda14c352df64397c4af45ed2b392705c19585aeb84',
  'darwin-amd64': '002c943c1ed39c55cc5e024debfc02685111fcb2b1cbd887aad39ac977037477',
  'darwin-arm64': '23e0c5354c2da385708946a21900c944fcb9a3bbfd02aae27a4ae750dea0b682',
};
const DOWNLOAD_TIMEOUT_MS = 120_000;

type Progress = (sentence: string) => void;

/**
 * The `nats-server` program: from the PATH, else from the cache, else unpacked there from the Debian package without
 * root, else from the official release. `progress` hears what takes long.
 */
export async function natsProgram(progress: Progress = () => undefined, signal?: AbortSignal): Promise<string> {
  const cached = path.join(keyturnHome(), 'bin/nats-server');
  // With a home elsewhere, what the clone has already is as good.
  for (const program of [...onPath(), cached, path.join(workspaceRoot(), '.keyturn/bin/nats-server')])
    if (await isNewEnough(program)) return program;

  const reasons: string[] = [];
  for (const fetch of [fromDebianPackage, fromOfficialRelease]) {
    let workshop: string | undefined;
    try {
      mkdirSync(path.dirname(cached), { recursive: true });
      workshop = mkdtempSync(path.join(path.dirname(cached), 'fetch-'));
      const program = await fetch(workshop, progress, signal);
      if (!(await isNewEnough(program))) throw new Error(`${path.basename(program)} is older than ${OLDEST.join('.')}`);
      // Into place by rename, so that a second start never sees half a program.
      copyFileSync(program, path.join(workshop, 'nats-server.ready'));
      renameSync(path.join(workshop, 'nats-server.ready'), cached);
      return cached;
    } catch (error) {
      if (signal?.aborted) throw error;
      reasons.push(firstLine(error));
    } finally {
      if (workshop) rmSync(workshop, { recursive: true, force: true });
    }
  }
  throw new ServerError(
    `There is no nats-server (${OLDEST.join('.')} or newer): install it (Debian and Ubuntu: apt install nats-server; macOS: brew install nats-server), or start one with JetStream and name it in NATS_URL. Tried: ${reasons.join('; ')}.`,
  );
}

function onPath(): string[] {
  const folders = (process.env['PATH'] ?? '').split(path.delimiter).filter((folder) => path.isAbsolute(folder));
  // Debian's package puts it into /usr/sbin, which is not on an ordinary user's PATH.
  return [...folders, '/usr/local/bin', '/usr/sbin'].map((folder) => path.join(folder, 'nats-server'));
}

async function isNewEnough(program: string): Promise<boolean> {
  try {
    accessSync(program, constants.X_OK);
    const { stdout, stderr } = await run(program, ['--version'], { timeout: 10_000 });
    const version = /v?(\d+)\.(\d+)\.\d+/.exec(stdout + stderr);
    if (!version) return false;
    const [major, minor] = [Number(version[1]), Number(version[2])];
    return major > OLDEST[0] || (major === OLDEST[0] && minor >= OLDEST[1]);
  } catch {
    return false;
  }
}

async function fromDebianPackage(workshop: string, progress: Progress, signal?: AbortSignal): Promise<string> {
  const options = [
    ...['-o', `Dir::State::lists=${workshop}/lists`, '-o', `Dir::Cache=${workshop}/cache`],
    // Nothing of the system is touched, so neither its locks nor its download account are needed.
    ...['-o', 'Debug::NoLocking=1', '-o', 'APT::Sandbox::User=', '-o', 'Acquire::Languages=none'],
  ];
  mkdirSync(path.join(workshop, 'lists/partial'), { recursive: true });
  mkdirSync(path.join(workshop, 'cache/archives/partial'), { recursive: true });
  const apt = (...args: string[]): Promise<unknown> =>
    run('apt-get', ['-q', ...options, ...args], {
      cwd: workshop,
      timeout: DOWNLOAD_TIMEOUT_MS,
      ...(signal ? { signal } : {}),
    });
  try {
    await run('apt-get', ['--version']);
    await run('dpkg-deb', ['--version']);
  } catch (error) {
    throw new Error('this is no Debian', { cause: error });
  }
  progress('Fetching nats-server from the Debian package');
  await apt('update');
  await apt('download', 'nats-server');
  const archive = (await readdir(workshop)).find((file) => file.endsWith('.deb'));
  if (!archive) throw new Error('apt-get downloaded nothing');
  await run('dpkg-deb', ['-x', path.join(workshop, archive), path.join(workshop, 'unpacked')]);
  return path.join(workshop, 'unpacked/usr/sbin/nats-server');
}

async function fromOfficialRelease(workshop: string, progress: Progress, signal?: AbortSignal): Promise<string> {
  const platform = `${process.platform}-${process.arch === 'x64' ? 'amd64' : process.arch}`;
  const sha256 = RELEASE_SHA256[platform];
  if (!sha256) throw new Error(`the official release has no build for ${platform} that we know the checksum of`);
  const name = `nats-server-v${RELEASE}-${platform}`;
  const url = `https://github.com/nats-io/nats-server/releases/download/v${RELEASE}/${name}.tar.gz`;
  progress(`Fetching nats-server ${RELEASE} from its official release`);
  const bytes = await download(url, signal);
  const found = createHash('sha256').update(bytes).digest('hex');
  if (found !== sha256) throw new Error(`${url} has checksum ${found}, not the published ${sha256}`);
  const archive = path.join(workshop, 'release.tar.gz');
  writeFileSync(archive, bytes);
  await run('tar', ['-xzf', archive, '-C', workshop, `${name}/nats-server`]);
  return path.join(workshop, name, 'nats-server');
}

async function download(url: string, signal?: AbortSignal): Promise<Uint8Array> {
  const late = AbortSignal.timeout(DOWNLOAD_TIMEOUT_MS);
  try {
    const response = await fetch(url, { signal: signal ? AbortSignal.any([signal, late]) : late });
    if (!response.ok) throw new Error(`status ${response.status}`);
    return new Uint8Array(await response.arrayBuffer());
  } catch (error) {
    throw new Error(`${url} cannot be fetched`, { cause: error });
  }
}

function firstLine(error: unknown): string {
  const text = error instanceof Error ? error.message : String(error);
  const lines = text.split('\n').map((line) => line.trim());
  // What apt-get says comes after the line with the command.
  return (lines.find((line) => line.startsWith('E:')) ?? lines[0] ?? '').replace(/^E: /, '').replace(/\.$/, '');
}
