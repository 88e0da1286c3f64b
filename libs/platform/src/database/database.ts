import { Client, Pool, type ClientConfig, type PoolClient, type QueryConfig, type QueryResult } from 'pg';
import { ApiError, unavailable } from '@keyturn/contracts';
import { openChild } from '../tracing';
import { isSilence, translate } from './failure';
import { spaceNumber } from './space-id';

/** SQL with a name: prepared once per connection, so planning and parsing are paid once. */
export interface Statement {
  readonly name: string;
  readonly text: string;
}

/** Postgres cuts names at 63 bytes, and two statements under one name would be an error at run time. */
export function statement(name: string, text: string): Statement {
  if (Buffer.byteLength(name) > 63) throw new Error(`the name of a statement has at most 63 bytes: ${name}`);
  return { name, text };
}

export interface Queries {
  /** Values are bound from `$1` on. Big integers come back as strings, moments as `Date`, bytes as `Buffer`, JSON as text. */
  query<R extends object = Record<string, unknown>>(sql: Statement, values?: readonly unknown[]): Promise<R[]>;
}

/** The one door to rows of a Space: `$1` is always the Space's number; values are bound from `$2` on. */
export type SpaceScope = Queries;

interface Doors {
  /** Statements of one Space. */
  inSpace(spaceId: string): SpaceScope;
  /** The few statements that are not of one Space; the reason stands in the code for whoever reads it. */
  acrossSpaces(reason: string): Queries;
}

export type Transaction = Doors;

/** One dedicated connection: for advisory locks, and for transactions that must run where the lock is held. */
export interface Session extends Doors {
  transaction<T>(work: (tx: Transaction) => Promise<T>): Promise<T>;
  /** Settles when the connection is gone, and with it every lock it held. */
  readonly lost: Promise<void>;
}

export interface DatabaseOptions {
  readonly max?: number;
  readonly applicationName?: string;
  /** Session settings, for example `{ plan_cache_mode: 'force_custom_plan' }`. */
  readonly sessionSettings?: Readonly<Record<string, string>>;
  /** After so long a statement is cancelled by the server; 5 s unless told. */
  readonly statementTimeoutMs?: number;
  /** How long a request waits for a connection before it is told that the database cannot be reached. */
  readonly connectTimeoutMs?: number;
  /**
   * After so long without an answer a statement fails and its connection is given up; by default when the server should have
   * cancelled it. One that went without a word cancels nothing itself, and its connections would fill the pool for as long as
   * TCP keeps hoping: a quarter of an hour.
   */
  readonly giveUpMs?: number;
}

export interface SessionOptions {
  /** For statements of transactions, where the session has raised `statement_timeout` for them. */
  readonly giveUpInTransactionMs?: number;
}

const defaultStatementTimeoutMs = 5_000;
/** The server's own word on a statement that takes too long is on its way. */
const giveUpMarginMs = 500;
/** What still runs when the pool closes has nobody who waits for it. */
const closeWithinMs = 1_000;

/** After so long Postgres sees that the client of a running statement is gone, and stops it. */
const goneClientMs = 250;

const noParse = (value: string) => value;
const dateOf = (value: string) => new Date(value.replace(' ', 'T').replace(/([+-]\d\d)$/, '$1:00'));
const booleanOf = (value: string) => value === 't';
const numberOf = (value: string) => Number(value);
const bytesOf = (value: string) => Buffer.from(value.slice('\\x'.length), 'hex');
const oid = { bool: 16, bytea: 17, int2: 21, int4: 23, float4: 700, float8: 701, timestamptz: 1184 };
const parsers = new Map<number, (value: string) => unknown>([
  [oid.bool, booleanOf],
  [oid.bytea, bytesOf],
  [oid.int2, numberOf],
  [oid.int4, numberOf],
  [oid.float4, numberOf],
  [oid.float8, numberOf],
  [oid.timestamptz, dateOf],
]);
/** Everything else stays text: a bigint must not lose digits, and JSON is passed on unread. Arrays are read by pg's own parser. */
const arrayOids = new Set([1005, 1007, 1009, 1015, 1016, 1021, 1022]);

/** Part of the driver's interface, and not of its types. */
type TimedQuery = QueryConfig & { readonly query_timeout?: number | undefined };

interface Asked {
  query(config: QueryConfig): Promise<QueryResult>;
}

async function run<R>(client: Asked, sql: Statement, values: readonly unknown[]): Promise<R[]> {
  const config: QueryConfig = { name: sql.name, text: sql.text, values: values as unknown[] };
  try {
    return (await spanned(sql.name, () => client.query(config))).rows as R[];
  } catch (error) {
    throw translate(error);
  }
}

