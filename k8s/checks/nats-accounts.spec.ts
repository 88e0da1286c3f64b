import { execFileSync, spawnSync } from 'node:child_process';
import { copyFileSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { connect, type NatsConnection, StringCodec } from 'nats';
import { Log } from '@keyturn/platform/logs';
import { ensureStreams, NatsLink } from '@keyturn/platform/nats';
import { freshNats, type FreshNats, natsProgram, waitFor } from '@keyturn/testing';
import { k8sFolder, type Overlay } from './overlays';

const text = StringCodec();

interface MadeSecret {
  readonly metadata: { readonly name: string };
  readonly stringData: Readonly<Record<string, string>>;
}

/** A configuration beside the passwords that `make-secrets.mjs` makes, in the folders in which the pod has them. */
class MountedConfig {
  private readonly folder = mkdtempSync(path.join(tmpdir(), 'keyturn-nats-'));
  readonly passwords: Readonly<Record<string, string>>;
  readonly file: string;

  constructor(overlay: Overlay, file: string) {
    const script = path.join(k8sFolder, 'make-secrets.mjs');
    const made = execFileSync(process.execPath, [script, overlay], { encoding: 'utf8', stdio: 'pipe' });
    const { items } = JSON.parse(made) as { items: MadeSecret[] };
    const text = items.find(({ metadata }) => metadata.name === 'nats-server')?.stringData['passwords.conf'] ?? '';
    const lines = [...text.matchAll(/^(\w+): "(.*)"$/gm)];
    this.passwords = Object.fromEntries(lines.map(([, name, password]) => [name, password]));
    for (const mount of ['nats', 'nats-passwords']) mkdirSync(path.join(this.folder, mount));
    this.change(text);
    this.file = path.join(this.folder, 'nats', file);
    copyFileSync(path.join(k8sFolder, 'overlays', overlay, file), this.file);
  }

  /** Another content of the Secret. */
  change(text: string): void {
    writeFileSync(path.join(this.folder, 'nats-passwords/passwords.conf'), text);
  }

  remove(): void {
    rmSync(this.folder, { recursive: true });
  }
}

// The very file of overlay production, on a real server.
describe('accounts of NATS', () => {
  const config = new MountedConfig('production', 'accounts.conf');
  const { passwords } = config;
  let nats: FreshNats;
  let services: NatsConnection;
  let publisher: NatsConnection;

  const as = (user: string, password = '') => connect({ servers: nats.url, user, pass: password, reconnect: false });

  beforeAll(async () => {
    nats = await freshNats({ configFile: config.file });
    const natsUrl = nats.url.replace('//', `//services:${passwords.SERVICES_PASSWORD}@`);
    const link = new NatsLink({ natsUrl }, 'test', Log.create('test', 'silent'));
    await link.whenConnected();
    await ensureStreams(link, 1);
    await link.close();
    services = await as('services', passwords.SERVICES_PASSWORD);
    publisher = await as('publisher', passwords.PUBLISHER_PASSWORD);
  });

  afterAll(async () => {
    await Promise.all([services?.close(), publisher?.close()]);
    await nats?.stop();
    config.remove();
  });

  /** The server's refusal of what a connection tried. */
  const refusal = async (connection: NatsConnection, attempt: () => void): Promise<string> => {
    for await (const status of withAttempt(connection, attempt))
      if (status.type === 'error') return String(status.data);
    return 'none';
  };

  const withAttempt = (connection: NatsConnection, attempt: () => void) => {
    const status = connection.status();
    attempt();
    return status;
  };

  it.each([
    ['domain.spc_1.file.created', 'DOMAIN'],
    ['backfill.spc_1.file.created', 'BACKFILL'],
  ])('let a publisher publish %s, acknowledged by the stream, once by its id', async (subject, stream) => {
    const publish = () => publisher.jetstream().publish(subject, text.encode('{}'), { msgID: `/tests|${subject}` });
    expect(await publish()).toMatchObject({ stream, seq: 1, duplicate: false });
    expect(await publish()).toMatchObject({ stream, seq: 1, duplicate: true });
  });

  it.each(['events.spc_1', 'rejected.spc_1', 'rpc.admin.spaces.list', '$JS.API.STREAM.PURGE.DOMAIN'])(
    'refuse a publisher the subject %s',
    async (subject) => {
      expect(await refusal(publisher, () => publisher.publish(subject, text.encode('{}')))).toBe(
        'PERMISSIONS_VIOLATION',
      );
    },
  );

  it.each(['domain.>', 'events.>', 'rpc.>', '>'])('let a publisher listen to nothing: %s', async (subject) => {
    expect(await refusal(publisher, () => void publisher.subscribe(subject))).toBe('PERMISSIONS_VIOLATION');
  });

  it('keep the replies between services from a publisher who listens to every inbox of its own account', async () => {
    const overheard: string[] = [];
    publisher.subscribe('_INBOX.>', { callback: (_, message) => void overheard.push(text.decode(message.data)) });
    services.subscribe('rpc.data.list', { callback: (_, message) => void message.respond(text.encode('private')) });
    await publisher.flush();
    expect(text.decode((await services.request('rpc.data.list')).data)).toBe('private');
    // What comes after it has come, so what did not come by then never will.
    await publisher.jetstream().publish('domain.spc_1.file.created', text.encode('{}'));
    await waitFor('the acknowledgement', () => overheard.length > 0);
    expect(overheard.filter((message) => message.includes('private'))).toEqual([]);
  });

  it('let nobody in by a wrong password, or without one', async () => {
    await expect(as('services', 'guess')).rejects.toMatchObject({ code: 'AUTHORIZATION_VIOLATION' });
    await expect(connect({ servers: nats.url, reconnect: false })).rejects.toMatchObject({
      code: 'AUTHORIZATION_VIOLATION',
    });
  });

  it('take new passwords from the file when they are told to read it again: no restart, and the others stay connected', async () => {
    const changed = { ...passwords, PUBLISHER_PASSWORD: '1e5' };
    config.change(
      Object.entries(changed)
        .map(([name, password]) => `${name}: "${password}"\n`)
        .join(''),
    );
    process.kill(nats.pid, 'SIGHUP');
    const next = await waitFor('the new password', () => as('publisher', changed.PUBLISHER_PASSWORD));
    await next.close();
    await expect(as('publisher', passwords.PUBLISHER_PASSWORD)).rejects.toMatchObject({
      code: 'AUTHORIZATION_VIOLATION',
    });
    await services.flush();
  });
});

describe('the one NATS server of overlay local', () => {
  it('understands its configuration, with the password beside it', async () => {
    const config = new MountedConfig('local', 'nats.conf');
    try {
      const { status, stderr } = spawnSync(await natsProgram(), ['-t', '-c', config.file], {
        encoding: 'utf8',
        env: { ...process.env, POD_NAME: 'nats-0' },
      });
      expect([status, stderr]).toEqual([0, expect.stringContaining('configuration file')]);
    } finally {
      config.remove();
    }
  });
});
