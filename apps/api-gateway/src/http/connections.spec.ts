import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { reply } from '@keyturn/platform/rpc';
import { freshDatabase, freshNats, waitFor, type FreshDatabase, type FreshNats } from '@keyturn/testing';
import { accessTemplate, RunningGateway, StandIn } from '../gateway-fixture';

jest.setTimeout(60_000);

/** What clients may do to their connections, by accident or not. */
describe('connections', () => {
  let database: FreshDatabase;
  let nats: FreshNats;
  let services: StandIn;
  let gateway: RunningGateway;
  let key: string;
  let head: string;
  const sockets = new Set<Socket>();

  beforeAll(async () => {
    [database, nats] = await Promise.all([freshDatabase(accessTemplate), freshNats()]);
    services = await StandIn.start(nats.url, {
      'data.space.put': () => reply({}),
      'data.list': () => reply({ count: 0, total: 0, next: null }),
    });
    gateway = await RunningGateway.start(database.url, nats.url);
    await gateway.createSpace('acme');
    ({ key } = await gateway.createKey('acme', { rateLimit: 1_000_000 }));
    head = `Host: acme.example\r\nX-API-Key: ${key}\r\n`;
  });

  afterAll(async () => {
    for (const socket of sockets) socket.destroy();
    await gateway.close();
    await services.close();
    await nats.stop();
    await database.drop();
  });

  async function open(): Promise<{ socket: Socket; said: () => string }> {
    const socket = connect({ port: Number(new URL(gateway.url).port), host: '127.0.0.1', allowHalfOpen: true });
    sockets.add(socket);
    const parts: Buffer[] = [];
    socket.on('data', (part) => parts.push(part));
    socket.on('error', () => undefined);
    await once(socket, 'connect');
    return { socket, said: () => Buffer.concat(parts).toString('latin1') };
  }

  const openMany = async (count: number) => Promise.all(Array.from({ length: count }, open));

  const expectGood = async () => {
    const started = performance.now();
    const answer = await fetch(`${gateway.url}/api/v1/files`, { headers: { 'x-api-key': key } });
    expect(answer.status).toBe(200);
    expect(performance.now() - started).toBeLessThan(2_000);
  };

  it('that say nothing, and that never finish what they say, are no burden to others; the latter are told, and cut off', async () => {
    const slow = await openMany(500);
    for (const { socket } of slow) socket.write('GET /api/v1/files HTTP/1.1\r\nHost: acme.example\r\nX-Slow: ');
    const bodies = await openMany(500);
    for (const { socket } of bodies)
      socket.write(
        `POST /api/v1/webhooks HTTP/1.1\r\n${head}Content-Type: application/json\r\nContent-Length: 99\r\n\r\n{`,
      );
    await openMany(1_000);
    await expectGood();
    const dripping = setInterval(() => slow.forEach(({ socket }) => socket.write('x')), 1_000);
    try {
      await waitFor('the slow ones to be told', () => slow.every(({ said }) => said().includes('\r\n\r\n')), 40_000);
    } finally {
      clearInterval(dripping);
    }
    for (const { said } of slow) expect(said()).toMatch(/^HTTP\/1\.1 400 [^]*"The request did not arrive in time"/);
    await waitFor('them to be cut off', () => slow.every(({ socket }) => socket.readableEnded || socket.destroyed));
    await expectGood();
    for (const socket of sockets) socket.destroy();
  });

  it('that carry many requests in one breath get the answers in their order', async () => {
    const { socket, said } = await open();
    const ids = Array.from({ length: 300 }, (_, index) => `request-${index}`);
    socket.write(ids.map((id) => `GET /api/v1/files HTTP/1.1\r\n${head}X-Request-Id: ${id}\r\n\r\n`).join(''));
    const answered = () => [...said().matchAll(/^x-request-id: (.*)\r$/gim)].map(([, id]) => id);
    await waitFor('all answers', () => answered().length === ids.length);
    expect(answered()).toEqual(ids);
    expect(said().match(/HTTP\/1\.1 200 OK\r\n/g)).toHaveLength(ids.length);
  });

  it('that the client closes for its part end: it has left, and a long poll would wait for nobody', async () => {
    const { socket, said } = await open();
    socket.end(`GET /api/v1/events?wait=30 HTTP/1.1\r\n${head}\r\n`);
    await once(socket, 'end');
    expect(said()).toBe('');
    await expectGood();
  });

  it('that are gone before the answer, and many of them, are no burden to others', async () => {
    for (const { socket } of await openMany(300)) {
      socket.write(`GET /api/v1/files HTTP/1.1\r\n${head}\r\n`);
      socket.resetAndDestroy();
    }
    await expectGood();
  });

  it('with a body that does not end are answered when it has become too large', async () => {
    const { socket, said } = await open();
    socket.write(
      `POST /api/v1/webhooks HTTP/1.1\r\n${head}Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n`,
    );
    const chunk = `10000\r\n${' '.repeat(0x10000)}\r\n`;
    let chunks = 0;
    while (said() === '' && chunks < 1_000) {
      chunks++;
      if (!socket.write(chunk)) await Promise.race([once(socket, 'drain'), once(socket, 'data')]);
    }
    await waitFor('the answer', () => said().includes('\r\n\r\n'));
    expect(said()).toMatch(/^HTTP\/1\.1 400 [^]*"The body is larger than 1 MiB"/);
    socket.destroy();
    await expectGood();
  });
});
