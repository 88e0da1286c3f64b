import { createHash } from 'node:crypto';
import { validationError } from '@keyturn/contracts';
import type { Idempotency } from '@keyturn/webhook-store';

const keyPattern = /^[\x21-\x7e]{1,255}$/;

/** What an `Idempotency-Key` stands for: this very input, whatever the order of its keys. */
export function parseIdempotency(key: string | undefined, input: unknown): Idempotency | undefined {
  if (key === undefined) return undefined;
  if (!keyPattern.test(key))
    throw validationError('Idempotency-Key', 'Idempotency-Key must be 1 to 255 visible characters of ASCII');
  return { key, requestHash: createHash('sha256').update(canonical(input)).digest() };
}

function canonical(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(canonical).join(',')}]`;
  if (typeof value !== 'object' || value === null) return JSON.stringify(value) ?? 'null';
  const members = Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1));
  return `{${members.map(([name, member]) => `${JSON.stringify(name)}:${canonical(member)}`).join(',')}}`;
}
