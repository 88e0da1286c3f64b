import { unavailable } from '@keyturn/contracts';
import { spaceId, statement, type Database } from '@keyturn/platform/database';
import type { KeyPrincipal, Scope } from './principal';
import type { Quota } from './quota';

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
  resolve(admission: Admission | undefined): void;
  reject(error: unknown): void;
}

/** Requests of one key on one host label: those of the running statement, and those that go together in the next. */
interface Line {
  readonly sha256: string;
  readonly label: string | undefined;
  waiting: Waiting[];
}

const admitStatement = statement('access.admit', `select * from access.admit(decode($1, 'hex'), $2, $3)`);

/**
 * Lets requests in by key. There is no cache of keys: each request is admitted by a statement that began after it arrived, so
 * a revocation holds from the very next request on every replica. While one statement runs for a key, later requests of that
 * key wait and share the next, so a busy key costs a few statements, not one a request.
 */
export class Admitter {
  private readonly lines = new Map<string, Line>();

  constructor(
    private readonly database: Pick<Database, 'acrossSpaces'>,
    private readonly deadlineMs = 1_500,
  ) {}

  /** Undefined where the key opens nothing here: the caller is not told why (T-022). */
  admit(sha256: string, label: string | undefined): Promise<Admission | undefined> {
    return new Promise((resolve, reject) => {
      const key = label === undefined ? sha256 : `${sha256} ${label}`;
      const line = this.lines.get(key);
      if (line) {
        line.waiting.push({ resolve, reject });
        return;
      }
      const fresh: Line = { sha256, label, waiting: [{ resolve, reject }] };
      this.lines.set(key, fresh);
      void this.run(key, fresh);
    });
  }

  private async run(key: string, line: Line): Promise<void> {
    while (line.waiting.length) {
      // Whoever is read from a socket in this turn of the event loop goes along.
      await new Promise(setImmediate);
      const batch = line.waiting;
      line.waiting = [];
      try {
        answer(batch, await this.ask(line, batch.length));
      } catch (error) {
        // Whoever came meanwhile would wait for the same failure: past the deadline of their own.
        for (const { reject } of [...batch, ...line.waiting]) reject(error);
        line.waiting = [];
      }
    }
    this.lines.delete(key);
  }

  private async ask(line: Line, wanted: number): Promise<AdmitRow | undefined> {
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<never>((_, reject) => {
      timer = setTimeout(() => reject(unavailable('Keys cannot be checked in time')), this.deadlineMs);
    });
    const asked = this.database
      .acrossSpaces('a key is what says which Space')
      .query<AdmitRow>(admitStatement, [line.sha256, wanted, line.label ?? null]);
    try {
      return (await Promise.race([asked, late]))[0];
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
