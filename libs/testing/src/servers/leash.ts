import { spawn, type ChildProcess } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';

/** What the shell does once we are gone: stops whatever left its pid in the folder, then removes the folder. */
const CLEAN_UP = `
cat >/dev/null
pids() { for file in "$1"/*.pid "$1"/data/postmaster.pid; do [ -f "$file" ] && head -n 1 "$file"; done; }
for signal in QUIT KILL; do
  n=0
  while [ $n -lt 50 ]; do
    left=
    for pid in $(pids "$1"); do kill -s $signal "$pid" 2>/dev/null && left=yes; done
    [ -n "$left" ] || break
    sleep 0.1; n=$((n+1))
  done
done
n=0
while [ -e "$1" ] && [ $n -lt 50 ]; do rm -rf -- "$1" 2>/dev/null; sleep 0.1; n=$((n+1)); done
`;

/**
 * A temporary folder with processes in it that do not outlive us, however we end.
 * A small shell waits on a pipe whose other end only we hold; the kernel closes it when we die, even by `kill -9`. It is
 * there before the first process is, so that there is no moment in which one could be left behind.
 */
export class LeashedFolder {
  private constructor(
    readonly path: string,
    private readonly shell: ChildProcess,
  ) {}

  static make(name: string): LeashedFolder {
    const folder = mkdtempSync(path.join(tmpdir(), `keyturn-${name}-`));
    const shell = spawn('sh', ['-c', CLEAN_UP, 'keyturn-leash', folder], {
      stdio: ['pipe', 'ignore', 'ignore'],
      detached: true,
    });
    shell.unref();
    // A pipe to a child counts as an open handle, which would keep a finished Jest waiting.
    const input = shell.stdin as unknown as { unref?(): void } | null;
    input?.unref?.();
    return new LeashedFolder(folder, shell);
  }

  /** Makes a process known that does not write its pid into the folder by itself. */
  hold(name: string, pid: number): void {
    writeFileSync(path.join(this.path, `${name}.pid`), `${pid}\n`);
  }

  letGo(name: string): void {
    rmSync(path.join(this.path, `${name}.pid`), { force: true });
  }

  /** Its processes have been stopped in the ordinary way. */
  remove(): void {
    this.shell.kill('SIGKILL');
    rmSync(this.path, { recursive: true, force: true });
  }
}
