import { gzipSync } from 'node:zlib';
import net from 'node:net';
import tls from 'node:tls';
import { AddressPolicy } from '@keyturn/webhook-store';
import { NameServer } from '../testing/name-server';
import { HttpReceiver, RawReceiver, certificate } from '../testing/receiver';
import { Connections } from './connections';
import { AddressGuard, destinationOf } from './destination';
import { Dialler, type DialOptions } from './dial';
import { Exchange, type ExchangeOutcome } from './exchange';
import { NameResolver } from './name-resolver';

const body = Buffer.from('{"event":"file.created","data":{"name":"Zoë 🏡"},"timestamp":"2026-03-10T12:00:00.000Z"}');
const timeoutMs = 400;

/** What must be closed when a test is over, in reverse order. */
const opened: { close(): void | Promise<void> }[] = [];
const closing = <T extends { close(): void | Promise<void> }>(item: T): T => {
  opened.push(item);
  return item;
};
afterEach(async () => {
  for (const item of opened.splice(0).reverse()) await item.close();
});

interface Setup extends DialOptions {
  servers?: string[];
  hostsFile?: string;
  allowCidrs?: string[];
  allowHttp?: boolean;
  timeoutMs?: number;
  now?: () => number;
}

function exchange(setup: Setup = {}): Exchange {
  const policy = new AddressPolicy({
    allowHttp: setup.allowHttp ?? true,
    allowCidrs: setup.allowCidrs ?? ['127.0.0.0/8', '::1/128'],
  });
  const names = new NameResolver({
    hostsFile: setup.hostsFile ?? '/dev/null',
    ...(setup.servers ? { servers: setup.servers } : {}),
    ...(setup.now ? { now: setup.now } : {}),
  });
  const connections = closing(new Connections(new Dialler(setup)));
  return new Exchange(new AddressGuard(policy, names), connections, {
    timeoutMs: setup.timeoutMs ?? timeoutMs,
    connectTimeoutMs: 300,
  });
}

const post = (to: Exchange, url: string): Promise<ExchangeOutcome> =>
  to.post(destinationOf(url), ['Content-Type', 'application/json'], body);

const raw = async (behave: (socket: net.Socket, connection: number) => void, host?: string) =>
  closing(await RawReceiver.start(behave, host));

const sink = async (...given: Parameters<typeof HttpReceiver.start>) => closing(await HttpReceiver.start(...given));

/** Answers each request's head with these bytes. */
const answering =
  (...chunks: (string | Buffer)[]) =>
  (socket: net.Socket) =>
    socket.once('data', () => chunks.forEach((chunk) => socket.write(chunk)));

describe('one exchange', () => {
  it('T-107 X4 sends the exact bytes with their length, and keeps the connection', async () => {
    const receiver = await sink();
    const client = exchange();
    const first = await post(client, receiver.url);
    const second = await post(client, receiver.url);
    expect(first).toMatchObject({ status: 200, fault: null, body: 'OK', address: '127.0.0.1' });
    expect(first.connectMs).toBeGreaterThan(0);
    expect(second).toMatchObject({ status: 200, connectMs: null, address: '127.0.0.1' });
    expect(receiver.connections).toBe(1);
    expect(receiver.requests.map((request) => request.body)).toEqual([body, body]);
    expect(receiver.requests[0]).toMatchObject({
      method: 'POST',
      path: '/hook',
      headers: { host: `127.0.0.1:${receiver.port}`, 'content-length': String(body.length) },
    });
    expect(receiver.requests[0]?.headers['transfer-encoding']).toBeUndefined();
    expect(receiver.requests[0]?.headers['accept-encoding']).toBeUndefined();
  });

  it('times its steps', async () => {
    const names = closing(await NameServer.start((name) => (name === 'receiver.test' ? ['127.0.0.1'] : undefined)));
    const receiver = await sink(undefined, { tls: 'receiver' });
    const client = exchange({ servers: [names.address], extraCa: certificate('ca').cert });
    const outcome = await post(client, `https://receiver.test:${receiver.port}/hook`);
    expect(outcome).toMatchObject({ status: 200, fault: null });
    for (const step of ['dnsMs', 'connectMs', 'tlsMs', 'firstByteMs'] as const) {
      expect(outcome[step]).toBeGreaterThan(0);
      expect(outcome[step]).toBeLessThanOrEqual(outcome.totalMs);
    }
  });

  it('T-112 does not follow redirects', async () => {
    const elsewhere = await sink();
    const receiver = await sink((_request, response) => response.writeHead(307, { location: elsewhere.url }).end());
    expect(await post(exchange(), receiver.url)).toMatchObject({ status: 307, fault: null });
    expect(elsewhere.requests).toEqual([]);
  });

  it('reads Retry-After, and keeps headers without cookies', async () => {
    const receiver = await sink((_request, response) =>
      response.writeHead(429, { 'retry-after': '120', 'set-cookie': 'session=secret' }).end('slow down'),
    );
    const outcome = await post(exchange(), receiver.url);
    expect(outcome).toMatchObject({ status: 429, retryAfter: '120', body: 'slow down' });
    expect(outcome.headers).toContain('"retry-after":"120"');
    expect(outcome.headers).not.toContain('secret');
  });

  it('uses a kept connection that the receiver has closed meanwhile no more', async () => {
    const receiver = await sink((_request, response) => response.writeHead(200, { connection: 'close' }).end('OK'));
    const client = exchange();
    for (let i = 0; i < 5; i++) expect(await post(client, receiver.url)).toMatchObject({ status: 200, fault: null });
    expect(receiver.connections).toBe(5);
  });
});

