import type { Migration } from '@keyturn/platform/database';
import type { QueryRunner } from 'typeorm';

/**
 * Schema `webhooks`: subscriptions and their history, messages, deliveries and attempts in partitions by the message's day,
 * and the queue of what still has to be sent.
 */
export class Webhooks1763600000000 implements Migration {
  readonly name = 'Webhooks1763600000000';
  readonly safeForRunningVersion = true;

  async up(runner: QueryRunner): Promise<void> {
    await runner.query(subscriptions);
    await runner.query(history);
    await runner.query(queue);
    await runner.query(days);
    await runner.query(filters);
    await runner.query(`select webhooks.add_day(day::date)
      from generate_series(current_date - 1, current_date + 7, interval '1 day') day`);
  }

  down(): Promise<void> {
    throw new Error('migrations go forward only');
  }
}

const subscriptions = `
  -- One row per Space that has ever had a webhook: whoever counts against a quota locks it first.
  create table webhooks.space (
    space_id bigint primary key,
    test_calls timestamptz(3)[] not null default '{}'
  );

  create table webhooks.endpoint (
    id bigint generated always as identity primary key,
    space_id bigint not null,
    surface text not null default 'v1',
    -- The other URL of a replay: not listed, not counted, gone with its job.
    parent_id bigint,
    name text not null,
    url text not null,
    events text[] not null,
    secret_enc bytea,
    previous_secret_enc bytea,
    previous_secret_until timestamptz(3),
    is_active boolean not null default true,
    paused boolean not null default false,
    disabled_reason text,
    disabled_at timestamptz(3),
    status text not null generated always as (
      case when deleted_at is not null then 'deleted'
           when disabled_reason is not null then 'disabled'
           when not is_active then 'inactive'
           when paused then 'paused'
           else 'active' end) stored,
    rate_limit integer,
    ordering text not null default 'none' check (ordering in ('none', 'record')),
    retry_schedule integer[],
    thin boolean not null default false,
    filter jsonb,
    headers_enc bytea,
    header_names text[] not null default '{}',
    signature_key_enc bytea,
    signature_public_key text,
    -- Grows with each change: a dispatcher keeps settings by it.
    revision integer not null default 1,
    created_at timestamptz(3) not null default now(),
    updated_at timestamptz(3) not null default now(),
    deleted_at timestamptz(3)
  );
  create index endpoint_of_space on webhooks.endpoint (space_id, id) where deleted_at is null;

  -- What runs in parallel with an endpoint's settings and changes with its deliveries; apart, so that settings stay quiet.
  create table webhooks.endpoint_state (
    endpoint_id bigint primary key references webhooks.endpoint on delete cascade,
    hold_until timestamptz(3),
    next_send_at timestamptz,
    last_success_at timestamptz(3),
    failing_since timestamptz(3),
    consecutive_failures integer not null default 0,
    warned smallint not null default 0,
    probe_at timestamptz(3)
  ) with (fillfactor = 50);

  create table webhooks.endpoint_hour (
    endpoint_id bigint not null,
    hour timestamptz not null,
    attempts integer not null,
    failures integer not null,
    primary key (endpoint_id, hour)
  ) with (fillfactor = 70);

  -- Which events a subscription wanted, by the Space's sequence: an event is owed by the version whose range holds its sequence.
  create table webhooks.endpoint_version (
    endpoint_id bigint not null references webhooks.endpoint on delete cascade,
    version integer not null,
    space_id bigint not null,
    from_sequence bigint not null,
    until_sequence bigint not null default 9223372036854775807,
    deliver boolean not null,
    events text[] not null,
    thin boolean not null,
    filter jsonb,
    primary key (endpoint_id, version)
  );
  create index endpoint_version_range on webhooks.endpoint_version (space_id, until_sequence);

  create table webhooks.idempotency (
    space_id bigint not null,
    key text not null,
    request_hash bytea not null,
    reply_enc bytea not null,
    created_at timestamptz(3) not null default now(),
    primary key (space_id, key)
  );
  create index idempotency_age on webhooks.idempotency (created_at);
`;

