import { readFileSync, statSync } from 'node:fs';
import { Client } from 'pg';
import { makeDatabase } from '@keyturn/platform/database';
import { dropOldDeliveries, PostgresDispatchStore, SecretBox, WebhookLedger, type Room } from '@keyturn/webhook-store';
import type { CommittedEvent } from '@keyturn/contracts';
import type { TestSystem } from '@keyturn/testing';
import { withBenchSystem } from './bench-system';
import { median, printFigure, say } from './figures';

/**
 * `npm run bench -- history`: what one asks of deliveries with few of them behind it, and again in the same run with millions.
 * The history is written by SQL, as the dispatcher would have left it; what is measured is the real door.
 */
export interface HistoryOptions {
  /** Deliveries in all, each with its attempt. */
  readonly rows: number;
}

const few = 5_000;
const days = 10;
const webhooksOfSpace = 5;
const rounds = 40;
const dayMs = 86_400_000;

interface HistorySpace {
  readonly number: string;
  readonly id: string;
  readonly key: string;
  /** `wh_<n>` */
  readonly webhooks: readonly string[];
}

/** What one question costs, in ms. */
type Costs = ReadonlyMap<string, number>;

export async function benchHistory(options: HistoryOptions): Promise<void> {
  await withBenchSystem({}, async (system) => {
    // It would begin to send what is claimed below.
    await system.terminate('dispatcher');
    const client = new Client({ connectionString: system.databaseUrl });
    await client.connect();
    try {
      await explainSlowStatements(system, client);
      const spaces = [await makeSpace(system), await makeSpace(system)];
      const history = new History(client, spaces);
      await history.fillUpTo(few);
      // Once for connections, plans and compiled code, as in a system that has been running.
      await measure(system, client, spaces);
      const before = await measure(system, client, spaces);
      const started = performance.now();
      await history.fillUpTo(options.rows);
      say(`${options.rows} deliveries written in ${Math.round((performance.now() - started) / 1_000)} s`);
      const logged = statSync(system.postgres.logFile).size;
      const after = await measure(system, client, spaces);
      for (const [name, ms] of after) printFigure(`${name}: ${options.rows} beside ${few}`, 'ms', ms, before.get(name));
      say(plansOf(readFileSync(system.postgres.logFile).subarray(logged).toString('utf8')));
      await measureDrop(system, options.rows);
    } finally {
      await client.end();
    }
  });
}

async function makeSpace(system: TestSystem): Promise<HistorySpace> {
  const { id, slug } = await system.createSpace();
  const { key } = await system.createKey(slug);
  const webhooks: string[] = [];
  for (let number = 1; number <= webhooksOfSpace; number++) {
    const answer = await fetch(`${system.baseUrl}/api/v1/webhooks`, {
      method: 'POST',
      headers: { 'x-api-key': key, 'content-type': 'application/json' },
      body: JSON.stringify({ name: `webhook ${number}`, url: 'http://127.0.0.1:9/', events: ['file.*'] }),
    });
    const { data } = (await answer.json()) as { data: { id: string } };
    webhooks.push(data.id);
  }
  return { id, number: id.slice('spc_'.length), key, webhooks };
}

/** Slow statements leave their plan in the server's log; whoever connects from now on. */
async function explainSlowStatements(system: TestSystem, client: Client): Promise<void> {
  const name = new URL(system.databaseUrl).pathname.slice(1);
  for (const [setting, value] of [
    ['session_preload_libraries', 'auto_explain'],
    ['auto_explain.log_min_duration', '20ms'],
    ['auto_explain.log_analyze', 'on'],
    ['auto_explain.log_timing', 'off'],
    ['auto_explain.log_buffers', 'on'],
  ])
    await client.query(`alter database ${name} set ${setting} = '${value}'`);
  await system.terminate('webhook-service');
  await system.startInstance('webhook-service');
}

/** Messages, deliveries and attempts of the last days, evenly over days, Spaces and webhooks; nearly all of them successes. */
class History {
  private messages = 0;

  constructor(
    private readonly client: Client,
    private readonly spaces: readonly HistorySpace[],
  ) {}

