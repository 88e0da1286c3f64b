import { freePort, isAlive, processIdentity, type ProcessIdentity, waitFor, workspaceRoot } from '@keyturn/testing';
import { spawn, type ChildProcess } from 'node:child_process';
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { createServer, type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { readRunFile, type RunFile } from '../home/run-file';

const START_MS = 90_000;

/** One npm command, run as npm runs it, with a home of its own. */
class Command {
  output = '';
  readonly ended: Promise<number | null>;
  private readonly child: ChildProcess;

  constructor(command: readonly string[], env: Record<string, string>) {
    this.child = spawn(process.execPath, [path.join(workspaceRoot(), 'tools/bootstrap.mjs'), ...command], {
      cwd: workspaceRoot(),
      env: { ...withoutOurServers(), ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    for (const stream of [this.child.stdout, this.child.stderr])
      stream?.setEncoding('utf8').on('data', (text: string) => (this.output += text));
    this.ended = new Promise((resolve) => this.child.once('close', resolve));
  }

  get pid(): number {
    return this.child.pid ?? 0;
  }

  signal(signal: NodeJS.Signals): void {
    this.child.kill(signal);
  }
}

/** The settings of whoever runs the tests must not decide what a start does. */
function withoutOurServers(): NodeJS.ProcessEnv {
  const theirs = ['DATABASE_URL', 'NATS_URL', 'MANAGEMENT_PORT', 'SECRETS_KEY', 'ADMIN_TOKEN'];
  return Object.fromEntries(Object.entries(process.env).filter(([name]) => !theirs.includes(name)));
}

jest.setTimeout(START_MS);

describe('npm start', () => {
  const folder = mkdtempSync(path.join(tmpdir(), 'keyturn-start-'));
  const home = path.join(folder, 'home');
  const env = { KEYTURN_HOME: home, GATEWAY_PORT: '0' };
  const commands: Command[] = [];
  let start: Command;

  const command = (words: readonly string[], more: Record<string, string> = {}): Command => {
    const made = new Command(words, { ...env, ...more });
    commands.push(made);
    return made;
  };
  const running = (): RunFile => {
    const run = readRunFile(home);
    if (!run) throw new Error('There is no run file.');
    return run;
  };
  const isUp = (started: Command): Promise<unknown> =>
    waitFor(
      'the system to run',
      async () => {
        if (await Promise.race([started.ended.then(() => true), Promise.resolve(false)]))
          throw new Error(`It ended: ${started.output}`);
        return started.output.includes('Ctrl-C stops it');
      },
      START_MS - 1_000,
    );
  const processesOf = ({ services, servers }: RunFile): ProcessIdentity[] =>
    [...Object.values(services), ...Object.values(servers)].flatMap(({ pid }) => processIdentity(pid) ?? []);
  const answers = async (apiKey: string, baseUrl: string): Promise<number> =>
    (await fetch(`${baseUrl}/api/v1/files?pageSize=1`, { headers: { 'X-API-Key': apiKey } })).status;

  beforeAll(async () => {
    chmodSync(folder, 0o755);
    start = command(['start']);
    await isUp(start);
  });

  afterAll(async () => {
    for (const one of commands) one.signal('SIGINT');
    await Promise.all(commands.map(({ ended }) => ended));
    rmSync(folder, { recursive: true, force: true });
  });

  it('writes the run file, for its owner only, with everything that scripts rely on', async () => {
    const run = running();
    expect(statSync(path.join(home, 'run.json')).mode & 0o777).toBe(0o600);
    expect(Object.keys(run)).toEqual(['baseUrl', 'natsUrl', 'databaseUrl', 'services', 'servers', 'demo']);
    expect(Object.keys(run.services).sort()).toEqual(['api-gateway', 'data-service', 'dispatcher', 'webhook-service']);
    for (const { managementUrl } of Object.values(run.services))
      expect((await fetch(`${managementUrl}/readyz`)).status).toBe(200);
    expect(processesOf(run)).toHaveLength(6);
    expect(run.demo).toEqual({
      spaceId: expect.stringMatching(/^spc_\d+$/),
      slug: 'demo',
      ownerEmail: expect.stringContaining('@'),
      ownerPassword: expect.stringMatching(/.{12,}/),
      apiKey: expect.stringMatching(/^tc_live_/),
    });
  });

  it('prints the base URL, a key that works and three lines to try', async () => {
    const { baseUrl, demo } = running();
    expect(start.output).toContain(`Keyturn runs at ${baseUrl}`);
    expect(start.output.match(/^curl .*$/gm)).toHaveLength(3);
    const response = await fetch(`${baseUrl}/api/v1/files`, { headers: { 'X-API-Key': demo.apiKey } });
    expect(await response.json()).toMatchObject({ success: true, pagination: { total: 200 } });
  });

  it('says where the first one runs when it is started twice', async () => {
    const second = command(['start']);
    expect(await second.ended).toBe(1);
    expect(second.output.trim().split('\n')).toEqual([expect.stringContaining(`already at ${running().baseUrl}`)]);
  });

  it('starts again what dies, with its new pid in the run file', async () => {
    const before = running();
    const victims = ['dispatcher', 'api-gateway'].map((name) => before.services[name]?.pid ?? 0);
    for (const pid of [...victims, before.servers.nats?.pid ?? 0, before.servers.postgres?.pid ?? 0])
      process.kill(pid, 'SIGKILL');
    await waitFor(
      'four new processes',
      () => {
        const old = new Set(processesOf(before).map(({ pid }) => pid));
        return (
          processesOf(running()).filter(({ pid }) => !old.has(pid)).length === 4 && processesOf(running()).length === 6
        );
      },
      30_000,
    );
    const { baseUrl, demo, natsUrl, databaseUrl } = running();
    expect([natsUrl, databaseUrl]).toEqual([before.natsUrl, before.databaseUrl]);
    await waitFor('reads', async () => (await answers(demo.apiKey, baseUrl)) === 200, 20_000);
  });

  it('lists a further instance while it runs', async () => {
    const served = command(['serve', 'api-gateway']);
    const instance = await waitFor('the instance', () => running().services['api-gateway#2'], 20_000);
    expect(instance.pid).toBe(served.pid);
    expect((await fetch(`${instance.managementUrl}/readyz`)).status).toBe(200);
    served.signal('SIGINT');
    expect(await served.ended).toBe(0);
    expect(Object.keys(running().services)).not.toContain('api-gateway#2');
  });

  it(
    'clears away what a killed start left behind, and keeps the data',
    async () => {
      const before = running();
      const left = processesOf(before);
      start.signal('SIGKILL');
      await start.ended;
      start = command(['start']);
      await isUp(start);
      expect(left.filter(isAlive)).toEqual([]);
      expect(running().demo).toEqual(before.demo);
      expect(await answers(before.demo.apiKey, running().baseUrl)).toBe(200);
    },
    START_MS,
  );

  it('stops everything at Ctrl-C, and takes the run file away', async () => {
    const all = processesOf(running());
    start.signal('SIGINT');
    expect(await start.ended).toBe(0);
    expect(all.filter(isAlive)).toEqual([]);
    expect(existsSync(path.join(home, 'run.json'))).toBe(false);
    expect(existsSync(path.join(home, 'start.json'))).toBe(false);
  });

  describe('in one sentence and with nothing left running', () => {
    const refused = async (more: Record<string, string>): Promise<string> => {
      const one = command(['start'], { KEYTURN_HOME: path.join(folder, 'refused'), ...more });
      expect(await one.ended).toBe(1);
      const sentences = one.output
        .trim()
        .split('\n')
        .filter((line) => !line.endsWith('…'));
      expect(sentences).toHaveLength(1);
      return sentences[0] ?? '';
    };

    it.each(['GATEWAY_PORT', 'MANAGEMENT_PORT'])('says that the port of %s is taken', async (setting) => {
      const holder = createServer();
      await new Promise<void>((resolve) => holder.listen(0, '127.0.0.1', resolve));
      const { port } = holder.address() as AddressInfo;
      const sentence = await refused({ [setting]: String(port) });
      const [, taken] = /^Port (\d+) is taken by another program; set (\w+) to a free one\.$/.exec(sentence) ?? [];
      expect(sentence).toContain(`set ${setting} to`);
      // MANAGEMENT_PORT stands for four in a row, and somebody may have another of them.
      expect(Number(taken) - port).toBeGreaterThanOrEqual(0);
      expect(Number(taken) - port).toBeLessThan(setting === 'MANAGEMENT_PORT' ? 4 : 1);
      holder.close();
    });

    it('says that the folder cannot be written to', async () => {
      const file = path.join(folder, 'file');
      writeFileSync(file, '');
      expect(await refused({ KEYTURN_HOME: path.join(file, 'home') })).toContain('Cannot write to');
    });

    it('says that a given server does not answer', async () => {
      const port = await freePort();
      expect(await refused({ DATABASE_URL: `postgres://keyturn@127.0.0.1:${port}/keyturn` })).toContain('DATABASE_URL');
      expect(await refused({ NATS_URL: `nats://127.0.0.1:${port}` })).toContain('NATS_URL');
    });

    it('says what is wrong with a setting of a service', async () => {
      expect(await refused({ WEBHOOK_TIMEOUT: 'soon' })).toContain('WEBHOOK_TIMEOUT');
    });

    it('stops half-way at Ctrl-C', async () => {
      const half = path.join(folder, 'half');
      mkdirSync(half);
      const one = command(['start'], { KEYTURN_HOME: half });
      await waitFor('PostgreSQL to be on its way', () => one.output.includes('Starting PostgreSQL'), 20_000);
      one.signal('SIGINT');
      expect(await one.ended).toBe(0);
      expect(one.output.trim().split('\n').at(-1)).toBe('Stopped.');
      expect(existsSync(path.join(half, 'start.json'))).toBe(false);
      const postmaster = path.join(half, 'postgres/postmaster.pid');
      expect(existsSync(postmaster) && readFileSync(postmaster, 'utf8')).toBe(false);
    });
  });
});