describe('receivers that misbehave cost their own slot and no more', () => {
  const faults: [string, (socket: net.Socket) => void, object][] = [
    ['accepts and says nothing', () => undefined, { kind: 'timeout' }],
    ['closes at once', (socket) => socket.destroy(), { kind: 'reset' }],
    ['resets after the request', (socket) => socket.once('data', () => socket.resetAndDestroy()), { kind: 'reset' }],
    ['half-closes without an answer', (socket) => socket.once('data', () => socket.end()), { kind: 'reset' }],
    ['answers garbage', answering('220 smtp.example.com ESMTP\r\n'), { kind: 'protocol' }],
    ['answers bytes of another world', answering(Buffer.from([0, 1, 2, 255, 254])), { kind: 'protocol' }],
    [
      'upgrades unasked',
      answering('HTTP/1.1 101 Switching\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n'),
      { kind: 'reset' },
    ],
    ['sends a head of 20 KiB', answering(`HTTP/1.1 200 OK\r\nx: ${'y'.repeat(20_000)}\r\n\r\n`), { kind: 'protocol' }],
    [
      'sends headers without end',
      (socket) => {
        socket.once('data', () => {
          socket.write('HTTP/1.1 200 OK\r\n');
          const timer = setInterval(() => socket.write(`x-${Math.random()}: ${'y'.repeat(500)}\r\n`), 1);
          socket.on('close', () => clearInterval(timer));
        });
      },
      { kind: 'protocol' },
    ],
    [
      'trickles its head',
      (socket) => {
        socket.once('data', () => {
          const timer = setInterval(() => socket.write('H'), 20);
          socket.on('close', () => clearInterval(timer));
        });
      },
      { kind: expect.stringMatching(/timeout|protocol/) as string },
    ],
    [
      'sends interim answers without end',
      (socket) => {
        socket.once('data', () => {
          const timer = setInterval(() => socket.write('HTTP/1.1 103 Early Hints\r\nlink: </x>\r\n\r\n'), 5);
          socket.on('close', () => clearInterval(timer));
        });
      },
      { kind: 'timeout' },
    ],
  ];

  it.each(faults)('that %s', async (_what, behave, fault) => {
    const receiver = await raw(behave);
    const outcome = await post(exchange(), receiver.url);
    expect(outcome).toMatchObject({ status: null, fault });
    expect(outcome.totalMs).toBeLessThan(timeoutMs + 200);
    await closedAt(receiver);
  });

  it('that does not listen', async () => {
    const receiver = await RawReceiver.start(() => undefined);
    const { url } = receiver;
    await receiver.close();
    expect(await post(exchange(), url)).toMatchObject({
      status: null,
      fault: { kind: 'refused', message: expect.stringContaining('refused the connection') as string },
    });
  });

  const answers: [string, (socket: net.Socket) => void, object][] = [
    [
      'trickles its body',
      (socket) => {
        socket.once('data', () => {
          socket.write('HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n');
          const timer = setInterval(() => socket.write('z'), 20);
          socket.on('close', () => clearInterval(timer));
        });
      },
      { status: 200, body: expect.stringMatching(/^z+$/) as string },
    ],
    [
      'sends a body without end',
      (socket) => {
        socket.once('data', () => {
          socket.write('HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n');
          const timer = setInterval(() => socket.write('e'.repeat(8_000)), 1);
          socket.on('close', () => clearInterval(timer));
        });
      },
      { status: 200, body: 'e'.repeat(16 * 1024) },
    ],
    [
      'promises more than it sends',
      (socket) => socket.once('data', () => socket.end('HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nshort')),
      { status: 200, body: 'short' },
    ],
    [
      'never ends its body',
      answering('HTTP/1.1 500 No\r\nTransfer-Encoding: chunked\r\n\r\n', '3\r\nbad\r\n'),
      { status: 500, body: 'bad' },
    ],
    [
      'lies in its chunk sizes',
      answering('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n', 'zzz\r\n'),
      { status: 200, body: null },
    ],
    [
      'sends more than it promised',
      answering('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nOKmore than that HTTP/1.1'),
      { status: 200, body: 'OK' },
    ],
    [
      'answers before it has read',
      (socket) => socket.write('HTTP/1.1 202 Fine\r\nContent-Length: 0\r\n\r\n'),
      { status: 202 },
    ],
    [
      'sends NUL bytes',
      answering('HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\na\0b'),
      { status: 200, body: 'a\uFFFDb' },
    ],
  ];

  it.each(answers)('that %s, once there was a head', async (_what, behave, answer) => {
    const receiver = await raw(behave);
    const outcome = await post(exchange(), receiver.url);
    expect(outcome).toMatchObject({ fault: null, ...answer });
    expect(outcome.totalMs).toBeLessThan(timeoutMs + 200);
  });

  it('that sends a small body which unfolds to gigabytes', async () => {
    const bomb = gzipSync(Buffer.alloc(50_000_000));
    expect(bomb.length).toBeLessThan(64 * 1024);
    const receiver = await sink((_request, response) =>
      response.writeHead(200, { 'content-encoding': 'gzip' }).end(bomb),
    );
    const outcome = await post(exchange(), receiver.url);
    expect(outcome).toMatchObject({ status: 200, fault: null });
    expect(outcome.body?.length).toBeLessThan(200);
  });

  it.each(['constructor', '__proto__', 'toString', 'gzip, gzip', ''])(
    'whose body is in an encoding that nobody knows: "%s"',
    async (encoding) => {
      const head = `HTTP/1.1 200 OK\r\nContent-Encoding: ${encoding}\r\nContent-Length: 4\r\n\r\n`;
      const receiver = await raw(answering(`${head}fine`));
      expect(await post(exchange(), receiver.url)).toMatchObject({ status: 200, fault: null, body: 'fine' });
    },
  );

  it('that compresses unasked', async () => {
    const receiver = await sink((_request, response) =>
      response.writeHead(400, { 'content-encoding': 'gzip' }).end(gzipSync('what went wrong')),
    );
    expect(await post(exchange(), receiver.url)).toMatchObject({ status: 400, body: 'what went wrong' });
  });
});

