import { outOfQueue } from '../ended-deliveries';
import type { InstanceId } from './dispatch-store.types';
import { statement, type Queries } from '@keyturn/platform/database';

/** What of `webhooks.queue q` is given back is ready; a probe that was taken and not made is none, or each failure of it would be put back. */
const backInLine = `state = 'ready', owner = null,
       reason = case when q.reason <> 'probe' then q.reason when q.replay_id is not null then 'replay'
                     when q.attempts > 0 then 'retry' else 'first' end`;

/** The endpoint of a probe that was not made is probed at once, and not after another interval. The column would round up. */
const probedAgain = (freed: string) =>
  `update webhooks.endpoint_state s set probe_at = date_trunc('milliseconds', now())
     from (select endpoint_id from ${freed} where reason = 'probe' order by endpoint_id) unmade
     where s.endpoint_id = unmade.endpoint_id`;

const register = statement(
  'webhooks.dispatcher.register',
  `insert into webhooks.dispatcher (alive_until) values (now() + $1::int * interval '1 ms') returning id`,
);

const renew = statement(
  'webhooks.dispatcher.renew',
  `update webhooks.dispatcher set alive_until = now() + $2::int * interval '1 ms' where id = $1 returning id`,
);

const forget = statement('webhooks.dispatcher.forget', `delete from webhooks.dispatcher where id = $1`);

const bury = statement(
  'webhooks.dispatcher.bury',
  `delete from webhooks.dispatcher where alive_until < now() returning id`,
);

/** Frees what is leased to an instance that is no more, also what it took while it was being buried. */
const freeOrphans = statement(
  'webhooks.queue.free_orphans',
  `with recursive owners as (
     (select owner from webhooks.queue where state = 'leased' order by owner limit 1)
     union all
     select (select q.owner from webhooks.queue q where q.state = 'leased' and q.owner > owners.owner
             order by q.owner limit 1)
     from owners where owners.owner is not null
   ), dead as materialized (
     select owner from owners
     where owner is not null and not exists (select from webhooks.dispatcher d where d.id = owners.owner)
   ), orphans as materialized (
     select q.* from dead cross join lateral (
       select delivery_id, endpoint_id, reason from webhooks.queue
       where state = 'leased' and owner = dead.owner for update skip locked
     ) q
   ), asked as (
     ${probedAgain('orphans')}
   )
   update webhooks.queue q set ${backInLine}
   from orphans where q.delivery_id = orphans.delivery_id
   returning q.delivery_id`,
);

const freeOwn = statement(
  'webhooks.queue.free_own',
  `with own as materialized (
     select delivery_id, endpoint_id, reason from webhooks.queue where state = 'leased' and owner = $1 for update
   ), asked as (
     ${probedAgain('own')}
   )
   update webhooks.queue q set ${backInLine} from own where q.delivery_id = own.delivery_id`,
);

const leasedTo = statement(
  'webhooks.queue.leased_to',
  `select delivery_id from webhooks.queue where state = 'leased' and owner = $1`,
);

/** Endpoints of which this instance has something in its hands that was erased. */
const erasedInHands = statement(
  'webhooks.queue.erased_in_hands',
  `select distinct endpoint_id from webhooks.queue where erased and state = 'leased' and owner = $1`,
);

/** Of an endpoint that is off meanwhile, what comes back ends: its pending retries stop (T-089). So does what was erased. */
const release = statement(
  'webhooks.queue.release',
  `with given as materialized (
     select q.delivery_id, q.endpoint_id, q.reason, e.is_active and e.deleted_at is null and not q.erased as wanted
     from webhooks.queue q join webhooks.endpoint e on e.id = q.endpoint_id
     where q.delivery_id = any($2::bigint[]) and q.state = 'leased' and q.owner = $1
     order by q.delivery_id for update of q
   ), gone as (
     delete from webhooks.queue q using given g where q.delivery_id = g.delivery_id and not g.wanted
     returning q.delivery_id, q.day, q.status_before
   ), ended as (
     update webhooks.delivery d
     set ${outOfQueue}
     from gone where d.id = gone.delivery_id and d.day = gone.day
   ), asked as (
     ${probedAgain('given')}
   )
   update webhooks.queue q set ${backInLine}
   from given g where q.delivery_id = g.delivery_id and g.wanted`,
);

/** Instances, and what is leased to them. */
export class Leases {
  constructor(private readonly db: Queries) {}

  async register(leaseMs: number): Promise<InstanceId> {
    const [row] = await this.db.query<{ id: string }>(register, [leaseMs]);
    return (row as { id: string }).id;
  }

  async renew(instance: InstanceId, leaseMs: number): Promise<boolean> {
    return (await this.db.query(renew, [instance, leaseMs])).length > 0;
  }

  /** Frees what the dead held: how many deliveries. */
  async reap(): Promise<number> {
    await this.db.query(bury);
    return (await this.db.query(freeOrphans)).length;
  }

  async retire(instance: InstanceId): Promise<void> {
    await this.db.query(forget, [instance]);
    await this.db.query(freeOwn, [instance]);
  }

  async leasedTo(instance: InstanceId): Promise<string[]> {
    const rows = await this.db.query<{ delivery_id: string }>(leasedTo, [instance]);
    return rows.map((row) => row.delivery_id);
  }

  async erasedInHands(instance: InstanceId): Promise<string[]> {
    const rows = await this.db.query<{ endpoint_id: string }>(erasedInHands, [instance]);
    return rows.map((row) => row.endpoint_id);
  }

  async release(instance: InstanceId, deliveryIds: readonly string[]): Promise<void> {
    if (deliveryIds.length) await this.db.query(release, [instance, deliveryIds]);
  }
}
