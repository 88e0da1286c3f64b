import { eventColumns, numbers } from './event-columns';
import { isErased } from './erased-events';
import type { LogPage } from './replay-store';
import type { WebhookBalance } from '@keyturn/contracts';
import { statement, type Database } from '@keyturn/platform/database';

/**
 * What a page of the log owed, by subscription, and what became of it: the same matching as when events are accepted.
 * $2 ids · $3 sequences · $4 events · $5 resources · $6 records · $7 times · $8 commit times · $9 changed fields ·
 * $10 traceparents · $11 lengths · $12 offsets · $13 payloads · $14 positions in the log · $15 up to which of them the
 * dispatchers have taken everything in
 */
const balance = statement(
  'webhooks.audit.page',
  `with incoming as materialized (
     select i.*, (i.committed_at at time zone 'UTC')::date as day
     from unnest($2::text[], $3::bigint[], $4::text[], $5::text[], $6::bigint[], $7::timestamptz[], $8::timestamptz[], $9::text[],
                 $10::text[], $11::int[], $12::int[], $14::bigint[])
          as i(id, sequence, event, resource, record_id, time, committed_at, changed, traceparent, bytes, place, position)
   ), owed as materialized (
     select i.id, i.day, i.position > $15::bigint as on_its_way, v.endpoint_id
     from incoming i
     join webhooks.endpoint_version v
       on v.space_id = $1 and v.until_sequence > i.sequence and v.from_sequence <= i.sequence and v.deliver
     where (i.event = any(v.events) or i.resource || '.*' = any(v.events))
       and case when v.filter is null then true
                -- What a filter was about is erased with the payload: only the delivery still says that it was owed.
                when ${isErased('i', 'substring($13::bytea from i.place + 1 for i.bytes)', '$1::bigint')} then exists (
                  select from webhooks.delivery d
                  where d.endpoint_id = v.endpoint_id and d.message_id = i.id and d.day = i.day)
                else webhooks.passes(v.filter, i.event, i.resource, string_to_array(i.changed, ','),
                                     substring($13::bytea from i.place + 1 for i.bytes)) end
   )
   select e.id, e.name, count(*)::int as owed,
          count(*) filter (where d.status = 'success')::int as delivered,
          count(*) filter (where d.status in ('pending', 'retrying') or (d.id is null and owed.on_its_way))::int as waiting,
          count(*) filter (where d.status = 'failed')::int as failed,
          count(*) filter (where d.status = 'cancelled')::int as cancelled,
          count(*) filter (where d.id is null and not owed.on_its_way)::int as missing,
          count(*) filter (where d.status in ('pending', 'retrying') and q.delivery_id is null)::int as stuck,
          coalesce((array_agg(owed.id) filter (where d.id is null and not owed.on_its_way))[1:10], '{}') as examples
   from owed
   join webhooks.endpoint e on e.id = owed.endpoint_id and e.deleted_at is null
   left join lateral (
     select id, status from webhooks.delivery d
     where d.endpoint_id = owed.endpoint_id and d.message_id = owed.id and d.day = owed.day
   ) d on true
   left join webhooks.queue q on q.delivery_id = d.id
   group by e.id, e.name`,
);

const filtered = statement(
  'webhooks.audit.filtered',
  `select exists (select from webhooks.endpoint_version where space_id = $1 and filter is not null) as filtered`,
);

/** Subscriptions that were owed nothing yet are part of the balance too. */
const names = statement(
  'webhooks.audit.names',
  `select id, name from webhooks.endpoint where space_id = $1 and deleted_at is null and parent_id is null order by id`,
);

interface BalanceRow extends Omit<WebhookBalance, 'webhookId'> {
  id: string;
}

const maxExamples = 10;

/** Adds up, page by page, what a Space's log owed and what its deliveries say. */
export class WebhookLedger {
  private readonly balances = new Map<string, WebhookBalance>();

  private constructor(
    private readonly database: Database,
    private readonly spaceId: string,
    /** Whether choosing needs payloads. */
    readonly payloads: boolean,
    private readonly takenIn: number,
  ) {}

  /** `takenIn`: up to which position of the log the dispatchers have taken everything in. */
  static async open(database: Database, spaceId: string, takenIn: number): Promise<WebhookLedger> {
    const db = database.inSpace(spaceId);
    const [space] = await db.query<{ filtered: boolean }>(filtered);
    const ledger = new WebhookLedger(database, spaceId, space?.filtered ?? false, takenIn);
    for (const { id, name } of await db.query<{ id: string; name: string }>(names)) ledger.balanceOf(id, name);
    return ledger;
  }

  async add(page: LogPage): Promise<void> {
    if (page.events.length === 0) return;
    const positions = numbers(page.events.map(({ position }) => position));
    const rows = await this.database
      .inSpace(this.spaceId)
      .query<BalanceRow>(balance, [...eventColumns(page.events), positions, this.takenIn]);
    for (const row of rows) {
      const sum = this.balanceOf(row.id, row.name);
      for (const count of counts) sum[count] += row[count];
      sum.examples = [...sum.examples, ...row.examples].slice(0, maxExamples);
    }
  }

  get webhooks(): WebhookBalance[] {
    return [...this.balances.values()];
  }

  /** Everything that was owed has a delivery, and everything that waits will be sent. */
  get balanced(): boolean {
    return this.webhooks.every(({ missing, stuck }) => missing === 0 && stuck === 0);
  }

  private balanceOf(id: string, name: string): WebhookBalance {
    const found = this.balances.get(id);
    if (found) return found;
    const zero = { owed: 0, delivered: 0, waiting: 0, failed: 0, cancelled: 0, missing: 0, stuck: 0, examples: [] };
    const fresh: WebhookBalance = { webhookId: `wh_${id}`, name, ...zero };
    this.balances.set(id, fresh);
    return fresh;
  }
}

const counts = ['owed', 'delivered', 'waiting', 'failed', 'cancelled', 'missing', 'stuck'] as const;