/** A step of the trace under its name alone: neither the values nor the text, which a search makes long. */
async function spanned<T>(name: string, work: () => Promise<T>): Promise<T> {
  const span = openChild({
    name,
    kind: 'client',
    attributes: { 'db.system.name': 'postgresql', 'db.query.summary': name },
  });
  try {
    const result = await work();
    span?.end();
    return result;
  } catch (error) {
    span?.end(kindOf(translate(error)));
    throw error;
  }
}

function kindOf(error: unknown): string {
  if (error instanceof ApiError) return error.code;
  return (error as { code?: string }).code ?? 'error';
}

/** A statement of a Space names `$1` as its Space, or it is a mistake of ours that no caller's input can reach. */
const scoped = new WeakSet<Statement>();
function assertScoped(sql: Statement): void {
  if (scoped.has(sql)) return;
  if (!/\bspace_id\s*=\s*\$1\b/.test(sql.text) && !/^\s*insert\b[^;]*\$1\b/is.test(sql.text))
    throw new Error(`statement ${sql.name} is not scoped to a Space: it has no "space_id = $1"`);
  scoped.add(sql);
}

function doors(client: () => Asked): Doors {
  return {
    inSpace(spaceId) {
      const space = spaceNumber(spaceId);
      return {
        query(sql, values = []) {
          assertScoped(sql);
          return run(client(), sql, [space, ...values]);
        },
      };
    },
    acrossSpaces() {
      return { query: (sql, values = []) => run(client(), sql, values) };
    },
  };
}

async function inTransaction<T>(client: Asked, work: (tx: Transaction) => Promise<T>): Promise<T> {
  await client.query({ text: 'begin' });
  try {
    const result = await work(doors(() => client));
    await spanned('commit', () => client.query({ text: 'commit' }));
    return result;
  } catch (error) {
    await client.query({ text: 'rollback' }).catch((lost: unknown) => {
      // The connection is gone, and Postgres has rolled back by itself.
      throw translate(lost);
    });
    throw error;
  }
}

/** Connections in use, idle, and requests waiting for one. */
export interface PoolUsage {
  readonly busy: number;
  readonly idle: number;
  readonly waiting: number;
}

const open = new Set<Database>();

/** Of every pool of this process that is open, by the name under which PostgreSQL knows its connections. */
export function poolUsage(): Map<string, PoolUsage> {
  const usage = new Map<string, PoolUsage>();
  for (const database of open) {
    const { busy, idle, waiting } = database.usage;
    const before = usage.get(database.name) ?? { busy: 0, idle: 0, waiting: 0 };
    usage.set(database.name, {
      busy: before.busy + busy,
      idle: before.idle + idle,
      waiting: before.waiting + waiting,
    });
  }
  return usage;
}

/** A pool of connections with two doors and no plain `query`: which Space a statement reads is never left to memory. */
export class Database implements Doors {
  private readonly direct: Doors;

  constructor(
    private readonly pool: Pool,
    readonly name: string,
  ) {
    open.add(this);
    // An idle connection that breaks is replaced at the next use; without a listener it would end the process.
    pool.on('error', () => undefined);
    this.direct = doors(() => this.pool);
  }

  /**
   * `until`, by `performance.now()`: whoever asked has been answered otherwise by then. A statement does not begin after it, and one that
   * still runs fails, loses its connection, and is stopped by Postgres, which sees that nobody is there any more.
   */
  inSpace(spaceId: string, until?: number): SpaceScope {
    if (until === undefined) return this.direct.inSpace(spaceId);
    return doors(() => ({ query: (config) => this.queryUntil(until, config) })).inSpace(spaceId);
  }

  acrossSpaces(reason: string): Queries {
    return this.direct.acrossSpaces(reason);
  }

  /** Runs `work` in one transaction: committed when it returns, rolled back when it throws. */
  async transaction<T>(reason: string, work: (tx: Transaction) => Promise<T>): Promise<T> {
    return this.session(reason, (session) => session.transaction(work));
  }

