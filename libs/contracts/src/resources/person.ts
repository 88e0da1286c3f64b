import type { AnyRecord } from '../resource';

/** First and last name in one string; null when a person has neither. */
export function fullName(person: AnyRecord): string | null {
  const parts = [person['firstName'], person['lastName']].filter((part) => typeof part === 'string' && part !== '');
  return parts.length ? parts.join(' ') : null;
}
