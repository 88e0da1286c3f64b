import { hash, randomInt } from 'node:crypto';
import { crc32 } from 'node:zlib';

const family = 'tc_live_';
const alphabet = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz';
/** 190 bits: nobody guesses one (T-023). */
const randomLength = 32;
const checksumLength = 6;
const shape = new RegExp(`^${family}[0-9A-Za-z]{${randomLength + checksumLength}}$`);

/** How much of a key lists may show (T-026). */
export const shownLength = 12;

/** A fresh key. It is handed out once and kept only as its hash. */
export function makeApiKey(): string {
  let key = family;
  for (let i = 0; i < randomLength; i++) key += alphabet[randomInt(alphabet.length)];
  return key + checksum(key);
}

/** Whether the text can be one of our keys: told by its checksum alone, so that noise never reaches the database. */
export function isApiKey(text: string): boolean {
  return shape.test(text) && text.endsWith(checksum(text.slice(0, -checksumLength)));
}

/** What is stored and looked up in a key's place. */
export const hashApiKey = (key: string): string => hash('sha256', key, 'hex');

function checksum(text: string): string {
  let rest = crc32(text);
  let digits = '';
  for (let i = 0; i < checksumLength; i++) {
    digits = alphabet[rest % alphabet.length] + digits;
    rest = Math.floor(rest / alphabet.length);
  }
  return digits;
}