  /** Lends one connection of its own for as long as `work` runs. */
  async session<T>(
    _reason: string,
    work: (session: Session) => Promise<T>,
    { giveUpInTransactionMs }: SessionOptions = {},
  ): Promise<T> {
    const client = await this.connect();
    let broken: Error | undefined;
    let onLost: () => void = () => undefined;
    const lost = new Promise<void>((resolve) => (onLost = resolve));
    const onError = (error: Error) => {
      broken = error;
      onLost();
    };
    client.on('error', onError);
    client.on('end', onLost);
    // Behind a statement without an answer every other one would wait as long again.
    const ask = (giveUp: Pick<TimedQuery, 'query_timeout'>): Asked => ({
      query: async (config) => {
        if (broken) throw broken;
        try {
          return await client.query({ ...config, ...giveUp });
        } catch (error) {
          if (isSilence(error)) onError(error as Error);
          throw error;
        }
      },
    });
    const plain = ask({});
    const patient = giveUpInTransactionMs === undefined ? plain : ask({ query_timeout: giveUpInTransactionMs });
    try {
      return await work({
        ...doors(() => plain),
        transaction: async (inner) => {
          try {
            return await inTransaction(patient, inner);
          } catch (error) {
            throw translate(error);
          }
        },
        lost,
      });
    } finally {
      client.off('error', onError);
      client.off('end', onLost);
      client.release(broken ?? false);
    }
  }

  /** Resolves when Postgres answers. */
  async ping(): Promise<void> {
    await this.acrossSpaces('readiness').query(statement('ping', 'select 1'));
  }

  get usage(): PoolUsage {
    return {
      busy: this.pool.totalCount - this.pool.idleCount,
      idle: this.pool.idleCount,
      waiting: this.pool.waitingCount,
    };
  }

  /** Waits for a moment, and no longer, for statements that still run. */
  async close(): Promise<void> {
    open.delete(this);
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<void>((resolve) => (timer = setTimeout(resolve, closeWithinMs)));
    await Promise.race([this.pool.end(), late]);
    clearTimeout(timer);
  }

  private async queryUntil(until: number, config: QueryConfig): Promise<QueryResult> {
    const client = await this.connect();
    const leftMs = until - performance.now();
    if (leftMs <= 0) {
      client.release();
      throw unavailable('Nobody waits for the statement any more');
    }
    // A connection that breaks also fails its statement, which is where it is dealt with.
    const onError = () => undefined;
    client.on('error', onError);
    let failure: Error | undefined;
    try {
      return await client.query({ ...config, query_timeout: leftMs } as TimedQuery);
    } catch (error) {
      failure = error as Error;
      throw error;
    } finally {
      client.off('error', onError);
      client.release(failure);
    }
  }

  private async connect(): Promise<PoolClient> {
    try {
      return await this.pool.connect();
    } catch (error) {
      throw translate(error);
    }
  }
}

/** Where a database is and who asks: a function is asked again at every connection, so that a rotated password holds. */
export type DatabaseUrl = string | (() => string);

export function makeDatabase(url: DatabaseUrl, options: DatabaseOptions = {}): Database {
  const name = options.applicationName ?? 'keyturn';
  const { statementTimeoutMs = defaultStatementTimeoutMs } = options;
  const settings = {
    statement_timeout: String(statementTimeoutMs),
    client_connection_check_interval: String(goneClientMs),
    ...options.sessionSettings,
  };
  return new Database(
    new Pool({
      Client: clientOf(url),
      max: options.max ?? 10,
      application_name: name,
      connectionTimeoutMillis: options.connectTimeoutMs ?? 1_500,
      query_timeout: options.giveUpMs ?? statementTimeoutMs + giveUpMarginMs,
      idleTimeoutMillis: 60_000,
      keepAlive: true,
      options: Object.entries(settings)
        .map(([name, value]) => `-c ${name}=${value}`)
        .join(' '),
      types: {
        getTypeParser: ((type: number) =>
          arrayOids.has(type) ? parseTextArray : (parsers.get(type) ?? noParse)) as never,
      },
    }),
    name,
  );
}

/** The driver's own, that learns at its birth where it belongs. */
function clientOf(url: DatabaseUrl): new (config?: ClientConfig) => Client {
  return class extends Client {
    constructor(config: ClientConfig = {}) {
      super({ ...config, connectionString: typeof url === 'string' ? url : url() });
    }
  };
}

/** Postgres's text form of a one-dimensional array: `{a,"b \"c\"",NULL}`. */
function parseTextArray(text: string): (string | null)[] {
  const items: (string | null)[] = [];
  for (let i = 1; i < text.length - 1;) {
    if (text[i] === '"') {
      let item = '';
      for (i++; text[i] !== '"'; i++) {
        if (text[i] === '\\') i++;
        item += text[i];
      }
      items.push(item);
      i += 2;
    } else {
      let end = text.indexOf(',', i);
      if (end === -1) end = text.length - 1;
      const item = text.slice(i, end);
      items.push(item === 'NULL' ? null : item);
      i = end + 1;
    }
  }
  return items;
}
