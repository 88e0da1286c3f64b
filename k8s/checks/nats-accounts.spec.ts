import path from 'node:path';
import { connect, type NatsConnection, StringCodec } from 'nats';
import { Log } from '@keyturn/platform/logs';
import { ensureStreams, NatsLink } from '@keyturn/platform/nats';
import { freshNats, type FreshNats, waitFor } from '@keyturn/testing';
import { k8sFolder } from './overlays';

const passwords = { SERVICES_PASSWORD: 's-secret', PUBLISHER_PASSWORD: 'p-secret', SYSTEM_PASSWORD: 'y-secret' };
const text = StringCodec();

// The very file of overlay production, on a real server.
describe('accounts of NATS', () => {
  let nats: FreshNats;
  let services: NatsConnection;
  let publisher: NatsConnection;

  const as = (user: string, password: string) => connect({ servers: nats.url, user, pass: password, reconnect: false });

  beforeAll(async () => {
    nats = await freshNats({
      configFile: path.join(k8sFolder, 'overlays/production/accounts.conf'),
      env: passwords,
    });
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
});
