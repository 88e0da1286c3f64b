import type { Field, Value } from './resource';

/** One value of a field, checked and in its normal form; or why it is not one, in words that fit behind the field's name. */
export type Checked<T = Value> =
  { readonly ok: true; readonly value: T } | { readonly ok: false; readonly problem: string };

const good = <T>(value: T): Checked<T> => ({ ok: true, value });
const bad = (problem: string): Checked<never> => ({ ok: false, problem });

const loneSurrogate = /[\uD800-\uDBFF](?![\uDC00-\uDFFF])|(?<![\uD800-\uDBFF])[\uDC00-\uDFFF]/;

/** Text that Postgres stores and JSON.stringify repeats byte for byte: no NUL, no half of a surrogate pair (X4). */
export function checkText(value: unknown): Checked<string> {
  if (typeof value !== 'string') return bad('must be a string');
  if (value.includes('\0')) return bad('must not contain a NUL character');
  if (loneSurrogate.test(value)) return bad('must not contain a lone surrogate');
  return good(value);
}

export function isRecordId(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) > 0;
}

const day = /^(\d{4})-(\d{2})-(\d{2})$/;
const moment = /^(\d{4}-\d{2}-\d{2})[Tt ](\d{2}):(\d{2})(?::(\d{2})(?:\.\d+)?)?(?:[Zz]|([+-])(\d{2}):?(\d{2}))$/;
/** Already in the normal form, as nearly all are: nothing to compute but whether the day exists. */
const normalMoment = /^(\d{4}-\d{2}-\d{2})T(?:[01]\d|2[0-3]):[0-5]\d:[0-5]\d\.\d{3}Z$/;
const daysOfMonth = [31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];

/** `YYYY-MM-DD` of a day that exists. */
export function checkDate(value: unknown): Checked<string> {
  if (typeof value !== 'string' || !isRealDay(value)) return bad('must be a date, YYYY-MM-DD');
  return good(value);
}

function isRealDay(value: string): boolean {
  const parts = day.exec(value);
  if (!parts) return false;
  const [year, month, date] = [Number(parts[1]), Number(parts[2]), Number(parts[3])];
  if (year === 0 || date === 0 || date > (daysOfMonth[month - 1] ?? 0)) return false;
  return month !== 2 || date < 29 || (year % 4 === 0 && (year % 100 !== 0 || year % 400 === 0));
}

/** A moment with an offset, in its normal form: UTC with milliseconds and `Z` (T-006). */
export function checkDatetime(value: unknown): Checked<string> {
  const problem = 'must be a date and time with an offset, such as 2026-03-10T12:00:00.000Z';
  if (typeof value !== 'string' || value.length > 40) return bad(problem);
  const normal = normalMoment.exec(value);
  if (normal) return isRealDay(normal[1] as string) ? good(value) : bad(problem);
  const parts = moment.exec(value);
  if (!parts || !isRealDay(parts[1] as string)) return bad(problem);
  const at = new Date(value.replace(' ', 'T').toUpperCase());
  if (Number.isNaN(at.getTime())) return bad(problem);
  const iso = at.toISOString();
  return /^\d{4}-/.test(iso) && !iso.startsWith('0000') ? good(iso) : bad(problem);
}

function checkNumber(value: unknown): Checked<number> {
  if (typeof value !== 'number' || !Number.isFinite(value)) return bad('must be a number');
  if (Math.abs(value) > Number.MAX_SAFE_INTEGER) return bad('must not be beyond 2^53');
  return good(value === 0 ? 0 : value);
}

function checkInteger(value: unknown): Checked<number> {
  const checked = checkNumber(value);
  if (!checked.ok || Number.isInteger(checked.value)) return checked;
  return bad('must be a whole number');
}

function checkStrings(value: unknown): Checked<string[]> {
  if (!Array.isArray(value)) return bad('must be an array of strings');
  for (const item of value) {
    const checked = checkText(item);
    if (!checked.ok) return checked;
  }
  return good(value as string[]);
}

/** A JSON value as the type of its field; `null` (or left out) is unset. */
export function checkValue(field: Field, value: unknown): Checked {
  if (value === null || value === undefined) return good(null);
  switch (field.kind) {
    case 'id':
      return isRecordId(value) ? good(value) : bad('must be a positive integer');
    case 'integer':
      return checkInteger(value);
    case 'number':
      return checkNumber(value);
    case 'string':
    case 'text':
      return checkText(value);
    case 'boolean':
      return typeof value === 'boolean' ? good(value) : bad('must be true or false');
    case 'date':
      return checkDate(value);
    case 'datetime':
      return checkDatetime(value);
    case 'strings':
      return checkStrings(value);
    case 'enum':
      return typeof value === 'string' && field.values?.includes(value)
        ? good(value)
        : bad(`must be one of ${field.values?.join(', ')}`);
  }
}
