import { about } from '../endpoint-health';
import { endpointHeaders, endpointSecrets, endpointSignatureKeys } from '../endpoint-secrets';
import { emitOperationalEvent } from '../operational-events';
import { cancelReplays, failReplayTo } from '../replay-store';
import { SealedByUnknownKey, type SecretBox } from '../secret-box';
import { addVersion, cancelWaiting } from '../webhook-statements';
import type { Endpoint, EndpointState } from './dispatch-store.types';
import type { SignatureScheme } from '@keyturn/contracts';
import { spaceId, statement, type Database, type Queries } from '@keyturn/platform/database';

/** As it is to those who send. */
export const stateOf = `case when suspended and status in ('active', 'paused', 'disabled') then 'suspended' else status end`;

const read = statement(
  'webhooks.endpoints.read',
  `select id, space_id, revision, ${stateOf} as status, url, verified_at is not null as verified, secret_enc, retry_schedule, ordering, rate_limit, headers_enc,
          case when previous_secret_until > now() then previous_secret_enc end as previous_secret_enc,
          case when previous_secret_until > now() then previous_secret_until end as previous_secret_until,
          signature_scheme, case when previous_scheme_until > now() then previous_scheme_until end as previous_scheme_until,
          case when signature_scheme = 'v1a' or previous_scheme_until > now() then signature_key_enc end as signature_key_enc,
          case when previous_secret_until > now() then previous_signature_key_enc end as previous_signature_key_enc
   from webhooks.endpoint where id = any($1::bigint[])`,
);

/** The endpoint goes off; the newest sequence that it was owed comes back, since it is owed nothing behind that. */
const switchOff = statement(
  'webhooks.endpoint.turn_off',
  `update webhooks.endpoint e
   set is_active = false, disabled_reason = $2, disabled_at = now(), revision = revision + 1, updated_at = now()
   where id = $1 and is_active and deleted_at is null
   returning space_id, parent_id, name, url, events, thin, filter::text as filter,
             (select d.sequence from webhooks.delivery d where d.endpoint_id = e.id and d.sequence is not null
              order by d.id desc limit 1) as sequence`,
);

interface EndpointRow {
  id: string;
  space_id: string;
  revision: number;
  status: EndpointState;
  url: string;
  verified: boolean;
  secret_enc: Buffer | null;
  previous_secret_enc: Buffer | null;
  previous_secret_until: Date | null;
  retry_schedule: string[] | null;
  ordering: 'none' | 'record';
  rate_limit: number | null;
  headers_enc: Buffer | null;
  signature_scheme: SignatureScheme;
  previous_scheme_until: Date | null;
  signature_key_enc: Buffer | null;
  previous_signature_key_enc: Buffer | null;
}

interface TurnedOffRow {
  space_id: string;
  /** Of a replay's target, the webhook. */
  parent_id: string | null;
  name: string;
  url: string;
  events: string[];
  thin: boolean;
  filter: string | null;
  sequence: string | null;
}

/** Settings and state of endpoints, secrets decrypted. */
export async function readEndpoints(db: Queries, box: SecretBox, ids: readonly string[]): Promise<Endpoint[]> {
  const rows = await db.query<EndpointRow>(read, [ids]);
  return rows.map((row) => ({
    id: row.id,
    spaceId: spaceId(row.space_id),
    revision: row.revision,
    state: row.status,
    url: row.url,
    verified: row.verified,
    ...opened(box, row),
    previousSecretUntil: row.previous_secret_until?.getTime() ?? null,
    signatureScheme: row.signature_scheme,
    previousSchemeUntil: row.previous_scheme_until?.getTime() ?? null,
    retryScheduleMs: row.retry_schedule?.map(Number) ?? null,
    ordering: row.ordering,
    rateLimit: row.rate_limit,
  }));
}

/** One endpoint whose secret no key of today opens must not hold up all the others: it has none. */
function opened(box: SecretBox, row: EndpointRow): Pick<Endpoint, 'secrets' | 'signatureKeys' | 'headers'> {
  try {
    return {
      secrets: endpointSecrets(box, row),
      signatureKeys: endpointSignatureKeys(box, row),
      headers: endpointHeaders(box, row),
    };
  } catch (error) {
    if (!(error instanceof SealedByUnknownKey)) throw error;
    return { secrets: [], signatureKeys: [], headers: {} };
  }
}

/** Endpoints that got something due by it: they hear of it. */
export function turnOffEndpoint(
  database: Database,
  webhookId: string,
  reason: 'gone',
  maxAttempts: number,
): Promise<string[]> {
  return database.transaction('an endpoint goes off and what waits for it ends', async (tx) => {
    const [off] = await tx
      .acrossSpaces('a dispatcher knows endpoints by their number')
      .query<TurnedOffRow>(switchOff, [webhookId, reason]);
    if (!off) return [];
    const db = tx.inSpace(spaceId(off.space_id));
    if (off.parent_id !== null)
      await failReplayTo(tx, spaceId(off.space_id), webhookId, 'The receiver answered 410: it takes nothing');
    else await cancelReplays(tx, spaceId(off.space_id), webhookId);
    await db.query(cancelWaiting, [webhookId, null]);
    if (off.parent_id !== null) return [];
    await db.query(addVersion, [webhookId, off.sequence ?? 0, false, off.events, off.thin, off.filter]);
    const figures = { failingSince: null, consecutiveFailures: null, attemptsLastDay: null, failuresLastDay: null };
    const data = { ...about(webhookId, off), reason, ...figures };
    return emitOperationalEvent(tx, 'webhook.disabled', off.space_id, data, maxAttempts);
  });
}
