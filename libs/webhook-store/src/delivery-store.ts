import { findDelivery, findErased, readAttempts, readDeliveries, resend } from './delivery-statements';
import type { ListDatabases } from './list-databases';
import { deliveryNumber, webhookNumber } from './wire-ids';
import {
  ApiError,
  deliveryList,
  type Delivery,
  type DeliveryAttempt,
  type DeliveryStatus,
  type Filter,
  type ListQuery,
  type ListReply,
} from '@keyturn/contracts';
import { listStatement, mapColumns, type ColumnMapping, type ListRow, type TableMapping } from '@keyturn/list-query';
import type { Database } from '@keyturn/platform/database';

interface DeliveryRow {
  id: string;
  endpoint_id: string;
  message_id: string;
  event: string;
  status: DeliveryStatus;
  attempts: number;
  max_attempts: number;
  response_status: number | null;
  response_body: string | null;
  error: string | null;
  duration_ms: number | null;
  created_at: Date;
  last_attempt_at: Date | null;
  next_retry_at: Date | null;
  delivered_at: Date | null;
  payload: string;
}

interface AttemptRow {
  number: number;
  reason: DeliveryAttempt['reason'];
  started_at: Date;
  duration_ms: number;
  dns_ms: number | null;
  connect_ms: number | null;
  tls_ms: number | null;
  first_byte_ms: number | null;
  address: string | null;
  response_status: number | null;
  response_headers: string | null;
  response_body: string | null;
  fault: string | null;
  error: string | null;
  next_at: Date | null;
  late: boolean;
}

interface DeliveryKey {
  readonly id: string;
  /** `YYYY-MM-DD`: its partition. */
  readonly day: string;
}

/**
 * Ids are drawn in the transaction whose beginning is `created_at`, and no statement takes as long as this: so what was created
 * so much earlier than another delivery has the lower id.
 */
const longestAcceptance = `interval '1 minute'`;
const columns = mapColumns(deliveryList, { notNull: ['event', 'status', 'attempts'] });
const nearest = (condition: string, order: 'asc' | 'desc') =>
  `(select near.id from webhooks.delivery near where near.endpoint_id = $2::bigint and near.created_at ${condition}
    order by near.created_at ${order} limit 1)`;

