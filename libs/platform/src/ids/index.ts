import { randomBytes } from 'node:crypto';

const alphabet = '0123456789ABCDEFGHJKMNPQRSTVWXYZ';

let lastTime = 0;
let lastRandom = Buffer.alloc(10);

/** A ULID: 48 bits of milliseconds and 80 random bits in Crockford's base 32; rising within a process. */
export function newUlid(now = Date.now()): string {
  if (now > lastTime) {
    lastTime = now;
    lastRandom = randomBytes(10);
    // Headroom, so that counting up within a millisecond never overflows.
    lastRandom[0] = (lastRandom[0] ?? 0) & 0x7f;
  } else {
    increment(lastRandom);
  }
  return encode(BigInt(lastTime), 10) + encode(BigInt(`0x${lastRandom.toString('hex')}`), 16);
}

function increment(bytes: Buffer): void {
  for (let i = bytes.length - 1; i >= 0; i--) {
    const next = ((bytes[i] ?? 0) + 1) & 0xff;
    bytes[i] = next;
    if (next !== 0) return;
  }
}

function encode(value: bigint, length: number): string {
  let text = '';
  for (let rest = value, i = 0; i < length; i++, rest >>= 5n) text = alphabet[Number(rest & 31n)] + text;
  return text;
}
