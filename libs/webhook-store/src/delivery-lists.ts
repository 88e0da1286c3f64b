import { webhookNumber } from './wire-ids';
import type { ListDatabases } from './list-databases';
import { deliveryList, type DeliveryStatus, type Filter, type ListQuery, type ListReply } from '@keyturn/contracts';
import {
  listStatement,
  mapColumns,
  type ColumnMapping,
  type ListParameter,
  type ListRow,
  type TableMapping,
} from '@keyturn/list-query';
import { statement } from '@keyturn/platform/database';

export interface DeliveryKey {
  readonly id: string;
  /** `YYYY-MM-DD`: its partition. */
  readonly day: string;
}

export interface DeliveryPage {
  readonly head: ListReply;
  readonly keys: readonly DeliveryKey[];
}

/**
 * Ids are drawn in the transaction whose beginning is `created_at`, and no statement takes as long as this: so what was created
 * so much earlier than another delivery has the lower id.
 */
const longestAcceptance = `interval '1 minute'`;
const nearest = (condition: string, order: 'asc' | 'desc') =>
  `(select near.id from webhooks.delivery near where near.endpoint_id = $2::bigint and near.created_at ${condition}
    order by near.created_at ${order} limit 1)`;

/** A range of time is one of ids as well, so that a walk by id, spelled as its index does, begins and ends near it. */
function columnsBy(id: string): TableMapping['columns'] {
  const columns = mapColumns(deliveryList, { notNull: ['event', 'status', 'attempts'] });
  return {
    ...columns,
    createdAt: {
      ...(columns['createdAt'] as ColumnMapping),
      implies: {
        from: (moment) => `${id} >= coalesce(${nearest(`< ${moment} - ${longestAcceptance}`, 'desc')}, 0)`,
        upTo: (moment) =>
          `${id} <= coalesce(${nearest(`> ${moment} + ${longestAcceptance}`, 'asc')}, 9223372036854775807)`,
      },
    },
  };
}

const ofWebhook: ListParameter = { sql: 'r.endpoint_id', type: 'bigint' };

/** `$2` is the webhook. A page is a list of keys; the rows are read by them. */
const allDeliveries: TableMapping = {
  table: 'webhooks.delivery',
  parameters: [ofWebhook],
  json: `r.id || ':' || r.day`,
  columns: columnsBy('r.id'),
  search: `lower(r.event || chr(10) || coalesce(r.error, ''))`,
  total: `select sum(deliveries)::bigint from webhooks.endpoint_day where endpoint_id = $2::bigint`,
};

/** Everything that is neither a plain success nor still before its first attempt has an index of its own. */
const troubled: TableMapping = { ...allDeliveries, where: ['r.troubled'] };
const troubledStatuses: readonly unknown[] = ['retrying', 'failed', 'cancelled'] satisfies DeliveryStatus[];

/** What waits stands in the queue, which is small beside the history. */
const waiting: TableMapping = {
  ...allDeliveries,
  where: [
    `r.id in (select delivery_id from webhooks.queue where endpoint_id = $2::bigint and state <> 'leased'
              union all
              select delivery_id from webhooks.queue where endpoint_id = $2::bigint and state = 'leased')`,
  ],
};
const waitingStatuses: readonly unknown[] = ['pending', 'retrying'] satisfies DeliveryStatus[];

const only =
  (statuses: readonly unknown[]) =>
  ({ field, operator, values }: Filter) =>
    field === 'status' && (operator === 'eq' || operator === 'in') && values.every((value) => statuses.includes(value));

function mappingFor(query: ListQuery): TableMapping {
  if (query.filters.some(only(waitingStatuses))) return waiting;
  if (query.filters.some(only(troubledStatuses))) return troubled;
  if (query.filters.some(isCodeOfTrouble)) return { ...troubled, narrow: true };
  return query.filters.some(isTime) ? { ...allDeliveries, narrow: true } : allDeliveries;
}

/** One range, or one day: a walk begins at its end. */
const isTime = ({ field, operator, values: [value, ...others] }: Filter): boolean =>
  field === 'createdAt' &&
  others.length === 0 &&
  (['gt', 'gte', 'lt', 'lte'].includes(operator) || (operator === 'eq' && !String(value).includes('T')));

/** What has answered like that is troubled for good, until an attempt succeeds. */
const isCodeOfTrouble = ({ field, operator, values }: Filter): boolean =>
  field === 'responseStatus' &&
  (operator === 'eq' || operator === 'in') &&
  values.every((value) => typeof value === 'number' && (value < 200 || value > 299));

/** What a filter asks for that may be rare, and where it is found then. */
interface Rarity {
  /** Holds the value wherever it is not the usual one of the webhook and the day. */
  readonly unusual: ListParameter;
  readonly value: string | number;
  /** Days on which it may be among the plain deliveries: of `$2`, and `$3` is the value. */
  readonly plainDays: typeof plainEventDays;
}

