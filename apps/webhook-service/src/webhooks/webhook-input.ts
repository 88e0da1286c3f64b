import { checkText, isSubscribableEvent, validationError, type SignatureScheme } from '@keyturn/contracts';
import {
  headerNameProblem,
  headerValueProblem,
  maxStaticHeaderBytes,
  maxStaticHeaders,
  webhookDefaults,
  type AddressPolicy,
  type Ordering,
  type WebhookChange,
  type WebhookSettings,
} from '@keyturn/webhook-store';
import { InputProblem } from './input-problem';
import { parseFilter } from './webhook-filter';

const maxNameLength = 200;
const maxUrlLength = 2_048;
const maxRatePerSecond = 1_000;
const maxRetries = 20;
const maxRetrySeconds = 7 * 24 * 60 * 60;

type Input = Readonly<Record<string, unknown>>;

const fail = (problem: string): never => {
  throw new InputProblem(problem);
};
/** As it may stand in a message: short, quoted, escaped. */
const quote = (text: string) => JSON.stringify(text.slice(0, 100));

function parseText(value: unknown): string {
  const text = checkText(value);
  if (!text.ok) return fail(text.problem);
  return text.value.trim() === '' ? fail('must not be empty') : text.value;
}

function parseName(value: unknown): string {
  const name = parseText(value);
  return [...name].length > maxNameLength ? fail(`must have at most ${maxNameLength} characters`) : name;
}

export function parseUrl(value: unknown, policy: AddressPolicy): string {
  const url = parseText(value);
  if (url.length > maxUrlLength) fail(`must have at most ${maxUrlLength} characters`);
  const verdict = policy.checkUrl(url);
  if (!verdict.ok) fail(verdict.problem);
  // It would never reach the receiver, so whoever writes one means something that will not happen.
  return url.includes('#') ? fail('must not have a fragment') : url;
}

function parseEvents(value: unknown): string[] {
  if (!Array.isArray(value)) return fail('must be an array of event names');
  if (value.length === 0) fail('must name at least one event');
  for (const item of value as unknown[]) {
    if (typeof item !== 'string') return fail('must be an array of event names');
    if (item === '*') fail('must not contain "*": name each event, or a resource such as "file.*"');
    if (!isSubscribableEvent(item)) fail(`must not contain ${quote(item)}: there is no such event`);
  }
  return [...new Set(value as string[])];
}

const parseFlag = (value: unknown): boolean => (typeof value === 'boolean' ? value : fail('must be true or false'));

export function parseRateLimit(value: unknown): number | null {
  if (value === null) return null;
  return typeof value === 'number' && Number.isInteger(value) && value >= 1 && value <= maxRatePerSecond
    ? value
    : fail(`must be a whole number of deliveries a second from 1 to ${maxRatePerSecond}, or null`);
}

const parseOrdering = (value: unknown): Ordering =>
  value === 'none' || value === 'record' ? value : fail('must be "none" or "record"');

const parseScheme = (value: unknown): SignatureScheme =>
  value === 'v1' || value === 'v1a' ? value : fail('must be "v1" or "v1a"');

function parseRetrySchedule(value: unknown): number[] | null {
  const problem = `must be null or an array of at most ${maxRetries} numbers of seconds, each up to ${maxRetrySeconds}`;
  if (value === null) return null;
  if (!Array.isArray(value) || value.length > maxRetries) return fail(problem);
  return value.map((seconds: unknown) =>
    typeof seconds === 'number' && seconds >= 0.001 && seconds <= maxRetrySeconds
      ? Math.round(seconds * 1_000)
      : fail(problem),
  );
}

