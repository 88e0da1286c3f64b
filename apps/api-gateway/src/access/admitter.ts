import { unavailable } from '@keyturn/contracts';
import { spaceId, statement, type Database, type Statement } from '@keyturn/platform/database';
import { openChild, withinAll, type Span } from '@keyturn/platform/tracing';
import type { KeyPrincipal, Scope } from './principal';
import type { Quota } from './quota';
import { RecentKeys } from './recent-keys';

/** A request with a good key: may it pass, and what is left of the key's limit. */
export interface Admission {
  readonly principal: KeyPrincipal;
  readonly granted: boolean;
  readonly quota: Quota;
}

interface AdmitRow {
  key_id: string | null;
  space_id: string;
  scopes: Scope[];
  rate_limit: number;
  granted: number;
  remaining: number;
  reset_ms: number;
}

interface Waiting {
  /** Of the host that it came to. */
  readonly label: string | undefined;
  readonly span: Span | undefined;
  resolve(admission: Admission | undefined): void;
  reject(error: unknown): void;
}

interface Stranger extends Waiting {
  readonly sha256: string;
}

/**
 * Requests of one key: those of the running statement, and those that wait. A statement is for one host label, but a line for
 * all of them: whoever makes up labels waits behind himself, and never holds more than one connection.
 */
interface Line {
  readonly sha256: string;
  waiting: Waiting[];
}

const admitStatement = statement('access.admit', `select * from access.admit(decode($1, 'hex'), $2, $3)`);

const findKeys = statement(
  'access.find_keys',
  `select encode(sha256, 'hex') as sha256 from access.api_key
    where sha256 = any (select decode(unnest($1::text[]), 'hex')) and revoked_at is null`,
);
/** Strangers' keys looked for in one statement. */
const maxLookedFor = 500;

/**
 * Lets requests in by key. There is no cache of keys: each request is admitted by a statement that began after it arrived, so
 * a revocation holds from the very next request on every replica. While one statement runs for a key, later requests of that
 * key wait and share the next, so a busy key costs a few statements, not one a request.
 *
 * Keys not seen lately are first looked for all together, one statement at a time: made-up keys with a right checksum, however
 * many, never stand in a line of their own.
 */
export class Admitter {
  private readonly lines = new Map<string, Line>();
  private readonly recent = new RecentKeys();
  private strangers: Stranger[] = [];
  private looking = false;

  constructor(
    private readonly database: Pick<Database, 'acrossSpaces'>,
    private readonly deadlineMs = 1_500,
  ) {}

  /** Undefined where the key opens nothing here: the caller is not told why (T-022). */
  admit(sha256: string, label: string | undefined): Promise<Admission | undefined> {
    const span = openChild({ name: 'admit', kind: 'internal' });
    const admitted = new Promise<Admission | undefined>((resolve, reject) => {
      if (this.recent.has(sha256)) this.joinLine(sha256, { label, span, resolve, reject });
      else {
        this.strangers.push({ sha256, label, span, resolve, reject });
        if (!this.looking) void this.look();
      }
    });
    if (span)
      admitted.then(
        () => span.end(),
        () => span.end('UNAVAILABLE'),
      );
    return admitted;
  }

  private joinLine(sha256: string, waiting: Waiting): void {
    const line = this.lines.get(sha256);
    if (line) {
      line.waiting.push(waiting);
      return;
    }
    const fresh: Line = { sha256, waiting: [waiting] };
    this.lines.set(sha256, fresh);
    void this.run(fresh);
  }

  private async run(line: Line): Promise<void> {
    while (line.waiting.length) {
      // Whoever is read from a socket in this turn of the event loop goes along.
      await new Promise(setImmediate);
      const label = line.waiting[0]?.label;
      const batch = line.waiting.filter((each) => each.label === label);
      line.waiting = line.waiting.filter((each) => each.label !== label);
      try {
        const [row] = await this.ask<AdmitRow>(batch, admitStatement, [line.sha256, batch.length, label ?? null]);
        if (row?.key_id) this.recent.add(line.sha256);
        else this.recent.delete(line.sha256);
        answer(batch, row);
      } catch (error) {
        // Whoever came meanwhile would wait for the same failure: past the deadline of their own.
        for (const { reject } of [...batch, ...line.waiting]) reject(error);
        line.waiting = [];
      }
    }
    this.lines.delete(line.sha256);
  }

  private async look(): Promise<void> {
    this.looking = true;
    while (this.strangers.length) {
      await new Promise(setImmediate);
      const batch = this.strangers.splice(0, maxLookedFor);
      try {
        const rows = await this.ask<{ sha256: string }>(batch, findKeys, [
          [...new Set(batch.map(({ sha256 }) => sha256))],
        ]);
        const found = new Set(rows.map(({ sha256 }) => sha256));
        for (const stranger of batch)
          if (found.has(stranger.sha256)) this.joinLine(stranger.sha256, stranger);
          else stranger.resolve(undefined);
      } catch (error) {
        for (const { reject } of [...batch, ...this.strangers]) reject(error);
        this.strangers = [];
      }
    }
    this.looking = false;
  }

  private async ask<R extends object>(
    batch: readonly Waiting[],
    sql: Statement,
    values: readonly unknown[],
  ): Promise<R[]> {
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<never>((_, reject) => {
      timer = setTimeout(() => reject(unavailable('Keys cannot be checked in time')), this.deadlineMs);
    });
    const spans = batch.map(({ span }) => span);
    const asked = withinAll(spans, () =>
      this.database.acrossSpaces('a key is what says which Space').query<R>(sql, values),
    );
    try {
      return await Promise.race([asked, late]);
    } finally {
      clearTimeout(timer);
      // Where the deadline came first, nobody waits for the statement's own failure any more.
      asked.catch(() => undefined);
    }
  }
}

/** Permits go to requests in the order of their arrival, so that what remains counts down (T-042). */
function answer(batch: readonly Waiting[], row: AdmitRow | undefined): void {
  if (!row || row.key_id === null) {
    for (const { resolve } of batch) resolve(undefined);
    return;
  }
  const principal: KeyPrincipal = {
    kind: 'key',
    keyId: row.key_id,
    spaceId: spaceId(row.space_id),
    scopes: row.scopes,
  };
  const resetSeconds = Math.max(1, Math.ceil(row.reset_ms / 1000));
  batch.forEach(({ resolve }, index) => {
    const granted = index < row.granted;
    resolve({
      principal,
      granted,
      quota: {
        policy: 'key',
        limit: row.rate_limit,
        remaining: granted ? row.remaining + row.granted - 1 - index : 0,
        resetSeconds,
      },
    });
  });
}
