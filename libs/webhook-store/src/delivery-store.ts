import { listDeliveries, type DeliveryKey } from './delivery-lists';
import { findDelivery, findErased, readAttempts, readDeliveries, resend } from './delivery-statements';
import type { ListDatabases } from './list-databases';
import { deliveryNumber, webhookNumber } from './wire-ids';
import {
  ApiError,
  type Delivery,
  type DeliveryAttempt,
  type DeliveryStatus,
  type ListQuery,
  type ListReply,
} from '@keyturn/contracts';
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

/** Deliveries as their owner sees them (T-092). */
export class DeliveryStore {
  constructor(
    private readonly database: Database,
    private readonly lists: ListDatabases,
    /** Attempts of the common schedule, the first one included. */
    private readonly maxAttempts: number,
  ) {}

  /**
   * The rows come as JSON texts, in order. The webhook is known to exist in the Space. `until`, here and below: whoever asked
   * has been answered otherwise by then (`Database.inSpace`).
   */
  async list(
    spaceId: string,
    webhookId: string,
    query: ListQuery,
    until?: number,
  ): Promise<{ head: ListReply; rows: string[] }> {
    const { head, keys } = await listDeliveries(this.lists, spaceId, webhookId, query, until);
    const deliveries = await this.read(spaceId, keys, until);
    return { head, rows: deliveries.map((delivery) => deliveryJson(delivery, query.fields)) };
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
    until?: number,
  ): Promise<(Delivery & { attemptLog: DeliveryAttempt[] }) | undefined> {
    const key = await this.find(spaceId, webhookId, deliveryId, until);
    const delivery = key && (await this.readOne(spaceId, key, until));
    if (!delivery) return undefined;
    const rows = await this.database.inSpace(spaceId, until).query<AttemptRow>(readAttempts, [key.id, key.day]);
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

  private async find(
    spaceId: string,
    webhookId: string,
    deliveryId: string,
    until?: number,
  ): Promise<DeliveryKey | undefined> {
    const webhook = webhookNumber(webhookId);
    const number = deliveryNumber(deliveryId);
    if (!webhook || !number) return undefined;
    const db = this.database.inSpace(spaceId, until);
    const [key] = await db.query<DeliveryKey & object>(findDelivery, [webhook, number]);
    return key;
  }

  private async readOne(spaceId: string, key: DeliveryKey, until?: number): Promise<Delivery | undefined> {
    const [row] = await this.read(spaceId, [key], until);
    return row && (JSON.parse(deliveryJson(row, null)) as Delivery);
  }

  private read(spaceId: string, keys: readonly DeliveryKey[], until?: number): Promise<DeliveryRow[]> {
    if (keys.length === 0) return Promise.resolve([]);
    return this.database
      .inSpace(spaceId, until)
      .query<DeliveryRow>(readDeliveries, [keys.map(({ id }) => id), keys.map(({ day }) => day)]);
  }
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
