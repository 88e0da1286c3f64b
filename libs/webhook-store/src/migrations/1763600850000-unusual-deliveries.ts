import type { Migration } from '@keyturn/platform/database';
import type { QueryRunner } from 'typeorm';

/**
 * What is rare is found without passing by what is usual. Each endpoint has a usual event and a usual code of each day; a delivery
 * that differs says so in a column with an index of its own. A plain one leaves these columns null for good, so they cost it
 * nothing: its update stays on its page (HOT). The indexes are in the order of "id + 0", which no other has, so that a walk in this
 * order is a walk along them, whatever the planner believes to be rare.
 */
export class UnusualDeliveries1763600850000 implements Migration {
  readonly name = 'UnusualDeliveries1763600850000';
  readonly safeForRunningVersion = true;

  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      alter table webhooks.delivery
        add column unusual_event text,
        add column unusual_code integer,
        -- The status of a delivery that has failed or was cancelled.
        add column trouble text;
      create index delivery_unusual_event on webhooks.delivery (endpoint_id, unusual_event, (id + 0)) where unusual_event is not null;
      create index delivery_unusual_code on webhooks.delivery (endpoint_id, unusual_code, (id + 0)) where unusual_code is not null;
      create index delivery_trouble on webhooks.delivery (endpoint_id, trouble, (id + 0)) where trouble is not null;
    `);
    // Days of which a version may have written that knows nothing of this: any event and any code may be among the plain ones.
    const [{ since }] = (await runner.query(`
      select case when exists (select from webhooks.delivery) then ((now() at time zone 'UTC')::date + 2)::text end as since
    `)) as [{ since: string | null }];
    const unless = (any: string) =>
      since === null ? 'null' : `case when (now() at time zone 'UTC')::date < date '${since}' then ${any} end`;
    await runner.query(`
      alter table webhooks.endpoint_day
        -- Once it is known it never changes: twice in a row the most frequent one of a batch. '*' and -1: any.
        add column usual_event text default '*',
        add column usual_code integer default -1,
        add column last_event text,
        add column last_code integer;
      alter table webhooks.endpoint_day
        alter column usual_event set default ${unless(`'*'`)},
        alter column usual_code set default ${unless('-1')};
    `);
  }

  down(): Promise<void> {
    throw new Error('migrations go forward only');
  }
}
