import { outOfQueue } from './ended-deliveries';
import { statement } from '@keyturn/platform/database';

/** The statements of {@link WebhookStore}. `$1` is the Space in each. */

const columns = `id, space_id, name, url, events, is_active, status, disabled_reason, rate_limit, ordering, retry_schedule, thin,
  filter::text as filter, headers_enc, header_names,
  case when previous_secret_until > now() then previous_secret_until end as previous_secret_until,
  signature_scheme, case when previous_scheme_until > now() then previous_scheme_until end as previous_scheme_until,
  signature_public_key, public_keys_id, handshake, verified_at, allowed_rate, created_at, updated_at`;

export const count = statement(
  'webhooks.endpoint.count',
  `select count(*)::int as endpoints from webhooks.endpoint
   where space_id = $1 and deleted_at is null and parent_id is null`,
);

export const insert = statement(
  'webhooks.endpoint.insert',
  `with made as (
     insert into webhooks.endpoint (space_id, name, url, events, secret_enc, is_active, rate_limit, ordering, retry_schedule, thin, filter,
                                    headers_enc, header_names, signature_scheme, signature_key_enc, signature_public_key, public_keys_id,
                                    handshake, verified_at, allowed_rate, suspended)
     values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16,
             case when $14 = 'v1a' then gen_random_uuid() end, $17, case when $18::boolean then now() end, $19, $21)
     returning *
   ), stated as (
     insert into webhooks.endpoint_state (endpoint_id) select id from made
   ), versioned as (
     insert into webhooks.endpoint_version (endpoint_id, version, space_id, from_sequence, deliver, events, thin, filter)
     select id, 1, space_id, $20::bigint + 1, is_active, events, thin, filter from made where space_id = $1
   )
   select ${columns} from made`,
);

const own = 'space_id = $1 and id = $2 and deleted_at is null and parent_id is null';

export const get = statement('webhooks.endpoint.get', `select ${columns} from webhooks.endpoint where ${own}`);

export const readAll = statement(
  'webhooks.endpoints.of_space',
  `select ${columns} from webhooks.endpoint
   where space_id = $1 and id = any($2::bigint[]) and deleted_at is null and parent_id is null`,
);

export const lock = statement(
  'webhooks.endpoint.lock',
  `select ${columns} from webhooks.endpoint where ${own} for update`,
);

export const update = statement(
  'webhooks.endpoint.update',
  `update webhooks.endpoint
   set name = $3, url = $4, events = $5, is_active = $6, rate_limit = $7, ordering = $8, retry_schedule = $9, thin = $10, filter = $11,
       headers_enc = $12, header_names = $13,
       signature_scheme = $14,
       signature_key_enc = coalesce($15, signature_key_enc),
       signature_public_key = coalesce($16, signature_public_key),
       -- Before another key pair there was a time without one.
       previous_signature_key_enc = case when $15::bytea is null then previous_signature_key_enc end,
       previous_signature_public_key = case when $15::bytea is null then previous_signature_public_key end,
       public_keys_id = case when $14 = 'v1a' then coalesce(public_keys_id, gen_random_uuid()) else public_keys_id end,
       previous_scheme_until = case when signature_scheme = $14 then previous_scheme_until
                                    else now() + $17::float8 * interval '1 ms' end,
       handshake = $18,
       -- A consent is that of the URL.
       verified_at = case when $19::boolean then now() when url = $4 then verified_at end,
       allowed_rate = case when $19::boolean then $20::int when url = $4 then allowed_rate end,
       disabled_reason = $21,
       disabled_at = case when $21::text is null then null else disabled_at end,
       revision = revision + 1, updated_at = greatest(now(), updated_at + interval '1 ms')
   where ${own}
   returning ${columns}`,
);

/** From behind this position of the Space's sequence on, another version says what is owed. */
export const addVersion = statement(
  'webhooks.endpoint.add_version',
  `with latest as (
     select version, from_sequence, greatest(from_sequence, $3::bigint + 1) as next_from
     from webhooks.endpoint_version where space_id = $1 and endpoint_id = $2 order by version desc limit 1
   ), closed as (
     update webhooks.endpoint_version v set until_sequence = latest.next_from
     from latest where v.endpoint_id = $2 and v.version = latest.version
   )
   insert into webhooks.endpoint_version (endpoint_id, version, space_id, from_sequence, deliver, events, thin, filter)
   select $2, latest.version + 1, $1, latest.next_from, $4, $5, $6, $7 from latest`,
);

/** A version that never held for any event. */
export const dropEmptyVersions = statement(
  'webhooks.endpoint.drop_empty',
  `delete from webhooks.endpoint_version where space_id = $1 and endpoint_id = $2 and from_sequence = until_sequence`,
);

