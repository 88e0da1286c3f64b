import { createSocket, type Socket } from 'node:dgram';
import { isIPv4, isIPv6 } from 'node:net';

const typeA = 1;
const typeAAAA = 28;
const nameError = 3;

/** A DNS server whose answers a test chooses, one question at a time. */
export class NameServer {
  readonly questions: string[] = [];

  private constructor(private readonly socket: Socket) {}

  /** `answer` gives the addresses of a name; undefined: there is no such name; null: no answer at all. */
  static async start(
    answer: (name: string, family: 4 | 6) => readonly string[] | undefined | null,
    ttlSeconds = 60,
  ): Promise<NameServer> {
    const socket = createSocket('udp4');
    const server = new NameServer(socket);
    socket.on('message', (query, from) => {
      const { name, type, end } = readQuestion(query);
      const family = type === typeA ? 4 : 6;
      server.questions.push(`${name} ${family}`);
      const addresses = type === typeA || type === typeAAAA ? answer(name, family) : [];
      if (addresses === null) return;
      const matching = (addresses ?? []).filter(family === 4 ? isIPv4 : isIPv6);
      const head = Buffer.from(query.subarray(0, 12));
      head.writeUInt16BE(0x8180 | (addresses ? 0 : nameError), 2);
      head.writeUInt16BE(matching.length, 6);
      head.writeUInt32BE(0, 8);
      const records = matching.map((address) => record(type, ttlSeconds, addressBytes(address)));
      socket.send(Buffer.concat([head, query.subarray(12, end), ...records]), from.port, from.address);
    });
    await new Promise<void>((resolve) => socket.bind(0, '127.0.0.1', resolve));
    return server;
  }

  get address(): string {
    return `127.0.0.1:${this.socket.address().port}`;
  }

  close(): Promise<void> {
    return new Promise((resolve) => this.socket.close(() => resolve()));
  }
}

function readQuestion(query: Buffer): { name: string; type: number; end: number } {
  const labels: string[] = [];
  let at = 12;
  for (let length = query.readUInt8(at); length; length = query.readUInt8(at)) {
    labels.push(query.toString('latin1', at + 1, at + 1 + length));
    at += length + 1;
  }
  return { name: labels.join('.').toLowerCase(), type: query.readUInt16BE(at + 1), end: at + 5 };
}

/** The name is a pointer to the question's. */
function record(type: number, ttlSeconds: number, data: Buffer): Buffer {
  const head = Buffer.alloc(12);
  head.writeUInt16BE(0xc00c, 0);
  head.writeUInt16BE(type, 2);
  head.writeUInt16BE(1, 4);
  head.writeUInt32BE(ttlSeconds, 6);
  head.writeUInt16BE(data.length, 10);
  return Buffer.concat([head, data]);
}

function addressBytes(address: string): Buffer {
  if (isIPv4(address)) return Buffer.from(address.split('.').map(Number));
  const [head = '', tail] = new URL(`http://[${address}]`).hostname.slice(1, -1).split('::');
  const groups = (part: string | undefined) => (part ? part.split(':') : []);
  const before = groups(head);
  const after = groups(tail);
  const all = [...before, ...Array.from({ length: 8 - before.length - after.length }, () => '0'), ...after];
  return Buffer.from(all.map((group) => group.padStart(4, '0')).join(''), 'hex');
}