const history = `
  create sequence webhooks.delivery_id;
  create sequence webhooks.attempt_id;

  create table webhooks.message (
    day date not null,
    id text collate "C" not null,
    space_id bigint not null,
    sequence bigint,
    event text not null,
    resource text not null,
    record_id bigint not null,
    time timestamptz(3) not null,
    committed_at timestamptz(3) not null,
    changed text[] not null,
    traceparent text,
    payload bytea not null,
    erased_at timestamptz(3),
    primary key (day, id)
  ) partition by range (day);
  alter table webhooks.message alter column payload set storage external;
  create index message_of_record on webhooks.message (space_id, record_id);

  -- An update to a plain success touches no indexed column, so it stays on its page (HOT): the rare ends are found by "troubled".
  create table webhooks.delivery (
    id bigint not null,
    day date not null,
    endpoint_id bigint not null,
    space_id bigint not null,
    message_id text collate "C" not null,
    sequence bigint,
    event text not null,
    resource text not null,
    record_id bigint not null,
    thin boolean not null,
    replay_id bigint,
    created_at timestamptz(3) not null,
    status text not null check (status in ('pending', 'retrying', 'success', 'failed', 'cancelled')),
    troubled boolean not null default false,
    attempts integer not null default 0,
    max_attempts integer not null,
    last_attempt_at timestamptz(3),
    next_retry_at timestamptz(3),
    delivered_at timestamptz(3),
    response_status integer,
    response_body text,
    error text,
    duration_ms integer,
    primary key (id, day),
    unique (endpoint_id, message_id, day)
  ) partition by range (day);
  create index delivery_of_endpoint on webhooks.delivery (endpoint_id, id);
  create index delivery_troubled on webhooks.delivery (endpoint_id, id) where troubled;

  create table webhooks.attempt (
    id bigint not null default nextval('webhooks.attempt_id'),
    day date not null,
    delivery_id bigint not null,
    space_id bigint not null,
    number integer not null,
    reason text not null,
    started_at timestamptz(3) not null,
    duration_ms double precision not null,
    dns_ms double precision,
    connect_ms double precision,
    tls_ms double precision,
    first_byte_ms double precision,
    address text,
    response_status integer,
    response_headers text,
    response_body text,
    fault text,
    error text,
    next_at timestamptz(3),
    -- Its instance had been given up: it may have landed, but another one's result counts.
    late boolean not null default false,
    primary key (delivery_id, id, day)
  ) partition by range (day);

  -- How many deliveries an endpoint has of each day, so that a total is a sum of at most 31 numbers.
  create table webhooks.endpoint_day (
    endpoint_id bigint not null,
    day date not null,
    deliveries bigint not null,
    primary key (endpoint_id, day)
  ) with (fillfactor = 70);
`;

const queue = `
  -- Instances of dispatchers. Deliveries are leased to an instance; when its time has run out, they are free again.
  create table webhooks.dispatcher (
    id bigint generated always as identity primary key,
    started_at timestamptz(3) not null default now(),
    alive_until timestamptz(3) not null
  ) with (fillfactor = 50);

  -- What still has to be sent, and nothing else: scans for due work never meet a finished row, whatever the history holds.
  create table webhooks.queue (
    delivery_id bigint primary key,
    day date not null,
    endpoint_id bigint not null,
    space_id bigint not null,
    message_id text collate "C" not null,
    sequence bigint,
    resource text not null,
    record_id bigint not null,
    thin boolean not null,
    -- held: behind another of its record · scheduled: due later · ready: due · leased: with an instance
    state text not null check (state in ('held', 'scheduled', 'ready', 'leased')),
    owner bigint check ((state = 'leased') = (owner is not null)),
    -- 0 first attempts, 1 retries, 2 what a replay brings: within an endpoint the lower goes first.
    rank smallint not null default 0,
    due_at timestamptz(3) not null,
    attempts integer not null default 0,
    attempts_before integer not null default 0,
    reason text not null,
    ordered boolean not null default false,
    replay_id bigint,
    status_before text
  ) with (fillfactor = 70, autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 2000,
          autovacuum_vacuum_cost_delay = 0, autovacuum_analyze_scale_factor = 0.1, autovacuum_analyze_threshold = 5000);
  create index queue_ready on webhooks.queue (endpoint_id, rank, due_at) where state = 'ready';
  create index queue_scheduled on webhooks.queue (due_at) where state = 'scheduled';
  create index queue_leased on webhooks.queue (owner) where state = 'leased';
  create index queue_waiting on webhooks.queue (endpoint_id, delivery_id) where state <> 'leased';
  create index queue_ordered on webhooks.queue (endpoint_id, resource, record_id, sequence) where ordered;
  create index queue_replay on webhooks.queue (replay_id) where replay_id is not null;
`;

