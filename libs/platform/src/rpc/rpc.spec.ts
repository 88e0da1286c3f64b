import { Controller, Module } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { Payload, type MicroserviceOptions } from '@nestjs/microservices';
import type { INestMicroservice } from '@nestjs/common';
import { ApiError } from '@keyturn/contracts';
import { freshNats, waitFor, type FreshNats } from '@keyturn/testing';
import { Log } from '../logs';
import { Metrics } from '../metrics';
import { NatsLink } from '../nats';
import { PassErrors } from '../service/pass-errors';
import { Operation, reply, RpcClient, RpcServer, type RpcCall, type RpcReply } from '.';

const adminToken = 'a'.repeat(40);
const log = Log.create('test', 'silent');
/** Longer than NATS carries in one message. */
const longBytes = 3_000_001;

@Controller()
class Answers {
  /** Requests that wait to be answered. */
  static readonly held: (() => void)[] = [];

  static release(): void {
    for (const answer of Answers.held.splice(0)) answer();
  }

  @Operation('data.detail')
  detail(@Payload() { request, body, requestId }: RpcCall<'data.detail'>): RpcReply<'data.detail'> {
    if (request.id === 404) throw new ApiError('NOT_FOUND', 'no such record', { field: 'id' });
    if (request.id === 500) throw new Error('select password from secrets');
    if (request.id === 1) return reply({}, Buffer.alloc(longBytes, 'é'));
    return reply({}, Buffer.concat([Buffer.from(`${requestId}:`), body]));
  }

  @Operation('data.lookup')
  async lookup(): Promise<RpcReply<'data.lookup'>> {
    await new Promise<void>((resolve) => Answers.held.push(resolve));
    return reply({}, 'late');
  }

  @Operation('admin.keys.revoke')
  revoke(@Payload() { request }: RpcCall<'admin.keys.revoke'>): RpcReply<'admin.keys.revoke'> {
    return reply({ id: request.id, revokedAt: 'now' });
  }
}

@Module({ controllers: [Answers] })
class AnswersModule {}