describe('the address that is dialled is the address that was checked (X5)', () => {
  it('refuses what a name leads to, without a connection', async () => {
    const names = closing(await NameServer.start(() => ['127.0.0.1', '::1']));
    const receiver = await raw(() => undefined);
    const client = exchange({ servers: [names.address], allowCidrs: [] });
    expect(await post(client, `https://inside.test:${receiver.port}/`)).toMatchObject({
      status: null,
      address: null,
      fault: { kind: 'blocked_address', message: 'inside.test leads to 127.0.0.1 is a loopback address' },
    });
    expect(receiver.connections).toBe(0);
  });

  it('refuses a name that mixes addresses', async () => {
    const names = closing(await NameServer.start(() => ['127.0.0.1', '10.0.0.1']));
    const receiver = await raw(() => undefined);
    const outcome = await post(exchange({ servers: [names.address] }), `http://mixed.test:${receiver.port}/`);
    expect(outcome.fault).toMatchObject({ kind: 'blocked_address' });
    expect(receiver.connections).toBe(0);
  });

  it('refuses a mapped answer', async () => {
    const names = closing(await NameServer.start((_name, family) => (family === 6 ? ['::ffff:a9fe:a9fe'] : [])));
    const outcome = await post(exchange({ servers: [names.address] }), 'https://mapped.test/');
    expect(outcome.fault).toMatchObject({
      kind: 'blocked_address',
      message: expect.stringContaining('169.254.169.254') as string,
    });
  });

  it('looks up once per attempt, so that a rebinding name is judged by the answer that is dialled', async () => {
    let now = 1_000_000;
    let answers = ['127.0.0.1'];
    const names = closing(await NameServer.start(() => answers, 1));
    const receiver = await sink();
    const client = exchange({ servers: [names.address], now: () => now, allowCidrs: ['127.0.0.1/32'] });
    const url = `http://rebound.test:${receiver.port}/hook`;
    expect(await post(client, url)).toMatchObject({ status: 200, address: '127.0.0.1' });
    // The kept connection leads to the old address, so it must not serve the new one.
    answers = ['127.0.0.2'];
    now += 2_000;
    expect(await post(client, url)).toMatchObject({ status: null, fault: { kind: 'blocked_address' } });
    answers = ['127.0.0.1'];
    now += 2_000;
    expect(await post(client, url)).toMatchObject({ status: 200, connectMs: null });
    expect(receiver.requests.length).toBe(2);
    expect(names.questions.filter((question) => question === 'rebound.test 4').length).toBe(3);
  });

  it('sends plain http only where an operator has allowed it', async () => {
    const names = closing(await NameServer.start(() => ['93.184.216.34']));
    expect((await post(exchange({ servers: [names.address] }), 'http://public.test/')).fault).toMatchObject({
      kind: 'blocked_address',
      message: 'public.test leads to 93.184.216.34, where only https may go',
    });
  });

  it('tries the other addresses of a name when one is dead', async () => {
    const receiver = await sink();
    const names = closing(await NameServer.start((_name, family) => (family === 4 ? ['127.0.0.9', '127.0.0.1'] : [])));
    const client = exchange({ servers: [names.address] });
    expect(await post(client, `http://two.test:${receiver.port}/hook`)).toMatchObject({
      status: 200,
      address: '127.0.0.1',
    });
  });

  it('says that a name does not exist, or that DNS is silent', async () => {
    const names = closing(await NameServer.start((name) => (name === 'silent.test' ? null : undefined)));
    const client = exchange({ servers: [names.address] });
    expect((await post(client, 'https://nowhere.test/')).fault).toMatchObject({
      kind: 'dns',
      message: 'nowhere.test has no address in DNS (ENOTFOUND)',
    });
    const silent = await post(client, 'https://silent.test/');
    expect(silent.fault).toMatchObject({ kind: 'dns' });
    expect(silent.totalMs).toBeLessThan(timeoutMs + 200);
  });
});