const plainDays = (name: string, condition: string) =>
  statement(
    `webhooks.deliveries.${name}`,
    `select min(d.day)::text as first, max(d.day)::text as last
     from webhooks.endpoint e join webhooks.endpoint_day d on d.endpoint_id = e.id
     where e.space_id = $1 and e.id = $2 and (${condition})`,
  );
const plainEventDays = plainDays('plain_event_days', `d.usual_event = $3::text or d.usual_event = '*'`);
const plainCodeDays = plainDays('plain_code_days', `d.usual_code = $3::bigint or d.usual_code = -1`);

/** What is unusual, in the order that only its indexes have: the planner has no other way to walk it. */
const unusualOnes: TableMapping = { ...allDeliveries, columns: columnsBy('r.id + 0'), position: 'r.id + 0' };

const endedInTrouble: readonly unknown[] = ['failed', 'cancelled'] satisfies DeliveryStatus[];

/** A code is mostly rarer than a status, and a status in trouble rarer than an event. */
function rarityOf({ filters }: ListQuery): Rarity | undefined {
  if (filters.some(only(waitingStatuses))) return undefined;
  const asked = (name: string) => {
    const found = filters.find(
      ({ field, operator, values }) => field === name && operator === 'eq' && values.length === 1,
    );
    return found?.values[0];
  };
  const [code, status, event] = [asked('responseStatus'), asked('status'), asked('event')];
  if (typeof code === 'number')
    return { unusual: { sql: 'r.unusual_code', type: 'bigint' }, value: code, plainDays: plainCodeDays };
  if (typeof status === 'string' && endedInTrouble.includes(status))
    // No event is called like a status: only days of which nothing is known are found.
    return { unusual: { sql: 'r.trouble', type: 'text' }, value: status, plainDays: plainEventDays };
  if (typeof event === 'string')
    return { unusual: { sql: 'r.unusual_event', type: 'text' }, value: event, plainDays: plainEventDays };
  return undefined;
}

/**
 * A page of a webhook's deliveries, as keys. What is filtered by something that is not usual there is walked along the index of
 * what is unusual; where it was usual, the plain deliveries of those days are walked beside it, which are mostly what is wanted.
 */
export async function listDeliveries(
  lists: ListDatabases,
  spaceId: string,
  webhookId: string,
  query: ListQuery,
  until?: number,
): Promise<DeliveryPage> {
  const webhook = webhookNumber(webhookId);
  const page = async (mapping: TableMapping, values: readonly unknown[] = []): Promise<DeliveryPage> => {
    const list = listStatement(mapping, query, [webhook, ...values]);
    const [row] = await lists[list.sessions].inSpace(spaceId, until).query<ListRow>(list.statement, list.values);
    const { head, rows } = list.reply(row as ListRow);
    return { head, keys: rows === '' ? [] : rows.split(',').map(keyOf) };
  };
  const plain = mappingFor(query);
  const rarity = rarityOf(query);
  if (!rarity) return page(plain);
  const { unusual, value } = rarity;
  const [days] = await lists.walk
    .inSpace(spaceId, until)
    .query<{ first: string | null; last: string | null }>(rarity.plainDays, [webhook, value]);
  const rare: TableMapping = { ...unusualOnes, parameters: [ofWebhook, unusual], narrow: query.sort === 'id' };
  if (!days?.first) return page(rare, [value]);
  if ('page' in query.window || query.sort !== 'id') return page(plain);
  const plainOnes: TableMapping = {
    ...plain,
    where: [...(plain.where ?? []), `${unusual.sql} is null`],
    parameters: [
      ofWebhook,
      { sql: 'r.day', type: 'date', operator: '>=' },
      { sql: 'r.day', type: 'date', operator: '<=' },
    ],
    narrow: true,
  };
  return merged(query, await page(rare, [value]), await page(plainOnes, [days.first, days.last]));
}

/** One page of two walks by id, which have no delivery in common but one that has changed sides between them. */
function merged({ order, pageSize }: ListQuery, one: DeliveryPage, other: DeliveryPage): DeliveryPage {
  const sign = order === 'asc' ? 1 : -1;
  const byId = new Map([...one.keys, ...other.keys].map((key) => [key.id, key]));
  const all = [...byId.values()].sort((a, b) => sign * (Number(a.id) - Number(b.id)));
  const keys = all.slice(0, pageSize);
  const more = all.length > pageSize || one.head.next !== null || other.head.next !== null;
  const last = Number(keys.at(-1)?.id);
  return { head: { count: keys.length, total: null, next: more ? { value: last, id: last } : null }, keys };
}

function keyOf(text: string): DeliveryKey {
  const [id = '', day = ''] = text.split(':');
  return { id, day };
}
