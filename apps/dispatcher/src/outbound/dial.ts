import net from 'node:net';
import tls from 'node:tls';
import type { Destination } from './destination';
import { Fault, connectFault, tlsFault } from './fault';

export interface DialOptions {
  /** Certificates to trust beside the system's, in PEM. */
  readonly extraCa?: string;
  /** `http[s]://[user:password@]host:port`: connections go through it, to the address that was checked. */
  readonly proxy?: string;
}

/** An open connection, ready for a request. */
export interface Dialled {
  readonly socket: net.Socket;
  readonly connectMs: number;
  /** Null for plain http. */
  readonly tlsMs: number | null;
}

const maxProxyHead = 8 * 1024;

/** Opens connections to addresses that the guard has checked: no name is looked up here but the proxy's own. */
export class Dialler {
  private readonly context: tls.SecureContext;
  private readonly proxy: URL | undefined;

  constructor(options: DialOptions = {}) {
    this.context = tls.createSecureContext();
    // Beside the default roots (and those of NODE_EXTRA_CA_CERTS), which the option `ca` would replace.
    if (options.extraCa) for (const certificate of splitPem(options.extraCa)) addCa(this.context, certificate);
    this.proxy = options.proxy === undefined ? undefined : new URL(options.proxy);
  }

  /** Rejects with a {@link Fault}; after `signal` aborts, with its reason. */
  async dial(destination: Destination, address: string, signal: AbortSignal): Promise<Dialled> {
    const start = performance.now();
    const plain = this.proxy
      ? await tunnel(this.proxy, spell(address, destination.port), this.context, signal)
      : await connect(address, destination.port, signal);
    const connectMs = performance.now() - start;
    if (!destination.secure) return { socket: plain, connectMs, tlsMs: null };
    const { hostname } = destination;
    const socket = await secure(plain, hostname, this.context, signal, (error) => tlsFault(hostname, error));
    return { socket, connectMs, tlsMs: performance.now() - start - connectMs };
  }
}

/** Waits for `event` on the socket; a failure or the signal destroys it. */
function ready<S extends net.Socket>(
  socket: S,
  event: 'connect' | 'secureConnect',
  signal: AbortSignal,
  faultOf: (error: unknown) => Fault,
): Promise<S> {
  return new Promise((resolve, reject) => {
    const settle = () => {
      socket.off(event, onReady).off('error', onError).off('close', onClose);
      signal.removeEventListener('abort', onAbort);
    };
    const onReady = () => {
      settle();
      resolve(socket);
    };
    const fail = (reason: unknown) => {
      settle();
      // What still comes from a destroyed socket concerns nobody.
      socket.on('error', () => undefined);
      socket.destroy();
      reject(reason);
    };
    const onError = (error: unknown) => fail(faultOf(error));
    const onClose = () => fail(faultOf(Object.assign(new Error('closed'), { code: 'ECONNRESET' })));
    const onAbort = () => fail(signal.reason);
    if (signal.aborted) return onAbort();
    socket.once(event, onReady).once('error', onError).once('close', onClose);
    signal.addEventListener('abort', onAbort, { once: true });
  });
}

function connect(address: string, port: number, signal: AbortSignal): Promise<net.Socket> {
  const socket = net.connect({ host: address, port, noDelay: true, keepAlive: true });
  return ready(socket, 'connect', signal, (error) => connectFault(spell(address, port), error));
}

/** Speaks TLS over a connection, with whom `hostname` names. */
function secure(
  under: net.Socket,
  hostname: string,
  secureContext: tls.SecureContext,
  signal: AbortSignal,
  faultOf: (error: unknown) => Fault,
): Promise<net.Socket> {
  const socket = tls.connect({
    socket: under,
    secureContext,
    // A bare address has no place in SNI (RFC 6066); the certificate is checked against it all the same.
    ...(net.isIP(hostname) ? { host: hostname } : { servername: hostname }),
    ALPNProtocols: ['http/1.1'],
    minVersion: 'TLSv1.2',
    // Said aloud, because an environment variable can turn the default off.
    rejectUnauthorized: true,
  });
  return ready(socket, 'secureConnect', signal, faultOf);
}

/** Asks the proxy for a tunnel to the checked address; the proxy never sees a name that it could look up anew. */
async function tunnel(proxy: URL, target: string, context: tls.SecureContext, signal: AbortSignal) {
  const hostname = proxy.hostname.replace(/^\[|\]$/g, '');
  const isSecure = proxy.protocol === 'https:';
  const port = Number(proxy.port || (isSecure ? 443 : 80));
  const plain = net.connect({ host: hostname, port, noDelay: true });
  await ready(plain, 'connect', signal, (error) => new Fault('proxy', 'the egress proxy cannot be reached', error));
  const socket = isSecure
    ? await secure(plain, hostname, context, signal, (error) => {
        const { message } = tlsFault('the egress proxy', error);
        return new Fault('proxy', message, error);
      })
    : plain;
  const credentials = `${decodeURIComponent(proxy.username)}:${decodeURIComponent(proxy.password)}`;
  const authorization = proxy.username
    ? `Proxy-Authorization: Basic ${Buffer.from(credentials).toString('base64')}\r\n`
    : '';
  socket.write(`CONNECT ${target} HTTP/1.1\r\nHost: ${target}\r\n${authorization}\r\n`);
  const head = await proxyHead(socket, signal);
  if (/^HTTP\/1\.[01] 2\d\d\b/.test(head)) return socket;
  socket.destroy();
  throw new Fault('proxy', `the egress proxy refused ${target}: ${head.split('\r\n')[0] ?? ''}`);
}

function proxyHead(socket: net.Socket, signal: AbortSignal): Promise<string> {
  return new Promise((resolve, reject) => {
    let head = '';
    const settle = () => {
      socket.off('data', onData).off('error', onGone).off('close', onGone);
      signal.removeEventListener('abort', onAbort);
    };
    const fail = (reason: unknown) => {
      settle();
      socket.on('error', () => undefined);
      socket.destroy();
      reject(reason);
    };
    const onData = (chunk: Buffer) => {
      head += chunk.toString('latin1');
      const end = head.indexOf('\r\n\r\n');
      if (end === -1 && head.length <= maxProxyHead) return;
      if (end === -1) return fail(new Fault('proxy', 'the egress proxy did not answer in HTTP/1.1'));
      settle();
      socket.pause();
      const rest = head.slice(end + 4);
      if (rest) socket.unshift(Buffer.from(rest, 'latin1'));
      resolve(head.slice(0, end));
    };
    const onGone = () => fail(new Fault('proxy', 'the egress proxy closed the connection'));
    const onAbort = () => fail(signal.reason);
    socket.on('data', onData).once('error', onGone).once('close', onGone);
    signal.addEventListener('abort', onAbort, { once: true });
  });
}

const spell = (address: string, port: number) => (net.isIPv6(address) ? `[${address}]:${port}` : `${address}:${port}`);

const splitPem = (pem: string) => pem.match(/-----BEGIN CERTIFICATE-----[\s\S]+?-----END CERTIFICATE-----/g) ?? [];

function addCa(context: tls.SecureContext, certificate: string): void {
  (context.context as { addCACert(pem: string): void }).addCACert(certificate);
}
