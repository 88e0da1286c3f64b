import { readdirSync, readFileSync } from 'node:fs';
import { Client } from 'pg';
import { connect } from 'nats';
import type { TestSystem } from '@keyturn/testing';

/** The parts of the system whose work is told apart. */
export const parts = ['api-gateway', 'data-service', 'webhook-service', 'dispatcher', 'postgres', 'nats'] as const;
export type Part = (typeof parts)[number];

const schemas = ['access', 'data', 'webhooks'] as const;

/** What has been used up to a moment. */
export interface Usage {
  /** CPU time in ms, user and system. */
  readonly cpuMs: Readonly<Record<Part, number>>;
  /** Bytes of tables with their indexes, by schema; of the write-ahead log; of the streams. */
  readonly bytes: Readonly<Record<(typeof schemas)[number] | 'wal' | 'DOMAIN' | 'EVENTS', number>>;
}

/** Linux counts in hundredths of a second. */
const msOfTick = 10;

interface Times {
  readonly parent: number;
  readonly own: number;
  /** Of children that have ended. */
  readonly ended: number;
}

function timesOf(pid: number): Times | undefined {
  try {
    // The name in brackets may hold anything, so what counts begins behind it.
    const fields = readFileSync(`/proc/${pid}/stat`, 'utf8')
      .replace(/^.*\) /s, '')
      .split(' ')
      .map(Number);
    const at = (field: number) => fields[field - 3] ?? 0;
    return { parent: at(4), own: (at(14) + at(15)) * msOfTick, ended: (at(16) + at(17)) * msOfTick };
  } catch {
    return undefined;
  }
}

function cpuOfTree(root: number): number {
  const top = timesOf(root);
  if (!top) throw new Error('CPU time is read from /proc, which this system does not have');
  let sum = top.own + top.ended;
  for (const name of readdirSync('/proc')) {
    const times = /^\d+$/.test(name) ? timesOf(Number(name)) : undefined;
    if (times?.parent === root) sum += times.own;
  }
  return sum;
}

/** Proportional: pages that processes share are counted once over all of them. */
function memoryOf(pid: number): number {
  const rollup = readFileSync(`/proc/${pid}/smaps_rollup`, 'utf8');
  return Number(/^Pss:\s+(\d+) kB/m.exec(rollup)?.[1] ?? 0) / 1_024;
}

/** Looks at the whole system from outside: the kernel's counters, the sizes that Postgres and JetStream tell. */
export class Meter {
  private constructor(
    private readonly system: TestSystem,
    private readonly database: Client,
    private readonly postmaster: number,
  ) {}

  static async of(system: TestSystem): Promise<Meter> {
    const database = new Client({ connectionString: system.databaseUrl });
    await database.connect();
    const { rows } = await database.query<{ pid: number }>('select pg_backend_pid() as pid');
    const postmaster = timesOf(rows[0]?.pid ?? 0)?.parent;
    if (!postmaster) throw new Error('PostgreSQL runs elsewhere, so its CPU time cannot be seen');
    return new Meter(system, database, postmaster);
  }

  async read(): Promise<Usage> {
    // What the collector of statistics and the checkpointer still have to do belongs to what was before.
    await this.database.query('checkpoint');
    const sizes = await this.database.query<{ schema: string; bytes: string }>(
      `select nspname as schema, sum(pg_total_relation_size(c.oid)) as bytes
         from pg_class c join pg_namespace n on n.oid = relnamespace
        where relkind = 'r' and nspname = any ($1) group by nspname`,
      [schemas],
    );
    const wal = await this.database.query<{ bytes: string }>(
      `select pg_wal_lsn_diff(pg_current_wal_lsn(), '0/0') as bytes`,
    );
    const sizeOf = (schema: string) => Number(sizes.rows.find((row) => row.schema === schema)?.bytes ?? 0);
    const connection = await connect({ servers: this.system.nats.url });
    const { streams: manager } = await connection.jetstreamManager();
    const bytesOf = async (stream: string) => (await manager.info(stream)).state.bytes;
    const [domain, events] = await Promise.all([bytesOf('DOMAIN'), bytesOf('EVENTS')]);
    await connection.close();
    return {
      cpuMs: {
        'api-gateway': cpuOfTree(this.system.pid('api-gateway')),
        'data-service': cpuOfTree(this.system.pid('data-service')),
        'webhook-service': cpuOfTree(this.system.pid('webhook-service')),
        dispatcher: cpuOfTree(this.system.pid('dispatcher')),
        postgres: cpuOfTree(this.postmaster),
        nats: cpuOfTree(this.system.nats.pid),
      },
      bytes: {
        access: sizeOf('access'),
        data: sizeOf('data'),
        webhooks: sizeOf('webhooks'),
        wal: Number(wal.rows[0]?.bytes ?? 0),
        DOMAIN: domain,
        EVENTS: events,
      },
    };
  }

  /** MB of each part now. */
  memory(): Record<Part, number> {
    const tree = [this.postmaster, ...childrenOf(this.postmaster)];
    return {
      'api-gateway': memoryOf(this.system.pid('api-gateway')),
      'data-service': memoryOf(this.system.pid('data-service')),
      'webhook-service': memoryOf(this.system.pid('webhook-service')),
      dispatcher: memoryOf(this.system.pid('dispatcher')),
      postgres: tree.reduce((sum, pid) => sum + memoryOf(pid), 0),
      nats: memoryOf(this.system.nats.pid),
    };
  }

  /** Open connections to Postgres, by the service that has them. */
  async connections(): Promise<Record<string, number>> {
    const { rows } = await this.database.query<{ service: string; count: string }>(
      `select split_part(application_name, ' ', 1) as service, count(*) as count from pg_stat_activity
        where datname = current_database() and pid <> pg_backend_pid() group by 1 order by 1`,
    );
    return Object.fromEntries(rows.map(({ service, count }) => [service || 'others', Number(count)]));
  }

  /** Requests to receivers that are written down. */
  async attempts(): Promise<number> {
    const { rows } = await this.database.query<{ count: string }>('select count(*) as count from webhooks.attempt');
    return Number(rows[0]?.count ?? 0);
  }

  /** What the tables hold is theirs: what updates have left behind is free again before it is measured. */
  async vacuum(): Promise<void> {
    await this.database.query('vacuum (analyze)');
  }

  close(): Promise<void> {
    return this.database.end();
  }
}

const childrenOf = (root: number) =>
  readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
    .filter((pid) => timesOf(pid)?.parent === root);

/** What was used between two looks. */
export function between(before: Usage, after: Usage): Usage {
  const minus = <K extends string>(a: Readonly<Record<K, number>>, b: Readonly<Record<K, number>>) =>
    Object.fromEntries(Object.entries<number>(a).map(([key, value]) => [key, value - b[key as K]])) as Record<
      K,
      number
    >;
  return { cpuMs: minus(after.cpuMs, before.cpuMs), bytes: minus(after.bytes, before.bytes) };
}
