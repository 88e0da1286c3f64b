import { checkDate, checkDatetime, checkText, checkValue, type Checked, type Field } from '@keyturn/contracts';
import type { FilterValue, Operator } from '@keyturn/contracts';

const wholeNumber = /^-?(?:0|[1-9]\d*)$/;
/** As JSON writes a number: no hexadecimal, no leading zeros, no `.5`. */
const jsonNumber = /^-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?$/;
/** A query string turns the `+` of an offset into a space. */
const lostPlus = /(T\d\d:\d\d\S*) (\d\d:?\d\d)$/i;

const bad = (problem: string): Checked<never> => ({ ok: false, problem });

/** The operators that a field knows, in the order of the docs. */
export function operatorsOf(field: Field): readonly Operator[] {
  switch (field.kind) {
    case 'boolean':
    case 'enum':
      return ['eq', 'ne', 'in', 'null'];
    case 'string':
      return ['eq', 'ne', 'gt', 'gte', 'lt', 'lte', 'in', 'contains', 'null'];
    default:
      return ['eq', 'ne', 'gt', 'gte', 'lt', 'lte', 'in', 'null'];
  }
}

/** A value as it stands in a query string, in its field's type; or why it is not one. */
export function parseFilterValue(field: Field, operator: Operator, text: string): Checked<FilterValue> {
  const clean = checkText(text);
  if (!clean.ok) return clean;
  if (operator === 'null') return parseBoolean(text);
  switch (field.kind) {
    case 'id':
      return parseId(field, text);
    case 'integer':
      return parseNumber(field, text, wholeNumber, 'must be a whole number');
    case 'number':
      return parseNumber(field, text, jsonNumber, 'must be a number');
    case 'boolean':
      return parseBoolean(text);
    case 'date':
      return checkDate(text);
    case 'datetime':
      return parseMoment(text);
    case 'enum':
      return field.values?.includes(text) ? clean : bad(`must be one of ${field.values?.join(', ')}`);
    default:
      return clean;
  }
}

function parseBoolean(text: string): Checked<boolean> {
  if (text !== 'true' && text !== 'false') return bad('must be true or false');
  return { ok: true, value: text === 'true' };
}

function parseNumber(field: Field, text: string, syntax: RegExp, problem: string): Checked<number> {
  return syntax.test(text) ? (checkValue(field, Number(text)) as Checked<number>) : bad(problem);
}

function parseId(field: Field, text: string): Checked<number> {
  const prefix = field.idPrefix ?? '';
  const problem = prefix ? `must look like ${prefix}42` : 'must be a positive integer';
  const digits = text.slice(prefix.length);
  if (!text.startsWith(prefix) || !/^[1-9]\d*$/.test(digits)) return bad(problem);
  const id = checkValue(field, Number(digits)) as Checked<number>;
  return id.ok ? id : bad(problem);
}

/** A moment, or a plain day, which stands for all of its 24 hours in UTC. */
function parseMoment(text: string): Checked<string> {
  const day = checkDate(text);
  if (day.ok) return day;
  const moment = checkDatetime(text.replace(lostPlus, '$1+$2'));
  return moment.ok ? moment : bad('must be a date, or a date and time with an offset such as 2026-03-10T12:00:00.000Z');
}
