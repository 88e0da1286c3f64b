import type { Readable } from 'node:stream';
import { checkDatetime } from '@keyturn/contracts';
import type { Cluster } from './cluster';

/** `--name VALUE`, or without `value` a switch. */
export interface Flag {
  /** What stands for the value in the help; a flag without one is a switch. */
  readonly value?: string;
  readonly required?: boolean;
  readonly description: string;
  /** The field of an operation that it fills, where that is not its own name: what a service says of the field is said of the flag. */
  readonly field?: string;
}

/** What a command gets to work with. */
export interface Call {
  /** Flags with a value; those that were not given are missing. */
  readonly flags: Readonly<Record<string, string>>;
  readonly switches: ReadonlySet<string>;
  readonly operands: readonly string[];
  readonly env: NodeJS.ProcessEnv;
  readonly stdin: Readable;
  readonly json: boolean;
  /** Connects on first use; closed when the command is over. */
  cluster(): Promise<Cluster>;
  /** For people, on stderr, and only where somebody looks. */
  progress(sentence: string): void;
  /** A line on stdout at once: for commands that run until they are stopped. */
  print(line: string): void;
  /** Aborted by Ctrl-C. */
  readonly signal: AbortSignal;
}

/** One answer, twice: as the JSON document and as people read it. */
export interface Outcome {
  readonly json: unknown;
  readonly text: string;
  /** The answer is bad news, which a script must notice: said on stderr too, and the exit code is 1. */
  readonly alarm?: { readonly code: string; readonly message: string };
}

export interface Command {
  /** As typed: `spaces create`. */
  readonly name: string;
  readonly summary: string;
  /** Names of the operands; in brackets where one may be left out. */
  readonly operands?: readonly string[];
  readonly flags?: Readonly<Record<string, Flag>>;
  run(call: Call): Promise<Outcome | undefined>;
}

/** The caller's mistake: said in one sentence, exit code 1. */
export class UsageError extends Error {}

export function wholeNumber(flags: Call['flags'], name: string, min: number, max: number): number | undefined {
  const text = flags[name];
  if (text === undefined) return undefined;
  const number = Number(text);
  if (!/^\d+$/.test(text) || number < min || number > max)
    throw new UsageError(`--${name} must be a whole number from ${min} to ${max}, not "${text}"`);
  return number;
}

export function required(flags: Call['flags'], name: string): string {
  const text = flags[name];
  if (text === undefined) throw new UsageError(`--${name} is required`);
  return text;
}

/** ISO 8601 with a time zone; undefined where the flag is not given. */
export function moment(flags: Call['flags'], name: string): string | undefined {
  const text = flags[name];
  if (text === undefined) return undefined;
  const checked = checkDatetime(text);
  if (!checked.ok) throw new UsageError(`--${name} ${checked.problem}, not "${text}"`);
  return checked.value;
}

export function trueOrFalse(flags: Call['flags'], name: string): boolean | undefined {
  const text = flags[name];
  if (text === undefined) return undefined;
  if (text !== 'true' && text !== 'false') throw new UsageError(`--${name} must be true or false, not "${text}"`);
  return text === 'true';
}

/** Words between commas. */
export function listed(flags: Call['flags'], name: string): string[] | undefined {
  return flags[name]?.split(',').map((word) => word.trim());
}

/** Only what is given: a flag that is missing leaves its field out. */
export function given<T extends object>(fields: T): { [K in keyof T]?: Exclude<T[K], undefined> } {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined)) as never;
}
