import { randomBytes, scrypt, timingSafeEqual, type ScryptOptions } from 'node:crypto';

/** 32 MB and some 70 ms a guess. The numbers stand in each hash, so they can grow without breaking old ones. */
const cost = { N: 2 ** 15, r: 8, p: 1 };
const keyBytes = 32;

export const passwordLength = { min: 8, max: 200 } as const;

export async function hashPassword(password: string): Promise<string> {
  const salt = randomBytes(16);
  const key = await derive(password, salt, cost);
  return ['scrypt', cost.N, cost.r, cost.p, salt.toString('base64url'), key.toString('base64url')].join('$');
}

export async function isPassword(password: string, stored: string): Promise<boolean> {
  const [kind, N, r, p, salt, key] = stored.split('$');
  if (kind !== 'scrypt' || !salt || !key) return false;
  const expected = Buffer.from(key, 'base64url');
  const actual = await derive(password, Buffer.from(salt, 'base64url'), { N: Number(N), r: Number(r), p: Number(p) });
  return actual.length === expected.length && timingSafeEqual(actual, expected);
}

/** A password for an account whose maker did not choose one: 119 bits, shown once. */
export const makePassword = (): string => randomBytes(15).toString('base64url');

/** As costly as a real check, for e-mail addresses that nobody has: the time taken must not tell them apart. */
export async function wasteTime(password: string): Promise<void> {
  await derive(password, Buffer.alloc(16), cost);
}

const atOnce = 2;
let running = 0;
const waiting: (() => void)[] = [];

/** Two at a time: signing in must not take the memory and the threads that requests live on. */
async function derive(
  password: string,
  salt: Buffer,
  { N, r, p }: { N: number; r: number; p: number },
): Promise<Buffer> {
  if (running >= atOnce) await new Promise<void>((resolve) => waiting.push(resolve));
  running++;
  try {
    const options: ScryptOptions = { N, r, p, maxmem: 256 * N * r };
    return await new Promise((resolve, reject) =>
      scrypt(password.normalize('NFC'), salt, keyBytes, options, (error, key) =>
        error ? reject(error) : resolve(key),
      ),
    );
  } finally {
    running--;
    waiting.shift()?.();
  }
}