  async fillUpTo(deliveries: number): Promise<void> {
    await this.client.query('set synchronous_commit = off');
    const wanted = Math.ceil(deliveries / webhooksOfSpace);
    const today = Math.floor(Date.now() / dayMs) * dayMs;
    for (let back = days - 1; back >= 0; back--) {
      const day = new Date(today - back * dayMs).toISOString().slice(0, 10);
      await this.client.query('select webhooks.add_day($1::date)', [day]);
      const upTo = this.messages + Math.ceil((wanted - this.messages) / (back + 1));
      for (const [index, space] of this.spaces.entries()) {
        const values = [day, this.messages + 1, upTo, space.number, this.spaces.length, index];
        await this.client.query(fillMessages, values);
        await this.client.query(fillDeliveries, values.slice(0, 4));
        await this.client.query(fillAttempts, values.slice(0, 4));
      }
      this.messages = upTo;
    }
    for (const statement of [
      `select setval('webhooks.delivery_id', ${this.messages * webhooksOfSpace + webhooksOfSpace})`,
      `insert into webhooks.endpoint_day (endpoint_id, day, deliveries, usual_event, usual_code)
       select endpoint_id, day, count(*), 'file.updated', 200 from webhooks.delivery group by endpoint_id, day
       on conflict (endpoint_id, day) do update set deliveries = excluded.deliveries`,
      'vacuum analyze webhooks.message',
      'vacuum analyze webhooks.delivery',
      'vacuum analyze webhooks.attempt',
      'checkpoint',
    ])
      await this.client.query(statement);
  }
}

/** $1 day · $2 from · $3 up to · $4 Space · $5 Spaces · $6 which of them */
const numbers = `generate_series($2::bigint, $3::bigint) as n where n % $5::int = $6::int`;
const momentOf = `($1::date::timestamp at time zone 'UTC') + (n - $2::bigint) * interval '1 day' / ($3::bigint - $2::bigint + 2)`;

const fillMessages = `
  insert into webhooks.message (day, id, space_id, sequence, event, resource, record_id, time, committed_at, changed, payload)
  select $1::date, 'evt_' || lpad(n::text, 26, '0'), $4::bigint, n, case when n / 2 % 10000 = 7 then 'file.deleted' when n / 2 % 10 < 2 then 'file.created' else 'file.updated' end,
         'file', n % 100000, ${momentOf}, ${momentOf}, '{listPrice}',
         convert_to('{"event":"file.updated","data":{"id":' || n % 100000 || ',"name":"' || repeat('x', 200) || '"}}', 'UTF8')
  from ${numbers}`;

const fillDeliveries = `
  insert into webhooks.delivery (id, day, endpoint_id, space_id, message_id, sequence, event, resource, record_id, thin, created_at,
                                 status, troubled, attempts, max_attempts, last_attempt_at, delivered_at, response_status,
                                 response_body, duration_ms, unusual_event, unusual_code, trouble)
  select (m.sequence - 1) * ${webhooksOfSpace} + e.place, m.day, e.id, m.space_id, m.id, m.sequence, m.event, m.resource, m.record_id,
         false, m.committed_at, fate.status, fate.status <> 'success', 1, 9, m.committed_at,
         case when fate.status = 'success' then m.committed_at end, fate.code, 'OK', 12,
         nullif(m.event, 'file.updated'), case when fate.status = 'success' then nullif(fate.code, 200) else fate.code end,
         nullif(fate.status, 'success')
  from webhooks.message m
  cross join lateral (
    select id, row_number() over (order by id) as place from webhooks.endpoint where space_id = $4::bigint
  ) e
  cross join lateral (
    select case when nth % 100 < 2 then 'failed' when nth % 500 = 3 then 'cancelled' else 'success' end as status,
           case when nth % 100 = 0 then 500 when nth % 100 = 1 then 404 when nth % 500 = 3 then 503
                when nth % 10000 = 9 then 201 else 200 end as code
    from (select m.sequence / 2 as nth) of_its_space
  ) fate
  where m.day = $1::date and m.space_id = $4::bigint and m.sequence between $2::bigint and $3::bigint
  order by m.sequence, e.place`;

const fillAttempts = `
  insert into webhooks.attempt (day, delivery_id, space_id, number, reason, started_at, duration_ms, address, response_status)
  select day, id, space_id, 1, 'first', created_at, 12, '203.0.113.7', response_status
  from webhooks.delivery
  where day = $1::date and space_id = $4::bigint and sequence between $2::bigint and $3::bigint
  order by id`;