describe('https', () => {
  const trusting = { extraCa: certificate('ca').cert };

  it('verifies certificates', async () => {
    const receiver = await sink(undefined, { tls: 'receiver' });
    expect(await post(exchange(trusting), receiver.url)).toMatchObject({ status: 200, fault: null });
    expect(await post(exchange(), receiver.url)).toMatchObject({
      status: null,
      fault: { kind: 'tls', message: expect.stringContaining('UNABLE_TO_VERIFY_LEAF_SIGNATURE') as string },
    });
  });

  it.each(['other', 'expired'] as const)('refuses a certificate that is %s', async (tls) => {
    const receiver = await sink(undefined, { tls });
    expect(await post(exchange(trusting), receiver.url)).toMatchObject({ status: null, fault: { kind: 'tls' } });
    expect(receiver.requests).toEqual([]);
  });

  it('ends a handshake that never ends', async () => {
    const receiver = await raw(() => undefined);
    const outcome = await post(exchange(trusting), receiver.url.replace('http:', 'https:'));
    expect(outcome).toMatchObject({ status: null, fault: { kind: 'timeout' } });
    expect(outcome.totalMs).toBeLessThan(timeoutMs + 200);
  });

  it.each([
    ['closes', (socket: net.Socket) => socket.destroy()],
    ['resets', (socket: net.Socket) => socket.resetAndDestroy()],
  ])('T-112 a receiver that %s the connection in the handshake has a fault of the connection', async (_how, end) => {
    const receiver = await raw((socket) => void socket.once('data', () => end(socket)));
    expect(await post(exchange(trusting), receiver.url.replace('http:', 'https:'))).toMatchObject({
      status: null,
      fault: { kind: 'reset', message: expect.stringContaining('closed the connection during the TLS') as string },
    });
  });

  it('names a receiver that speaks no TLS', async () => {
    const receiver = await raw(answering('HTTP/1.1 400 Bad Request\r\n\r\n'));
    expect((await post(exchange(trusting), receiver.url.replace('http:', 'https:'))).fault).toMatchObject({
      kind: 'tls',
    });
  });
});

