import { createHmac, timingSafeEqual } from 'node:crypto';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { once } from 'node:events';
import { type Call, type Command, wholeNumber } from '../command';

const maxBodyBytes = 1024 * 1024;

/** What came in, judged: with `--json` printed as one line each. */
interface Received {
  readonly receivedAt: string;
  readonly event: string | null;
  readonly id: string | null;
  readonly attempt: string | null;
  /** Null where no secret was given to check with. */
  readonly signatureValid: boolean | null;
  readonly bytes: number;
  readonly body: unknown;
}

/** Over the raw bytes, with the whole `whsec_…` string as the key. */
function isSignedWith(secret: string, body: Buffer, signature: string | undefined): boolean {
  const expected = Buffer.from(createHmac('sha256', secret).update(body).digest('hex'));
  const given = Buffer.from(signature ?? '');
  return given.length === expected.length && timingSafeEqual(given, expected);
}

async function readBody(request: IncomingMessage): Promise<Buffer> {
  const parts: Buffer[] = [];
  let length = 0;
  for await (const part of request as AsyncIterable<Buffer>) {
    length += part.length;
    if (length > maxBodyBytes) break;
    parts.push(part);
  }
  return Buffer.concat(parts);
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}

const header = (request: IncomingMessage, name: string) => {
  const value = request.headers[name];
  return typeof value === 'string' ? value : null;
};

function describe({ event, id, attempt, signatureValid, body, bytes }: Received): string {
  const signature = signatureValid === null ? 'not checked' : signatureValid ? 'valid' : 'WRONG';
  const head = `${event ?? '(no event)'}  ${id ?? ''}  attempt ${attempt ?? '?'}  signature ${signature}  ${bytes} bytes`;
  return `${head}\n${typeof body === 'string' ? body : JSON.stringify(body, null, 2)}\n`;
}

/**
 * Whoever asks by the handshake of CloudEvents web hooks may send, as fast as it says: an installation can demand that consent of every
 * receiver (`WEBHOOK_HANDSHAKE`). It is given whatever `--status` says, for without it there would be no delivery to refuse.
 */
function consent(origin: string, request: IncomingMessage, response: ServerResponse, call: Call): void {
  const rate = header(request, 'webhook-request-rate');
  response
    .writeHead(200, {
      allow: 'POST',
      'webhook-allowed-origin': origin,
      ...(rate === null ? {} : { 'webhook-allowed-rate': rate }),
    })
    .end();
  call.progress(`${origin} asked whether it may send webhooks here: it may`);
}

async function receive(request: IncomingMessage, response: ServerResponse, status: number, call: Call): Promise<void> {
  const body = await readBody(request);
  const secret = call.flags['secret'];
  const signature = header(request, 'x-webhook-signature') ?? undefined;
  const received: Received = {
    receivedAt: new Date().toISOString(),
    event: header(request, 'x-webhook-event'),
    id: header(request, 'x-webhook-id'),
    attempt: header(request, 'x-webhook-attempt'),
    signatureValid: secret === undefined ? null : isSignedWith(secret, body, signature),
    bytes: body.length,
    body: parse(body.toString('utf8')),
  };
  call.print(call.json ? JSON.stringify(received) : describe(received));
  response.writeHead(received.signatureValid === false ? 401 : status).end();
}

const listen: Command = {
  name: 'listen',
  summary: 'Receives webhooks on this machine, consents to them, and prints them (with --json a line each)',
  flags: {
    port: { value: '4000', description: 'where to listen, on 127.0.0.1; 0 takes any free port' },
    secret: { value: 'whsec_…', description: 'checks signatures; what does not fit is answered 401' },
    status: { value: '200', description: 'what to answer; try 500 to see retries' },
  },
  async run(call) {
    const port = wholeNumber(call.flags, 'port', 0, 65_535) ?? 4000;
    const status = wholeNumber(call.flags, 'status', 200, 599) ?? 200;
    const server = createServer((request, response) => {
      const origin = request.method === 'OPTIONS' ? header(request, 'webhook-request-origin') : null;
      if (origin !== null) return consent(origin, request, response, call);
      receive(request, response, status, call).catch(() => response.destroy());
    });
    server.listen(port, '127.0.0.1');
    await once(server, 'listening');
    call.progress(`listening at http://127.0.0.1:${(server.address() as AddressInfo).port}/ – Ctrl-C ends it`);
    if (!call.signal.aborted) await once(call.signal, 'abort');
    server.closeAllConnections();
    server.close();
    return undefined;
  },
};

export const listenCommands: readonly Command[] = [listen];