async function measure(system: TestSystem, client: Client, spaces: readonly HistorySpace[]): Promise<Costs> {
  const [space] = spaces as [HistorySpace];
  const costs = new Map<string, number>();
  const base = `/api/v1/webhooks/${space.webhooks[0]}/deliveries`;
  const ask = async (path: string) => {
    const answer = await fetch(`${system.baseUrl}${path}`, { headers: { 'x-api-key': space.key } });
    const text = await answer.text();
    if (answer.status !== 200) throw new Error(`${path}: ${answer.status} ${text}`);
    return JSON.parse(text) as { data: { id: string }[]; pagination: { total?: number; nextCursor?: string | null } };
  };
  const yesterday = new Date(Date.now() - dayMs).toISOString();
  const weekAgo = new Date(Date.now() - 7 * dayMs).toISOString().slice(0, 10);
  const lists: [string, string][] = [
    ['list, with its exact total', base],
    ['list by status failed', `${base}?status=failed&cursor=`],
    ['list by status success', `${base}?status=success&cursor=`],
    ['list by status pending', `${base}?status=pending`],
    ['list by status cancelled', `${base}?status=cancelled&cursor=`],
    ['list by event', `${base}?event=file.created&cursor=`],
    ['list by the usual event', `${base}?event=file.updated&cursor=`],
    ['list by a rare event', `${base}?event=file.deleted&cursor=`],
    ['list by an event that there is none of', `${base}?event=note.created&cursor=`],
    ['list by code 404', `${base}?responseStatus=404&cursor=`],
    ['list by code 200', `${base}?responseStatus=200&cursor=`],
    ['list by code 201, which is rare', `${base}?responseStatus=201&cursor=`],
    ['list by code 418, which there is none of', `${base}?responseStatus=418&cursor=`],
    ['list by code 418 and status failed', `${base}?responseStatus=418&status=failed&cursor=`],
    ['list of the last day', `${base}?createdAt[gte]=${yesterday}&cursor=`],
    ['list of one day a week ago', `${base}?createdAt=${weekAgo}&cursor=`],
    ['list of one day a week ago by a rare event', `${base}?createdAt=${weekAgo}&event=file.deleted&cursor=`],
    ['list of one day a week ago by code 404', `${base}?createdAt=${weekAgo}&responseStatus=404&cursor=`],
    ['list of the last day by code 201', `${base}?createdAt[gte]=${yesterday}&responseStatus=201&cursor=`],
    ['cursor page deep inside', await deepCursor(client, base, ask)],
  ];
  for (const [name, path] of lists) costs.set(name, await timed(() => ask(path)));
  const { data } = await ask(`${base}?status=failed&pageSize=1&cursor=`);
  costs.set('one delivery with its attempts', await timed(() => ask(`${base}/${data[0]?.id}`)));
  await measureStore(system, client, spaces, costs);
  return costs;
}

/** A page far from both ends, by the cursor that leads there: a few steps from the middle of all deliveries. */
async function deepCursor(
  client: Client,
  base: string,
  ask: (path: string) => Promise<{ pagination: { nextCursor?: string | null } }>,
): Promise<string> {
  const { rows } = await client.query<{ at: Date }>(
    `select min(created_at) + (max(created_at) - min(created_at)) / 2 as at from webhooks.delivery`,
  );
  const { pagination } = await ask(
    `${base}?createdAt[lt]=${rows[0]?.at.toISOString()}&sort=createdAt&order=desc&cursor=`,
  );
  return `${base}?createdAt[lt]=${rows[0]?.at.toISOString()}&sort=createdAt&order=desc&cursor=${encodeURIComponent(pagination.nextCursor ?? '')}`;
}

