import { readFileSync } from 'node:fs';

/**
 * Settings are environment variables, read and checked whole at start: a wrong one stops the service and names itself
 * (DESIGN §5). Each service declares only what it reads.
 */

/** Settings that are missing or wrong; the message names each variable and says what would be right. */
export class SettingsError extends Error {
  constructor(readonly problems: readonly string[]) {
    super(problems.join('\n'));
    this.name = 'SettingsError';
  }
}

export interface Setting<T> {
  readonly variable: string;
  /** Shown in the start-up summary only as set or not set. */
  readonly secret: boolean;
  read(raw: string | undefined): T;
}

class Wrong extends Error {}

interface Options {
  secret?: boolean;
}

function define<T>(variable: string, fallback: string | undefined, parse: (raw: string) => T, options: Options = {}) {
  const item: Setting<T> = {
    variable,
    secret: options.secret ?? false,
    read(raw) {
      const text = given(raw) ?? fallback;
      if (text === undefined) throw new Wrong(`${variable} is required`);
      return parse(text);
    },
  };
  return item;
}

function optional<T>(item: Setting<T>): Setting<T | undefined> {
  return { ...item, read: (raw) => (given(raw) === undefined ? undefined : item.read(raw)) };
}

const given = (raw: string | undefined) => (raw === undefined || raw.trim() === '' ? undefined : raw.trim());

const units: Record<string, number> = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 };

/** `500ms`, `30s`, `15m`, `8h`, `30d` in milliseconds; undefined where the text is none of these. */
export function parseDuration(text: string): number | undefined {
  const match = /^(\d+(?:\.\d+)?)(ms|s|m|h|d)$/.exec(text);
  return match ? Math.round(Number(match[1]) * (units[match[2] as string] as number)) : undefined;
}

function duration(variable: string, text: string): number {
  const ms = parseDuration(text);
  if (ms === undefined) throw new Wrong(`${variable} must be a duration such as 500ms, 30s, 15m or 8h, not "${text}"`);
  return ms;
}

function integer(variable: string, text: string, min: number, max: number): number {
  const value = Number(text);
  if (!/^-?\d+$/.test(text) || value < min || value > max)
    throw new Wrong(`${variable} must be a whole number from ${min} to ${max}, not "${text}"`);
  return value;
}

function url(variable: string, text: string, schemes?: readonly string[]): string {
  if (!URL.canParse(text)) throw new Wrong(`${variable} must be a URL`);
  const scheme = new URL(text).protocol.slice(0, -1);
  if (schemes && !schemes.includes(scheme))
    throw new Wrong(`${variable} must be a URL of ${schemes.join(' or ')}, not of "${scheme}"`);
  return text;
}

/** The driver takes other modes too: some of them talk to whoever answers. */
const sslModes = ['disable', 'verify-full'];

/** The files are read again at every connection; here only to say at start what would not work. */
function databaseUrl(variable: string, text: string): string {
  const { searchParams } = new URL(url(variable, text));
  const mode = searchParams.get('sslmode');
  if (mode !== null && !sslModes.includes(mode))
    throw new Wrong(`${variable}: sslmode must be ${sslModes.join(' or ')}, not "${mode}"`);
  for (const name of ['sslrootcert', 'sslcert', 'sslkey']) {
    const file = searchParams.get(name);
    if (file === null) continue;
    if (mode !== 'verify-full') throw new Wrong(`${variable}: ${name} needs sslmode=verify-full`);
    try {
      readFileSync(file);
    } catch (error) {
      throw new Wrong(`${variable}: ${name} names a file that cannot be read: ${(error as Error).message}`);
    }
  }
  return text;
}

const list = (text: string) =>
  text
    .split(',')
    .map((part) => part.trim())
    .filter((part) => part !== '');

const secret = (variable: string) =>
  define(
    variable,
    undefined,
    (raw) => {
      if (raw.length < 32) throw new Wrong(`${variable} must have at least 32 characters`);
      return raw;
    },
    { secret: true },
  );

