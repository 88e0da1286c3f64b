import net from 'node:net';
import { AddressPolicy } from '@keyturn/webhook-store';
import { NameServer } from '../testing/name-server';
import { HttpReceiver, RawReceiver } from '../testing/receiver';
import { Connections } from './connections';
import { AddressGuard } from './destination';
import { Dialler } from './dial';
import { Exchange } from './exchange';
import { Handshake } from './handshake';
import { NameResolver } from './name-resolver';

const origin = 'hooks.keyturn.example';
const timeoutMs = 400;

describe('the handshake of CloudEvents web hooks', () => {
  const opened: { close(): void | Promise<void> }[] = [];
  const closing = <T extends { close(): void | Promise<void> }>(item: T): T => {
    opened.push(item);
    return item;
  };
  afterEach(async () => {
    for (const item of opened.splice(0).reverse()) await item.close();
  });

  function handshake(setup: { allowCidrs?: string[]; servers?: string[]; proxy?: string } = {}): Handshake {
    const policy = new AddressPolicy({ allowHttp: true, allowCidrs: setup.allowCidrs ?? ['127.0.0.0/8'] });
    const names = new NameResolver({ hostsFile: '/dev/null', ...(setup.servers ? { servers: setup.servers } : {}) });
    const connections = closing(new Connections(new Dialler(setup)));
    return new Handshake(
      new Exchange(new AddressGuard(policy, names), connections, { timeoutMs, connectTimeoutMs: 300 }),
      origin,
    );
  }
  const answering = async (status: number, headers: Record<string, string>) =>
    closing(await HttpReceiver.start((_request, response) => response.writeHead(status, headers).end()));

  it('asks the very URL by OPTIONS, and takes the rate that is granted', async () => {
    const receiver = await answering(200, {
      'WebHook-Allowed-Origin': origin,
      'WebHook-Allowed-Rate': '120',
      Allow: 'POST',
    });
    const url = `${receiver.url}?tenant=7`;
    expect(await handshake().ask({ url, ratePerMinute: 600 })).toEqual({ problem: null, allowedRate: 120 });
    expect(receiver.requests).toMatchObject([
      {
        method: 'OPTIONS',
        path: '/hook?tenant=7',
        headers: { 'webhook-request-origin': origin, 'webhook-request-rate': '600' },
      },
    ]);
    expect(receiver.requests[0]?.body).toHaveLength(0);
  });

  it.each<[string, Record<string, string>, number | null]>([
    ['*', { 'webhook-allowed-origin': '*' }, null],
    ['any rate', { 'webhook-allowed-origin': origin, 'webhook-allowed-rate': '*' }, null],
    [
      'our name in other letters',
      { 'webhook-allowed-origin': 'Hooks.Keyturn.Example', 'webhook-allowed-rate': '1' },
      1,
    ],
  ])('takes %s for a consent', async (_what, headers, allowedRate) => {
    const receiver = await answering(204, headers);
    expect(await handshake().ask({ url: receiver.url, ratePerMinute: null })).toEqual({ problem: null, allowedRate });
    expect(receiver.requests[0]?.headers['webhook-request-rate']).toBeUndefined();
  });

  it.each<[string, number, Record<string, string>, string]>([
    ['a success that says nothing', 200, { allow: 'GET, POST, OPTIONS' }, 'no WebHook-Allowed-Origin'],
    ['the consent to somebody else', 200, { 'webhook-allowed-origin': 'example.com' }, `neither ${origin} nor *`],
    ['no such method', 405, {}, 'answered 405'],
    ['an error that consents', 500, { 'webhook-allowed-origin': '*' }, 'answered 500'],
    ['a redirect', 307, { location: 'http://127.0.0.1/', 'webhook-allowed-origin': '*' }, 'answered 307'],
    ['no rate at all', 200, { 'webhook-allowed-origin': '*', 'webhook-allowed-rate': '0' }, 'WebHook-Allowed-Rate'],
    ['a rate in words', 200, { 'webhook-allowed-origin': '*', 'webhook-allowed-rate': 'ten' }, 'WebHook-Allowed-Rate'],
  ])('takes %s for a refusal, and says why', async (_what, status, headers, words) => {
    const receiver = await answering(status, headers);
    expect(await handshake().ask({ url: receiver.url, ratePerMinute: null })).toEqual({
      problem: expect.stringContaining(words) as string,
      allowedRate: null,
    });
    expect(receiver.requests).toHaveLength(1);
  });

  it('ends with the time of any exchange, and names what went wrong', async () => {
    const silent = closing(await RawReceiver.start(() => undefined));
    const started = performance.now();
    const { problem } = await handshake().ask({ url: silent.url, ratePerMinute: null });
    expect(problem).toContain(`no answer within ${timeoutMs} ms`);
    expect(performance.now() - started).toBeGreaterThanOrEqual(timeoutMs - 5);
    const gone = await RawReceiver.start(() => undefined);
    const { url } = gone;
    await gone.close();
    expect((await handshake().ask({ url, ratePerMinute: null })).problem).toContain('refused the connection');
  });

  it('X5 goes nowhere that a delivery may not go', async () => {
    const receiver = await answering(200, { 'webhook-allowed-origin': '*' });
    const names = closing(await NameServer.start((_name, family) => (family === 4 ? ['127.0.0.1'] : [])));
    const url = `https://inside.test:${receiver.port}/hook`;
    const { problem } = await handshake({ allowCidrs: [], servers: [names.address] }).ask({ url, ratePerMinute: null });
    expect(problem).toContain('loopback');
    expect(receiver.connections).toBe(0);
  });

  it('X5 goes through the egress proxy, to the address that was checked', async () => {
    const receiver = await answering(200, { 'webhook-allowed-origin': '*' });
    const names = closing(await NameServer.start((_name, family) => (family === 4 ? ['127.0.0.1'] : [])));
    const asked: string[] = [];
    const proxy = closing(
      await RawReceiver.start((socket) =>
        socket.once('data', (head) => {
          asked.push(head.toString().split('\r\n')[0] ?? '');
          const onward = net.connect({ host: '127.0.0.1', port: receiver.port }, () => {
            socket.write('HTTP/1.1 200 OK\r\n\r\n');
            socket.pipe(onward).pipe(socket);
          });
          onward.on('error', () => socket.destroy());
        }),
      ),
    );
    const through = handshake({ servers: [names.address], proxy: `http://127.0.0.1:${proxy.port}` });
    const answer = await through.ask({ url: `http://receiver.test:${receiver.port}/hook`, ratePerMinute: null });
    expect(answer.problem).toBeNull();
    expect(asked).toEqual([`CONNECT 127.0.0.1:${receiver.port} HTTP/1.1`]);
    expect(receiver.requests[0]?.headers.host).toBe(`receiver.test:${receiver.port}`);
  });
});
