import { outOfQueue } from '../ended-deliveries';
import { RecordOrder } from '../record-order';
import { cancelWaiting as cancelReplayed, leftOver } from '../replay-statements';
import { endWaiting } from '../space-life';
import { spaceId, statement, type Database, type Queries } from '@keyturn/platform/database';

/** What was erased while its dispatcher had it, and came back by that one's death. */
const endErased = statement(
  'webhooks.queue.end_erased',
  `with gone as (
     delete from webhooks.queue where erased and state <> 'leased' returning delivery_id, day, status_before
   )
   update webhooks.delivery d
   set ${outOfQueue}
   from gone where d.id = gone.delivery_id and d.day = gone.day`,
);

/** Endpoints that are off and still have something waiting: a dispatcher was writing while they were switched off, or that broke off. */
const stranded = statement(
  'webhooks.queue.stranded',
  `with recursive lanes as (
     (select endpoint_id from webhooks.queue where state <> 'leased' order by endpoint_id limit 1)
     union all
     select (select q.endpoint_id from webhooks.queue q where q.state <> 'leased' and q.endpoint_id > lanes.endpoint_id
             order by q.endpoint_id limit 1)
     from lanes where lanes.endpoint_id is not null
   )
   select e.id, e.space_id from lanes join webhooks.endpoint e on e.id = lanes.endpoint_id
   where e.deleted_at is not null or not e.is_active`,
);

const sweepEveryMs = 5_000;
/** However much is stranded: the beat that sweeps also keeps the lease. */
const strandedMs = 500;

/** What follows from something that is committed, and what makes good for it where that did not come about. */
export class Upkeep {
  readonly order: RecordOrder;
  private readonly db: Queries;
  private readonly listeners: ((endpointIds: readonly string[]) => void)[] = [];
  private sweptAt = -Infinity;

  constructor(
    private readonly database: Database,
    private readonly gapPatienceMs?: number,
  ) {
    this.db = database.acrossSpaces('a dispatcher makes good for what another one left half done');
    this.order = new RecordOrder(this.db);
  }

  onReady(listener: (endpointIds: readonly string[]) => void): void {
    this.listeners.push(listener);
  }

  tellReady(endpointIds: readonly string[]): void {
    if (endpointIds.length) for (const listener of this.listeners) listener(endpointIds);
  }

  /**
   * What follows from something that is committed. Its failure must not make that look undone, or it would be done again: the
   * next beat sweeps instead, and an endpoint that has not come back is probed once more.
   */
  async afterwards(work: () => Promise<void>): Promise<void> {
    try {
      await work();
    } catch {
      this.sweptAt = -Infinity;
    }
  }

  async sweepWhenDue(): Promise<void> {
    if (performance.now() - this.sweptAt <= sweepEveryMs) return;
    this.sweptAt = performance.now();
    await this.sweep();
  }

  /** Makes good for what a process left half done when it died, or what two did at once. */
  private async sweep(): Promise<void> {
    this.tellReady(await this.order.sweep(this.gapPatienceMs));
    const until = performance.now() + strandedMs;
    for (const { id, space_id } of await this.db.query<{ id: string; space_id: string }>(stranded))
      await endWaiting(this.database, spaceId(space_id), id, until);
    await this.db.query(endErased);
    for (const { id, space_id } of await this.db.query<{ id: string; space_id: string }>(leftOver))
      await this.database.inSpace(spaceId(space_id)).query(cancelReplayed, [id]);
  }
}
