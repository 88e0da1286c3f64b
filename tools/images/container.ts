import { execFile, spawn, type ChildProcess } from 'node:child_process';
import { closeSync, openSync, readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { promisify } from 'node:util';

const execute = promisify(execFile);

/** How storage is kept (build.sh). */
const driver = process.env.STORAGE_DRIVER ?? 'vfs';

/** Where a container finds its secrets. */
const secretsFolder = '/run/keyturn';

/**
 * Isolation by chroot has no option for a read-only root file system. It does bind the container's folder, though, and a
 * folder that is read-only in the mount namespace around it stays so inside. In /run buildah itself makes files, and takes
 * them away; no user of a program may write there.
 */
const onReadOnlyRoot = [
  'mount --bind "$0" "$0"',
  'mount -o remount,bind,ro "$0"',
  'mount -t tmpfs -o mode=755,size=1m tmpfs "$0/run"',
  'exec "$@"',
].join(' && ');

/** What an image says of itself. */
export interface ImageFacts {
  readonly user: string;
  readonly entrypoint: readonly string[];
  readonly labels: Readonly<Record<string, string>>;
  /** Bytes of the layers above the base, as they lie on the disk. */
  readonly ownBytes: number;
  /** Of the layer that holds our files: the same for the same commit. */
  readonly layer: string;
}

interface Inspected {
  readonly OCIv1: {
    readonly config: { User?: string; Entrypoint?: string[]; Labels?: Record<string, string> };
    readonly rootfs: { diff_ids: string[] };
  };
}

/** Images and containers without an engine: buildah, with its storage in a folder of ours. */
export class Buildah {
  constructor(private readonly work: string) {}

  async inspect(image: string): Promise<ImageFacts> {
    const { OCIv1: facts } = JSON.parse(await this.run('inspect', '--type', 'image', image)) as Inspected;
    const sizes = this.layerSizes();
    // The base is one layer; whatever is above it is ours.
    const own = facts.rootfs.diff_ids.slice(1);
    return {
      user: facts.config.User ?? '',
      entrypoint: facts.config.Entrypoint ?? [],
      labels: facts.config.Labels ?? {},
      ownBytes: own.reduce((sum, layer) => sum + (sizes.get(layer) ?? Number.NaN), 0),
      layer: own.at(-1) ?? '',
    };
  }

  /** The paths of an image, the root's own left out. A folder that others may write to, or a file that is not root's, says so. */
  async paths(image: string): Promise<Map<string, 'closed' | 'open'>> {
    const name = (await this.run('from', '--pull-never', image)).trim();
    const root = (await this.run('mount', name)).trim();
    const isOpen = ['(', '!', '-type', 'l', '-perm', '/022', '-o', '!', '-uid', '0', ')', '-printf', 'open %P\\n'];
    const words = [root, '-mindepth', '1', ...isOpen, '-o', '-printf', 'closed %P\\n'];
    const { stdout } = await execute('find', words, { maxBuffer: 64 * 1024 * 1024 });
    await this.run('rm', name);
    const lines = stdout.split('\n').filter((line) => line !== '');
    return new Map(
      lines.map((line) => {
        const space = line.indexOf(' ');
        return [line.slice(space + 1), line.slice(0, space) as 'closed' | 'open'];
      }),
    );
  }

  async make(image: string, env: Readonly<Record<string, string>>): Promise<Container> {
    const name = (await this.run('from', '--pull-never', image)).trim();
    const settings = Object.entries(env).flatMap(([variable, value]) => ['--env', `${variable}=${value}`]);
    await this.run('config', ...settings, name);
    const root = (await this.run('mount', name)).trim();
    // Buildah makes what it mounts something on, and cannot once the root is read-only.
    for (const file of ['etc/hosts', 'etc/resolv.conf']) closeSync(openSync(path.join(root, file), 'a'));
    const { entrypoint } = await this.inspect(image);
    return new Container(name, entrypoint, (words) =>
      spawn('unshare', ['--mount', 'sh', '-c', onReadOnlyRoot, root, 'buildah', ...this.where, ...words]),
    );
  }

  private async run(...words: string[]): Promise<string> {
    return (await execute('buildah', [...this.where, ...words], { maxBuffer: 64 * 1024 * 1024 })).stdout;
  }

  private get where(): string[] {
    const { work } = this;
    return ['--root', path.join(work, 'storage'), '--runroot', path.join(work, 'runtime'), '--storage-driver', driver];
  }

  private layerSizes(): Map<string, number> {
    const file = path.join(this.work, 'storage', `${driver}-layers`, 'layers.json');
    const layers = JSON.parse(readFileSync(file, 'utf8')) as {
      'diff-digest'?: string;
      'diff-size'?: number;
    }[];
    return new Map(layers.map((layer) => [layer['diff-digest'] ?? '', layer['diff-size'] ?? Number.NaN]));
  }
}

/** A program in its image, run as the image says: its entry point, its user, its environment. */
export class Container {
  private child: ChildProcess | undefined;
  private text = '';

  constructor(
    private readonly name: string,
    private readonly entrypoint: readonly string[],
    private readonly start: (words: string[]) => ChildProcess,
  ) {}

  /** What it has written so far. */
  get output(): string {
    return this.text;
  }

  /** Runs it to its end and returns its exit code. `secrets` is a folder that it sees, and cannot change, as /run/keyturn. */
  run(secrets: string, ...words: string[]): Promise<number> {
    return this.execute(secrets, [...this.entrypoint, ...words]);
  }

  /** Any other command in the same image, as the same user. */
  execute(secrets: string, command: readonly string[]): Promise<number> {
    const rights = ['--isolation', 'chroot', '--cap-drop', 'all', '--volume', `${secrets}:${secretsFolder}:ro`];
    const child = this.start(['run', ...rights, this.name, '--', ...command]);
    this.child = child;
    this.text = '';
    for (const stream of [child.stdout, child.stderr])
      stream?.on('data', (data: Buffer) => (this.text += data.toString('utf8')));
    return new Promise((resolve, reject) => {
      child.once('error', reject);
      child.once('close', (code) => resolve(code ?? -1));
    });
  }

  /** The pid of the program itself: the last of the line that buildah started. */
  get pid(): number {
    let pid = this.child?.pid ?? 0;
    for (let next = childOf(pid); next !== undefined; next = childOf(pid)) pid = next;
    return pid;
  }
}

function childOf(parent: number): number | undefined {
  for (const entry of readdirSync('/proc')) {
    if (!/^\d+$/.test(entry)) continue;
    try {
      // After the name, which may hold anything and stands in brackets: state, parent.
      const stat = readFileSync(`/proc/${entry}/stat`, 'utf8');
      if (Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1]) === parent) return Number(entry);
    } catch {
      // It has ended since we listed it.
    }
  }
  return undefined;
}