/** What dispatchers and the audit ask, by the same classes. */
async function measureStore(
  system: TestSystem,
  client: Client,
  spaces: readonly HistorySpace[],
  costs: Map<string, number>,
): Promise<void> {
  const [space] = spaces as [HistorySpace];
  const database = makeDatabase(system.databaseUrl, { max: 2, statementTimeoutMs: 60_000 });
  try {
    const store = new PostgresDispatchStore(
      database,
      new SecretBox('a key of a benchmark, at least thirty-two characters'),
      {
        maxAttempts: 9,
        probeIntervalMs: 60_000,
      },
    );
    const instance = await store.register(600_000);
    const { rows } = await client.query<{ last: string }>('select max(sequence) as last from webhooks.message');
    let sequence = Number(rows[0]?.last) + 1_000_000;
    const events = (): CommittedEvent[] =>
      Array.from({ length: 20 }, () => {
        const now = new Date().toISOString();
        sequence++;
        return {
          id: `evt_${String(sequence).padStart(26, '0')}`,
          spaceId: space.id,
          sequence,
          event: 'file.updated',
          recordId: 1,
          time: now,
          committedAt: now,
          changed: [],
          payload: Buffer.from('{}'),
        };
      });
    const nothing: Room = { total: 0, perEndpoint: 0, ofEndpoint: new Map() };
    const some: Room = { total: 50, perEndpoint: 50, ofEndpoint: new Map() };
    costs.set('acceptance of 20 events for 5 webhooks', await timed(() => store.accept(instance, events(), nothing)));
    costs.set('claim of 50 due deliveries', await timed(() => store.claim(instance, some)));
    await client.query('delete from webhooks.queue');
    await client.query(`delete from webhooks.delivery where sequence > $1`, [Number(rows[0]?.last)]);
    await client.query(`delete from webhooks.message where sequence > $1`, [Number(rows[0]?.last)]);
    const page = await logPage(client, space);
    costs.set(
      'audit of 200 events',
      await timed(async () => {
        const ledger = await WebhookLedger.open(database, space.id, Number.MAX_SAFE_INTEGER);
        await ledger.add({ events: page, last: 0, more: false });
        if (!ledger.balanced) throw new Error('the history that was written does not balance');
      }),
    );
  } finally {
    await database.close();
  }
}

/** Events of the log as the audit reads them, from the middle of the history. */
async function logPage(client: Client, space: HistorySpace) {
  const { rows } = await client.query<{ id: string; sequence: string; event: string; record_id: string; at: Date }>(
    `select id, sequence, event, record_id, committed_at as at from webhooks.message
     where space_id = $1 and sequence > (select max(sequence) / 2 from webhooks.message) order by sequence limit 200`,
    [space.number],
  );
  return rows.map((row) => ({
    id: row.id,
    spaceId: space.id,
    sequence: Number(row.sequence),
    event: row.event,
    recordId: Number(row.record_id),
    time: row.at.toISOString(),
    committedAt: row.at.toISOString(),
    changed: [],
    traceparent: null,
    bytes: 0,
    position: Number(row.sequence),
    payload: Buffer.alloc(0),
  }));
}

/** The oldest day goes, whatever it holds. */
async function measureDrop(system: TestSystem, rows: number): Promise<void> {
  const database = makeDatabase(system.databaseUrl, { max: 1, statementTimeoutMs: 60_000 });
  try {
    const started = performance.now();
    const { deliveryPartitions } = await dropOldDeliveries(database, new Date(), (days - 2) * dayMs);
    printFigure(
      `retention drops ${deliveryPartitions} partitions, ${Math.round(rows / days)} deliveries a day`,
      'ms',
      performance.now() - started,
    );
  } finally {
    await database.close();
  }
}

async function timed(work: () => Promise<unknown>): Promise<number> {
  const each: number[] = [];
  for (let round = -5; round < rounds; round++) {
    const started = performance.now();
    await work();
    if (round >= 0) each.push(performance.now() - started);
  }
  return median(each);
}

/** One plan of each statement that was slow. */
function plansOf(log: string): string {
  const plans = new Map<string, string>();
  for (const entry of log.split(/\n(?=\d{4}-\d\d-\d\d )/)) {
    const plan = /duration: [\d.]+ ms {2}plan:[^]*/.exec(entry)?.[0];
    if (plan) plans.set(plan.slice(plan.indexOf('Query Text'), plan.indexOf('Query Parameters')), plan);
  }
  if (!plans.size) return 'No statement took longer than 20 ms.';
  return `Plans of the statements that took longer than 20 ms:\n${[...plans.values()].join('\n')}`;
}