export const setting = {
  text: (variable: string, fallback?: string) => define(variable, fallback, (raw) => raw),
  optionalText: (variable: string) => optional(define(variable, undefined, (raw) => raw)),
  /** At least 32 characters; never printed. */
  secret,
  optionalSecret: (variable: string) => optional(secret(variable)),
  /** Several of them, separated by commas. */
  secrets: (variable: string) =>
    define(
      variable,
      '',
      (raw) =>
        list(raw).map((part) => {
          if (part.length < 32) throw new Wrong(`each secret of ${variable} must have at least 32 characters`);
          return part;
        }),
      { secret: true },
    ),
  /** May hold a password, so it is never printed. */
  url: (variable: string, fallback?: string) =>
    define(variable, fallback, (raw) => url(variable, raw), { secret: true }),
  optionalUrl: (variable: string, schemes?: readonly string[]) =>
    optional(define(variable, undefined, (raw) => url(variable, raw, schemes), { secret: true })),
  /** Of PostgreSQL, with libpq's parameters for TLS. */
  databaseUrl: (variable: string) => define(variable, undefined, (raw) => databaseUrl(variable, raw), { secret: true }),
  optionalDatabaseUrl: (variable: string) =>
    optional(define(variable, undefined, (raw) => databaseUrl(variable, raw), { secret: true })),
  port: (variable: string, fallback: number) =>
    define(variable, String(fallback), (raw) => integer(variable, raw, 0, 65_535)),
  integer: (variable: string, fallback: number, { min = 0, max = Number.MAX_SAFE_INTEGER } = {}) =>
    define(variable, String(fallback), (raw) => integer(variable, raw, min, max)),
  /** From 0 to 1. */
  ratio: (variable: string, fallback: number) =>
    define(variable, String(fallback), (raw) => {
      const value = Number(raw);
      if (!/^\d*\.?\d+$/.test(raw) || value > 1)
        throw new Wrong(`${variable} must be a number from 0 to 1, not "${raw}"`);
      return value;
    }),
  flag: (variable: string, fallback: boolean) =>
    define(variable, String(fallback), (raw) => {
      if (/^(true|1|on|yes)$/i.test(raw)) return true;
      if (/^(false|0|off|no)$/i.test(raw)) return false;
      throw new Wrong(`${variable} must be true or false, not "${raw}"`);
    }),
  /** Milliseconds. */
  duration: (variable: string, fallback: string) => define(variable, fallback, (raw) => duration(variable, raw)),
  /** Milliseconds each, separated by commas. */
  durations: (variable: string, fallback: string) =>
    define(variable, fallback, (raw) => list(raw).map((part) => duration(variable, part))),
  /** A DNS name. */
  hostName: (variable: string, fallback: string) =>
    define(variable, fallback, (raw) => {
      if (
        raw.length > 253 ||
        !/^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?(?:\.[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?)*$/i.test(raw)
      )
        throw new Wrong(`${variable} must be a host name such as hooks.example.com, not "${raw}"`);
      return raw;
    }),
  oneOf: <const V extends string>(variable: string, values: readonly V[], fallback: NoInfer<V>) =>
    define<V>(variable, fallback, (raw) => {
      const value = values.find((candidate) => candidate === raw);
      if (value === undefined) throw new Wrong(`${variable} must be one of ${values.join(', ')}, not "${raw}"`);
      return value;
    }),
  list: (variable: string, fallback = '') => define(variable, fallback, list),
  cidrs: (variable: string, fallback = '') =>
    define(variable, fallback, (raw) =>
      list(raw).map((part) => {
        if (!/^[0-9a-fA-F.:]+\/\d{1,3}$/.test(part))
          throw new Wrong(`${variable} must list address ranges such as 127.0.0.0/8, not "${part}"`);
        return part;
      }),
    ),
} as const;

export type SettingsSpec<S> = { readonly [K in keyof S]: Setting<S[K]> };

/** The settings that a spec describes. */
export type SettingsOf<P extends Readonly<Record<string, Setting<unknown>>>> = {
  -readonly [K in keyof P]: ReturnType<P[K]['read']>;
};

const fileOf = (item: Setting<unknown>, env: NodeJS.ProcessEnv) =>
  item.secret ? given(env[`${item.variable}_FILE`]) : undefined;

/** How settings that came from files are read again, by the object that holds them. */
const readAgain = new WeakMap<object, Map<PropertyKey, () => unknown>>();

/**
 * A setting as its file says it now, for what a process uses more than once: a password that is rotated holds from the next
 * connection on, without a restart. A file that is away or wrong for a moment, while it is replaced, changes nothing; a setting
 * that is not from a file never does.
 */
export function current<S extends object, K extends keyof S>(settings: S, key: K): () => S[K] {
  let known = settings[key];
  const again = readAgain.get(settings)?.get(key);
  if (!again) return () => known;
  return () => {
    try {
      known = again() as S[K];
    } catch (error) {
      if (!(error instanceof Wrong)) throw error;
    }
    return known;
  };
}

/**
 * What the environment says of a setting. A secret may also stand in a file that `<VARIABLE>_FILE` names: that is how
 * Docker and Kubernetes hand secrets over without showing them to everybody who can list the environment.
 */
function raw(item: Setting<unknown>, env: NodeJS.ProcessEnv): string | undefined {
  const value = env[item.variable];
  const file = fileOf(item, env);
  if (file === undefined) return value;
  if (given(value) !== undefined) throw new Wrong(`${item.variable} and ${item.variable}_FILE are both set: keep one`);
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    throw new Wrong(`${item.variable}_FILE names a file that cannot be read: ${(error as Error).message}`);
  }
}