describe('operations between services', () => {
  let nats: FreshNats;
  let clientLink: NatsLink;
  let serverLink: NatsLink;
  let rpc: RpcClient;
  let app: INestMicroservice;

  beforeAll(async () => {
    nats = await freshNats();
    serverLink = new NatsLink({ natsUrl: nats.url }, 'server', log);
    clientLink = new NatsLink({ natsUrl: nats.url }, 'client', log);
    const strategy = new RpcServer('data-service', serverLink, log, new Metrics('test'), adminToken);
    app = await NestFactory.createMicroservice<MicroserviceOptions>(AnswersModule, { strategy, logger: false });
    app.useGlobalFilters(new PassErrors());
    await app.listen();
    await Promise.all([serverLink.whenConnected(), clientLink.whenConnected()]);
    await serverLink.ping();
    rpc = new RpcClient(clientLink);
  });

  afterAll(async () => {
    Answers.release();
    await app.close();
    await Promise.all([clientLink.close(), serverLink.close()]);
    await nats.stop();
  });

  const detail = (id: number, options = {}) =>
    rpc.request('data.detail', { spaceId: 'spc_1', collection: 'files', id, fields: null }, options);

  it('carry head and raw bytes both ways', async () => {
    const { body } = await detail(7, { body: Buffer.from([0, 255, 1]), requestId: 'req-1' });
    expect(Buffer.from(body)).toEqual(Buffer.concat([Buffer.from('req-1:'), Buffer.from([0, 255, 1])]));
  });

  it('carry replies longer than a message', async () => {
    const { body } = await detail(1);
    expect(Buffer.from(body).equals(Buffer.alloc(longBytes, 'é'))).toBe(true);
  });

  it('throw the expected failures of the handler at the caller', async () => {
    await expect(detail(404)).rejects.toMatchObject({
      code: 'NOT_FOUND',
      message: 'no such record',
      options: { field: 'id' },
    });
  });

  it('T-011 keep the text of unexpected ones to themselves', async () => {
    await expect(detail(500)).rejects.toMatchObject({ code: 'INTERNAL_ERROR', message: 'Server error' });
  });

  it('fail at once where nobody answers', async () => {
    const started = performance.now();
    await expect(rpc.request('data.space.position', { spaceId: 'spc_1' })).rejects.toMatchObject({
      code: 'UNAVAILABLE',
    });
    expect(performance.now() - started).toBeLessThan(1_000);
  });

  it('end at their deadline', async () => {
    await expect(
      rpc.request('data.lookup', { spaceId: 'spc_1', phone: '1', fields: null }, { deadlineMs: 60 }),
    ).rejects.toMatchObject({ code: 'UNAVAILABLE' });
    Answers.release();
  });

  it('end at their deadline and not before, whatever becomes of the clock', async () => {
    const hour = 3_600_000;
    const real = Date.now.bind(Date);
    const lookup = (deadlineMs: number) =>
      rpc.request('data.lookup', { spaceId: 'spc_1', phone: '1', fields: null }, { deadlineMs });
    const clock = jest.spyOn(Date, 'now');
    try {
      const patient = lookup(10_000);
      const release = await waitFor('the request to arrive', () => Answers.held[0]);
      clock.mockImplementation(() => real() + hour);
      await expect(lookup(60)).rejects.toMatchObject({ code: 'UNAVAILABLE' });
      release();
      expect(Buffer.from((await patient).body).toString()).toBe('late');
      const late = lookup(200);
      clock.mockImplementation(() => real() - hour);
      await expect(late).rejects.toMatchObject({ code: 'UNAVAILABLE' });
    } finally {
      clock.mockRestore();
      Answers.release();
    }
  });

  it('refuse the command line without its credential', async () => {
    const revoke = (options: { adminToken?: string }) => rpc.request('admin.keys.revoke', { id: 'key_1' }, options);
    await expect(revoke({})).rejects.toMatchObject({ code: 'UNAUTHORIZED' });
    await expect(revoke({ adminToken: 'b'.repeat(40) })).rejects.toMatchObject({ code: 'UNAUTHORIZED' });
    await expect(revoke({ adminToken })).resolves.toMatchObject({ head: { id: 'key_1' } });
  });

  it('go on when garbage arrives on their subjects', async () => {
    const connection = await clientLink.whenConnected();
    for (const bytes of ['', 'x', '{"a":1}', '\u0004\u0000\u0000\u0000null', '['.repeat(100_000)])
      connection.publish('rpc.data.detail', Buffer.from(bytes), { reply: 'nowhere' });
    await expect(detail(7, { requestId: 'after' })).resolves.toBeDefined();
  });

  describe('of a server that ends', () => {
    let link: NatsLink;
    let release: () => void;
    let begun: number;

    /** A second server beside the first, which answers only when it is let. */
    const another = async (): Promise<RpcServer> => {
      link = new NatsLink({ natsUrl: nats.url }, 'ending', log);
      const server = new RpcServer('webhook-service', link, log, new Metrics('test'), adminToken);
      const held = new Promise<void>((resolve) => (release = resolve));
      begun = 0;
      server.addHandler('webhooks.list', async () => {
        begun++;
        await held;
        return reply({ count: 0, total: 0, next: null });
      });
      server.listen(() => undefined);
      await (await link.whenConnected()).flush();
      return server;
    };
    const ask = () =>
      rpc.request('webhooks.list', { spaceId: 'spc_1', query: {} as never }, { deadlineMs: 10_000 }).then(() => 'ok');

    it('are answered, those on their way to it included', async () => {
      const server = await another();
      const asked = Promise.all(Array.from({ length: 500 }, ask));
      await waitFor('the first to arrive', () => begun > 0);
      const ended = server.close();
      release();
      await ended;
      // What it has not taken finds nobody else; what it has taken is answered.
      await asked.catch(() => undefined);
      expect(begun).toBe(500);
      expect(new Set(await asked)).toEqual(new Set(['ok']));
      await expect(ask()).rejects.toMatchObject({ code: 'UNAVAILABLE' });
      await link.close();
    });

    it('do not keep it while NATS is away', async () => {
      const server = await another();
      await nats.kill();
      await waitFor('the link to notice', () => !link.connected);
      await server.close();
      await link.close();
      await nats.restart();
      await waitFor('both links to be back', () => clientLink.connected && serverLink.connected);
    });
  });

  it('say that NATS is away, and work again when it is back', async () => {
    const answer = new Promise<never>(() => undefined);
    const waiting = Array.from({ length: 100 }, () =>
      clientLink.whileConnected(answer).catch((error: unknown) => error),
    );
    await nats.kill();
    for (const failure of await Promise.all(waiting)) expect(failure).toMatchObject({ code: 'UNAVAILABLE' });
    await waitFor('the link to notice', () => !clientLink.connected);
    await expect(detail(7)).rejects.toMatchObject({ code: 'UNAVAILABLE' });
    await nats.restart();
    await waitFor('both links to be back', () => clientLink.connected && serverLink.connected);
    await serverLink.ping();
    await expect(detail(7, { requestId: 'back' })).resolves.toBeDefined();
  });
});