/** The secrets go at once: nothing will be signed for it any more. */
export const remove = statement(
  'webhooks.endpoint.delete',
  `update webhooks.endpoint
   set deleted_at = now(), updated_at = now(), is_active = false, secret_enc = null, previous_secret_enc = null, headers_enc = null,
       signature_key_enc = null, previous_signature_key_enc = null, revision = revision + 1
   where ${own}
   returning id`,
);

/** Ends what waits of an endpoint, $3 of it or all; what is on its way ends when its dispatcher reports. */
export const cancelWaiting = statement(
  'webhooks.endpoint.cancel_waiting',
  `with waiting as materialized (
     select delivery_id from webhooks.queue where space_id = $1 and endpoint_id = $2 and state <> 'leased'
     order by delivery_id limit $3 for update
   ), gone as (
     delete from webhooks.queue q using waiting w where q.delivery_id = w.delivery_id and q.state <> 'leased'
     returning q.delivery_id, q.day, q.status_before
   ), ended as (
     update webhooks.delivery d
     set ${outOfQueue}
     from gone where d.id = gone.delivery_id and d.day = gone.day
   )
   select count(*)::int as gone from gone`,
);

/** One more test call, if the last minute has room for it: else how long until it has. */
export const takeTest = statement(
  'webhooks.space.take_test',
  `with recent as (
     select array(select call from unnest(test_calls) as call where call > now() - interval '1 minute' order by call) as calls
     from webhooks.space where space_id = $1
   )
   update webhooks.space s
   set test_calls = case when cardinality(recent.calls) < $2::int then recent.calls || now()::timestamptz(3) else recent.calls end
   from recent where s.space_id = $1
   returning cardinality(recent.calls) < $2::int as taken,
             extract(epoch from recent.calls[1] + interval '1 minute' - now())::float8 as wait_seconds`,
);

export const setPaused = statement(
  'webhooks.endpoint.pause',
  `update webhooks.endpoint
   set paused = $3, revision = revision + (paused <> $3)::int,
       updated_at = case when paused = $3 then updated_at else greatest(now(), updated_at + interval '1 ms') end
   where ${own}
   returning ${columns}`,
);

/**
 * Everything that signs is replaced: the secret, and with `v1a` the key pair. The other URL of a replay follows, since it signs
 * with what its webhook has.
 *
 * $3 the new secret · $4 a new key and $5 its public half, for `v1a` · $6 how long those before sign too, ms
 */
export const rotate = statement(
  'webhooks.endpoint.rotate',
  `with rotated as (
     update webhooks.endpoint
     set secret_enc = $3,
         previous_secret_enc = case when $6::float8 > 0 then secret_enc end,
         previous_secret_until = case when $6::float8 > 0 then now() + $6::float8 * interval '1 ms' end,
         signature_key_enc = case when signature_scheme = 'v1a' then $4 else signature_key_enc end,
         signature_public_key = case when signature_scheme = 'v1a' then $5 else signature_public_key end,
         previous_signature_key_enc = case when signature_scheme = 'v1a' and $6::float8 > 0 then signature_key_enc end,
         previous_signature_public_key = case when signature_scheme = 'v1a' and $6::float8 > 0 then signature_public_key end,
         revision = revision + 1, updated_at = greatest(now(), updated_at + interval '1 ms')
     where space_id = $1 and deleted_at is null and (id = $2 and parent_id is null or parent_id = $2)
     returning *
   )
   select ${columns} from rotated where parent_id is null`,
);

/** What failed before counts no more. */
export const cleanSlate = statement(
  'webhooks.endpoint.clean_slate',
  `with own as (select id from webhooks.endpoint where space_id = $1 and id = $2),
   forgotten as (delete from webhooks.endpoint_hour where endpoint_id in (select id from own))
   update webhooks.endpoint_state
   set failing_since = null, consecutive_failures = 0, warned = 0, probe_at = null, hold_until = null
   where endpoint_id in (select id from own)`,
);

/** A disabled endpoint is tried at once, if there is anything to try it with. */
export const probeNow = statement(
  'webhooks.endpoint.probe_now',
  `update webhooks.endpoint_state s set probe_at = now(), hold_until = null
   from webhooks.endpoint e
   where e.space_id = $1 and e.id = $2 and s.endpoint_id = e.id
     and exists (select from webhooks.queue q where q.endpoint_id = e.id and q.state <> 'leased')
   returning s.endpoint_id`,
);

/** From now on it is known how far the events of the Space have been taken in. */
export const track = statement(
  'webhooks.order.track',
  `insert into webhooks.accepted (space_id, ranges) values ($1, int8multirange(int8range(0, $2::bigint + 1)))
   on conflict (space_id) do nothing`,
);

/** What waits follows its endpoint's order. */
export const orderWaiting = statement(
  'webhooks.order.waiting',
  `update webhooks.queue
   set ordered = $3, state = case when state = 'ready' and $3 then 'held' when state = 'held' then 'ready' else state end
   where space_id = $1 and endpoint_id = $2 and state <> 'leased' and sequence is not null and ordered <> $3`,
);