function parseHeaders(value: unknown): Record<string, string> {
  if (value === null) return {};
  if (typeof value !== 'object' || Array.isArray(value)) return fail('must be null or an object of names and values');
  const given = Object.entries(value as Input);
  if (given.length > maxStaticHeaders) fail(`must have at most ${maxStaticHeaders} names`);
  if (new Set(given.map(([name]) => name.toLowerCase())).size < given.length) fail('must not contain a name twice');
  for (const [name, text] of given) {
    const problem = headerNameProblem(name) ?? headerValueProblem(text);
    if (problem) fail(`must not contain ${quote(name)} so: it ${problem}`);
  }
  const bytes = given.reduce((sum, [name, text]) => sum + name.length + String(text).length, 0);
  if (bytes > maxStaticHeaderBytes) fail(`must not exceed ${maxStaticHeaderBytes} bytes in all`);
  return Object.fromEntries(given) as Record<string, string>;
}

/** Which setting each field of the API is, and how it is read. */
const fields: {
  readonly [field: string]: (value: unknown, policy: AddressPolicy) => WebhookChange;
} = {
  name: (value) => ({ name: parseName(value) }),
  url: (value, policy) => ({ url: parseUrl(value, policy) }),
  events: (value) => ({ events: parseEvents(value) }),
  isActive: (value) => ({ isActive: parseFlag(value) }),
  rateLimit: (value) => ({ rateLimit: parseRateLimit(value) }),
  ordering: (value) => ({ ordering: parseOrdering(value) }),
  retrySchedule: (value) => ({ retryScheduleMs: parseRetrySchedule(value) }),
  thin: (value) => ({ thin: parseFlag(value) }),
  filter: (value) => ({ filter: parseFilter(value) }),
  headers: (value) => ({ headers: parseHeaders(value) }),
  signatureScheme: (value) => ({ signatureScheme: parseScheme(value) }),
  handshake: (value) => ({ handshake: parseFlag(value) }),
};

const required = ['name', 'url', 'events'] as const;

function parseObject(input: unknown): Input {
  if (typeof input !== 'object' || input === null || Array.isArray(input))
    throw validationError('body', 'The body must be a JSON object');
  return input as Input;
}

function parseField(field: string, value: unknown, policy: AddressPolicy): WebhookChange {
  try {
    return fields[field]?.(value, policy) ?? {};
  } catch (error) {
    if (error instanceof InputProblem) throw validationError(field, `${field} ${error.message}`);
    throw error;
  }
}

/** What makes a new webhook (T-081, T-085, T-086). */
export function parseNewWebhook(input: unknown, policy: AddressPolicy): WebhookSettings {
  const given = parseObject(input);
  for (const field of required)
    if (given[field] === undefined || given[field] === null) throw validationError(field, `${field} is required`);
  for (const field of Object.keys(given))
    if (!Object.hasOwn(fields, field)) throw validationError(field, `${quote(field)} is no field that can be set`);
  const chosen = Object.keys(given).map((field) => parseField(field, given[field], policy));
  return Object.assign({}, webhookDefaults, ...chosen) as WebhookSettings;
}

export interface ParsedChange {
  readonly change: WebhookChange;
  /** Fields that nobody may change: fine where they say what is the case already (T-088). */
  readonly fixed: Input;
}

export function parseWebhookChange(input: unknown, policy: AddressPolicy): ParsedChange {
  const given = Object.entries(parseObject(input));
  const settable = given.filter(([field]) => Object.hasOwn(fields, field));
  return {
    change: Object.assign({}, ...settable.map(([field, value]) => parseField(field, value, policy))) as WebhookChange,
    fixed: Object.fromEntries(given.filter(([field]) => !Object.hasOwn(fields, field))),
  };
}

const maxOverlapSeconds = 7 * 24 * 60 * 60;
const defaultOverlapSeconds = 24 * 60 * 60;

/** How long the secret before a rotation signs too, in ms: a day unless told. */
export function parseOverlap(input: unknown): number {
  const given = parseObject(input ?? {});
  for (const field of Object.keys(given))
    if (field !== 'overlapSeconds') throw validationError(field, `${quote(field)} is no field of a rotation`);
  const seconds = given['overlapSeconds'] ?? defaultOverlapSeconds;
  if (typeof seconds !== 'number' || !(seconds >= 0 && seconds <= maxOverlapSeconds))
    throw validationError('overlapSeconds', `overlapSeconds must be a number from 0 to ${maxOverlapSeconds}`);
  return Math.round(seconds * 1_000);
}