describe('an egress proxy', () => {
  const established = 'HTTP/1.1 200 Connection established\r\n\r\n';

  /** Speaks CONNECT, over TLS where a certificate is named, and keeps what it was asked for. */
  async function proxy({ answer = established, tls: name }: { answer?: string; tls?: 'receiver' | 'other' } = {}) {
    const asked: string[] = [];
    const server = await raw((plain) => {
      const socket = name ? new tls.TLSSocket(plain, { isServer: true, ...certificate(name) }) : plain;
      socket.on('error', () => plain.destroy());
      socket.once('data', (head) => {
        asked.push(head.toString());
        const [, host = '', port = ''] = /^CONNECT \[?([^\]\s]+?)\]?:(\d+) /.exec(head.toString()) ?? [];
        if (!answer.includes(' 200 ')) return socket.end(answer);
        const onward = net.connect({ host, port: Number(port) }, () => {
          socket.write(answer);
          socket.pipe(onward).pipe(socket);
        });
        onward.on('error', () => socket.destroy());
        return undefined;
      });
    });
    return { url: `${name ? 'https' : 'http'}://user:pass%20word@127.0.0.1:${server.port}`, asked };
  }

  it.each([
    ['in the clear', {}],
    ['that is asked over TLS', { tls: 'receiver' }],
  ] as const)('%s carries http and https to the address that was checked, and keeps the guard', async (_how, kind) => {
    const names = closing(await NameServer.start((name) => (name === 'receiver.test' ? ['127.0.0.1'] : ['10.0.0.1'])));
    const secure = await sink(undefined, { tls: 'receiver' });
    const plain = await sink();
    const { url, asked } = await proxy(kind);
    const client = exchange({ proxy: url, servers: [names.address], extraCa: certificate('ca').cert });
    expect(await post(client, `https://receiver.test:${secure.port}/hook`)).toMatchObject({ status: 200, fault: null });
    expect(await post(client, plain.url)).toMatchObject({ status: 200, fault: null });
    expect((await post(client, 'https://inside.test/')).fault).toMatchObject({ kind: 'blocked_address' });
    expect(asked.map((head) => head.split('\r\n')[0])).toEqual([
      `CONNECT 127.0.0.1:${secure.port} HTTP/1.1`,
      `CONNECT 127.0.0.1:${plain.port} HTTP/1.1`,
    ]);
    expect(asked[0]).toContain(`Proxy-Authorization: Basic ${Buffer.from('user:pass word').toString('base64')}`);
  });

  it('that refuses is named', async () => {
    const { url } = await proxy({ answer: 'HTTP/1.1 403 Forbidden\r\n\r\n' });
    const receiver = await sink();
    expect((await post(exchange({ proxy: url }), receiver.url)).fault).toMatchObject({
      kind: 'proxy',
      message: expect.stringContaining('403 Forbidden') as string,
    });
  });

  it.each([
    ['whose certificate is of another host', { tls: 'other' }],
    ['that speaks no TLS', {}],
  ] as const)('%s is asked for nothing, and named', async (_what, kind) => {
    const { url, asked } = await proxy(kind);
    const receiver = await sink();
    const client = exchange({ proxy: url.replace('http:', 'https:'), extraCa: certificate('ca').cert });
    expect((await post(client, receiver.url)).fault).toMatchObject({
      kind: 'proxy',
      message: expect.stringMatching(/^the egress proxy .*TLS handshake/) as string,
    });
    expect(asked.join()).not.toContain('CONNECT');
    expect(receiver.connections).toBe(0);
  });

  it.each([
    ['before its answer', 'proxy', 1],
    ['when TLS with the receiver begins', 'reset', 2],
  ] as const)('over TLS that breaks off %s is named', async (_when, kind, at) => {
    const receiver = await sink(undefined, { tls: 'receiver' });
    const server = await raw((plain) => {
      let heard = 0;
      new tls.TLSSocket(plain, { isServer: true, ...certificate('receiver') })
        .on('error', () => undefined)
        .on('data', function (this: tls.TLSSocket) {
          if (++heard === at) plain.resetAndDestroy();
          else this.write(established);
        });
    });
    const client = exchange({ proxy: `https://127.0.0.1:${server.port}`, extraCa: certificate('ca').cert });
    expect((await post(client, receiver.url)).fault).toMatchObject({ kind });
    expect(receiver.connections).toBe(0);
  });
});

/** Our side closes what it has given up: the receiver sees the end of every connection. */
async function closedAt(receiver: RawReceiver): Promise<void> {
  await Promise.all(
    [...receiver.sockets].map((socket) => {
      socket.resume();
      if (socket.readableEnded || socket.destroyed) return undefined;
      return new Promise((resolve) => socket.once('end', resolve).once('close', resolve).once('error', resolve));
    }),
  );
}