/** `$2` is the webhook. A page is a list of keys; the rows are read by them. */
const allDeliveries: TableMapping = {
  table: 'webhooks.delivery',
  parameters: [{ sql: 'r.endpoint_id', type: 'bigint' }],
  json: `r.id || ':' || r.day`,
  columns: {
    ...columns,
    createdAt: {
      ...(columns['createdAt'] as ColumnMapping),
      implies: {
        from: (moment) => `r.id >= coalesce(${nearest(`< ${moment} - ${longestAcceptance}`, 'desc')}, 0)`,
        upTo: (moment) =>
          `r.id <= coalesce(${nearest(`> ${moment} + ${longestAcceptance}`, 'asc')}, 9223372036854775807)`,
      },
    },
  },
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

function mappingFor(query: ListQuery): TableMapping {
  const only =
    (statuses: readonly unknown[]) =>
    ({ field, operator, values }: Filter) =>
      field === 'status' &&
      (operator === 'eq' || operator === 'in') &&
      values.every((value) => statuses.includes(value));
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

/** Deliveries as their owner sees them (T-092). */
export class DeliveryStore {
  constructor(
    private readonly database: Database,
    private readonly lists: ListDatabases,
    /** Attempts of the common schedule, the first one included. */
    private readonly maxAttempts: number,
  ) {}

  /** The rows come as JSON texts, in order. The webhook is known to exist in the Space. */
  async list(spaceId: string, webhookId: string, query: ListQuery): Promise<{ head: ListReply; rows: string[] }> {
    const list = listStatement(mappingFor(query), query, [webhookNumber(webhookId)]);
    const [row] = await this.lists[list.sessions].inSpace(spaceId).query<ListRow>(list.statement, list.values);
    const { head, rows } = list.reply(row as ListRow);
    const keys = rows === '' ? [] : rows.split(',').map(keyOf);
    return { head, rows: (await this.read(spaceId, keys)).map((delivery) => deliveryJson(delivery, query.fields)) };
  }

  /** One delivery of a webhook; undefined when it has no such one. */
  async get(spaceId: string, webhookId: string, deliveryId: string): Promise<Delivery | undefined> {
    const key = await this.find(spaceId, webhookId, deliveryId);
    return key && this.readOne(spaceId, key);
  }

  /** With every attempt, oldest first. */
  async getWithAttempts(
    spaceId: string,
    webhookId: string,
    deliveryId: string,
  ): Promise<(Delivery & { attemptLog: DeliveryAttempt[] }) | undefined> {
    const key = await this.find(spaceId, webhookId, deliveryId);
    const delivery = key && (await this.readOne(spaceId, key));
    if (!delivery) return undefined;
    const rows = await this.database.inSpace(spaceId).query<AttemptRow>(readAttempts, [key.id, key.day]);
    return { ...delivery, attemptLog: rows.map(attemptView) };
  }

  /** Sends it again, or at once what waits for its retry. Undefined when the webhook has no such delivery. */
  async resend(spaceId: string, webhookId: string, deliveryId: string): Promise<Delivery | undefined> {
    const key = await this.find(spaceId, webhookId, deliveryId);
    if (!key) return undefined;
    if ((await this.database.inSpace(spaceId).query(findErased, [key.id, key.day])).length)
      throw new ApiError('CONFLICT', 'The record of this delivery has been erased: there is nothing to send again');
    await this.database.inSpace(spaceId).query(resend, [key.id, key.day, this.maxAttempts]);
    return this.readOne(spaceId, key);
  }

  private async find(spaceId: string, webhookId: string, deliveryId: string): Promise<DeliveryKey | undefined> {
    const webhook = webhookNumber(webhookId);
    const number = deliveryNumber(deliveryId);
    if (!webhook || !number) return undefined;
    const [key] = await this.database.inSpace(spaceId).query<DeliveryKey & object>(findDelivery, [webhook, number]);
    return key;
  }

  private async readOne(spaceId: string, key: DeliveryKey): Promise<Delivery | undefined> {
    const [row] = await this.read(spaceId, [key]);
    return row && (JSON.parse(deliveryJson(row, null)) as Delivery);
  }

  private read(spaceId: string, keys: readonly DeliveryKey[]): Promise<DeliveryRow[]> {
    if (keys.length === 0) return Promise.resolve([]);
    return this.database
      .inSpace(spaceId)
      .query<DeliveryRow>(readDeliveries, [keys.map(({ id }) => id), keys.map(({ day }) => day)]);
  }
}

function keyOf(text: string): DeliveryKey {
  const [id = '', day = ''] = text.split(':');
  return { id, day };
}

/** The payload goes in as the text that was sent. */
function deliveryJson(row: DeliveryRow, fields: readonly string[] | null): string {
  const shown: Omit<Delivery, 'payload'> = {
    id: `dlv_${row.id}`,
    webhookId: `wh_${row.endpoint_id}`,
    messageId: row.message_id,
    event: row.event,
    status: row.status,
    attempts: row.attempts,
    maxAttempts: row.max_attempts,
    responseStatus: row.response_status,
    responseBody: row.response_body,
    error: row.error,
    durationMs: row.duration_ms,
    createdAt: row.created_at.toISOString(),
    lastAttemptAt: row.last_attempt_at?.toISOString() ?? null,
    nextRetryAt: row.next_retry_at?.toISOString() ?? null,
    deliveredAt: row.delivered_at?.toISOString() ?? null,
  };
  const wanted = (name: string) => fields === null || fields.includes(name);
  const members = Object.entries(shown)
    .filter(([name]) => wanted(name))
    .map(([name, value]) => `${JSON.stringify(name)}:${JSON.stringify(value)}`);
  if (wanted('payload')) members.push(`"payload":${row.payload}`);
  return `{${members.join(',')}}`;
}

const attemptView = (row: AttemptRow): DeliveryAttempt => ({
  number: row.number,
  reason: row.reason,
  startedAt: row.started_at.toISOString(),
  durationMs: row.duration_ms,
  dnsMs: row.dns_ms,
  connectMs: row.connect_ms,
  tlsMs: row.tls_ms,
  firstByteMs: row.first_byte_ms,
  address: row.address,
  responseStatus: row.response_status,
  responseHeaders: row.response_headers === null ? null : readHeaders(row.response_headers),
  responseBody: row.response_body,
  fault: row.fault,
  error: row.error,
  nextRetryAt: row.next_at?.toISOString() ?? null,
  superseded: row.late,
});

/** Headers are kept as JSON, cut where a receiver sent too many of them. */
function readHeaders(text: string): DeliveryAttempt['responseHeaders'] {
  try {
    return JSON.parse(text) as DeliveryAttempt['responseHeaders'];
  } catch {
    return null;
  }
}