const days = `
  -- Partitions are made beside their parent and attached, which does not wait for those who read and write it.
  create function webhooks.add_day(day date) returns boolean language plpgsql as $$
  declare
    parent text;
    partition text;
    made boolean := false;
  begin
    perform pg_advisory_xact_lock(hashtext('webhooks.add_day'));
    foreach parent in array array['message', 'delivery', 'attempt'] loop
      partition := parent || to_char(day, '_YYYYMMDD');
      if to_regclass('webhooks.' || partition) is null then
        execute format('create table webhooks.%I (like webhooks.%I including all)', partition, parent);
        if parent = 'delivery' then
          execute format('alter table webhooks.%I set (fillfactor = 75)', partition);
        end if;
        execute format('alter table webhooks.%I attach partition webhooks.%I for values from (%L) to (%L)',
          parent, partition, day, day + 1);
        made := true;
      end if;
    end loop;
    return made;
  end $$;

  -- Drops the days before this one. Each drop waits for running statements at most a moment: the next run takes what is left.
  create function webhooks.drop_days_before(first_kept date) returns integer language plpgsql as $$
  declare
    partition text;
    dropped integer := 0;
  begin
    set local lock_timeout = '2s';
    for partition in
      select c.relname from pg_inherits i join pg_class c on c.oid = i.inhrelid
      where i.inhparent in ('webhooks.message'::regclass, 'webhooks.delivery'::regclass, 'webhooks.attempt'::regclass)
        and to_date(right(c.relname, 8), 'YYYYMMDD') < first_kept
      order by right(c.relname, 8), c.relname
    loop
      execute format('drop table webhooks.%I', partition);
      dropped := dropped + 1;
    end loop;
    return dropped;
  end $$;
`;

const filters = `
  -- Whether an event passes a subscription's filter: {"file": [{"field","operator","value"}, …]}, all of them, per resource.
  create function webhooks.passes(filter jsonb, event text, resource text, changed text[], payload bytea)
    returns boolean language plpgsql immutable as $$
  declare
    data jsonb;
    condition jsonb;
    field text;
    operator text;
    expected jsonb;
    actual jsonb;
    met boolean;
  begin
    if not filter ? resource then
      return true;
    end if;
    data := convert_from(payload, 'UTF8')::jsonb -> 'data';
    for condition in select jsonb_array_elements(filter -> resource) loop
      field := condition ->> 'field';
      operator := condition ->> 'operator';
      expected := condition -> 'value';
      actual := coalesce(data -> field, 'null');
      met := case
        when operator = 'changed' then
          case when event like '%.created' or event like '%.deleted' then actual <> 'null' else field = any(changed) end
        when operator = 'null' then (actual = 'null') = (expected = 'true')
        when operator = 'ne' then actual <> expected
        when operator = 'in' then expected @> jsonb_build_array(actual)
        when actual = 'null' then false
        when operator = 'eq' then actual = expected
        when operator = 'contains' and jsonb_typeof(actual) = 'array' then actual @> jsonb_build_array(expected)
        when operator = 'contains' then position(lower(expected #>> '{}') in lower(actual #>> '{}')) > 0
        when jsonb_typeof(actual) = 'number' then
          case operator when 'gt' then (actual)::numeric > (expected)::numeric
                        when 'gte' then (actual)::numeric >= (expected)::numeric
                        when 'lt' then (actual)::numeric < (expected)::numeric
                        when 'lte' then (actual)::numeric <= (expected)::numeric end
        else
          case operator when 'gt' then actual #>> '{}' collate "C" > expected #>> '{}'
                        when 'gte' then actual #>> '{}' collate "C" >= expected #>> '{}'
                        when 'lt' then actual #>> '{}' collate "C" < expected #>> '{}'
                        when 'lte' then actual #>> '{}' collate "C" <= expected #>> '{}' end
      end;
      if not coalesce(met, false) then
        return false;
      end if;
    end loop;
    return true;
  end $$;
`;