/** Reads all settings, or throws one {@link SettingsError} that names every wrong one. */
export function readSettings<S>(spec: SettingsSpec<S>, env: NodeJS.ProcessEnv = process.env): S {
  const settings: Partial<S> = {};
  const problems: string[] = [];
  const files = new Map<PropertyKey, () => unknown>();
  for (const [key, item] of Object.entries(spec) as [keyof S, Setting<S[keyof S]>][]) {
    try {
      settings[key] = item.read(raw(item, env));
      if (fileOf(item, env) !== undefined) files.set(key, () => item.read(raw(item, env)));
    } catch (error) {
      if (!(error instanceof Wrong)) throw error;
      problems.push(error.message);
    }
  }
  if (problems.length) throw new SettingsError(problems);
  readAgain.set(settings, files);
  return settings as S;
}

/** What the start-up line may show: secrets only as set or not set. */
export function settingsSummary<S>(spec: SettingsSpec<S>, settings: S): Record<string, unknown> {
  return Object.fromEntries(
    (Object.entries(spec) as [keyof S, Setting<unknown>][]).map(([key, item]) => {
      const value = settings[key];
      return [item.variable, item.secret ? (value === undefined ? 'not set' : 'set') : value];
    }),
  );
}

export const logLevels = ['debug', 'info', 'warn', 'error', 'silent'] as const;

const samplers = [
  'parentbased_always_on',
  'parentbased_always_off',
  'parentbased_traceidratio',
  'always_on',
  'always_off',
  'traceidratio',
] as const;

/** OpenTelemetry's own variables, so far as they decide whether, where and how much; the rest its exporter reads itself. */
const tracingSettings = {
  /** There are no traces unless this one or the next is set. */
  otlpEndpoint: setting.optionalUrl('OTEL_EXPORTER_OTLP_ENDPOINT'),
  otlpTracesEndpoint: setting.optionalUrl('OTEL_EXPORTER_OTLP_TRACES_ENDPOINT'),
  otlpProtocol: setting.oneOf('OTEL_EXPORTER_OTLP_PROTOCOL', ['http/protobuf', 'http/json'], 'http/protobuf'),
  otelSampler: setting.oneOf('OTEL_TRACES_SAMPLER', samplers, 'parentbased_always_on'),
  otelSamplerArg: setting.ratio('OTEL_TRACES_SAMPLER_ARG', 1),
  otelTracesExporter: setting.oneOf('OTEL_TRACES_EXPORTER', ['otlp', 'none'], 'otlp'),
  otelDisabled: setting.flag('OTEL_SDK_DISABLED', false),
} as const;

export type TracingSettings = SettingsOf<typeof tracingSettings>;

/** What every service reads. */
export const commonSettings = {
  databaseUrl: setting.databaseUrl('DATABASE_URL'),
  natsUrl: setting.url('NATS_URL'),
  natsCreds: setting.optionalText('NATS_CREDS'),
  natsCa: setting.optionalText('NATS_CA'),
  natsCert: setting.optionalText('NATS_CERT'),
  natsKey: setting.optionalText('NATS_KEY'),
  streamReplicas: setting.integer('STREAM_REPLICAS', 1, { min: 1, max: 5 }),
  managementPort: setting.port('MANAGEMENT_PORT', 0),
  managementHost: setting.text('MANAGEMENT_HOST', '127.0.0.1'),
  logLevel: setting.oneOf('LOG_LEVEL', logLevels, 'info'),
  drainDelayMs: setting.duration('DRAIN_DELAY', '5s'),
  secretsKey: setting.secret('SECRETS_KEY'),
  adminToken: setting.secret('ADMIN_TOKEN'),
  ...tracingSettings,
} as const;

export type CommonSettings = SettingsOf<typeof commonSettings>;
