import type { Migration } from '@keyturn/platform/database';
import type { QueryRunner } from 'typeorm';

/** Schema `access`: Spaces, the people who sign in, keys with their limits, sessions and the audit log. */
export class Access1763600000000 implements Migration {
  readonly name = 'Access1763600000000';
  readonly safeForRunningVersion = true;

  async up(runner: QueryRunner): Promise<void> {
    for (const statement of [...spaces, ...people, ...keys, admit, ...records]) await runner.query(statement);
  }

  down(): Promise<void> {
    return Promise.reject(new Error('migrations only go forward'));
  }
}

const spaces = [
  `create table access.space (
     id bigint generated always as identity primary key,
     slug text not null,
     name text not null,
     status text not null default 'active' check (status in ('active', 'suspended', 'deleted')),
     owner_email text not null,
     created_at timestamptz(3) not null default now(),
     -- Null until data-service knows the Space: a creation that broke off half-way is completed by its repetition.
     ready_at timestamptz(3)
   )`,
  // The label of a deleted Space may be given out again; its id never is.
  `create unique index space_slug on access.space (slug) where status <> 'deleted'`,
];

const people = [
  `create table access.account (
     id bigint generated always as identity primary key,
     email text not null unique check (email = lower(email)),
     password_hash text not null,
     created_at timestamptz(3) not null default now()
   )`,
  `create table access.membership (
     space_id bigint not null references access.space,
     account_id bigint not null references access.account,
     role text not null check (role in ('owner', 'member')),
     created_at timestamptz(3) not null default now(),
     primary key (space_id, account_id)
   )`,
  `create index membership_account on access.membership (account_id)`,
  // Only the hash of a session's token is kept, as with keys.
  `create table access.session (
     sha256 bytea primary key,
     account_id bigint not null references access.account,
     created_at timestamptz(3) not null default now(),
     expires_at timestamptz(3) not null
   )`,
  `create index session_expiry on access.session (expires_at)`,
  // Signing in is counted in the database: more replicas must not mean more guesses.
  `create table access.login_attempt (
     id bigint generated always as identity primary key,
     subject text not null,
     at timestamptz not null default clock_timestamp()
   )`,
  `create index login_attempt_subject on access.login_attempt (subject, at)`,
  `create index login_attempt_at on access.login_attempt (at)`,
];

const keys = [
  `create table access.api_key (
     id bigint generated always as identity primary key,
     space_id bigint not null references access.space,
     name text not null,
     prefix text not null,
     sha256 bytea not null unique,
     scopes text[] not null,
     rate_limit integer not null check (rate_limit between 1 and 1000000),
     created_by text not null,
     created_at timestamptz(3) not null default now(),
     expires_at timestamptz(3),
     revoked_at timestamptz(3)
   )`,
  `create index api_key_space on access.api_key (space_id, id)`,
  // One narrow row a key, rewritten by each grant. Most of its page stays free, so that a rewrite stays in the page, touches
  // no index and leaves nothing behind for vacuum.
  `create table access.key_state (
     key_id bigint primary key references access.api_key on delete cascade,
     used integer not null default 0,
     newest_until timestamptz,
     newest_count integer not null default 0,
     oldest_until timestamptz,
     last_used_at timestamptz
   ) with (fillfactor = 20)`,
  // Permits that are still taken, but for the newest, which stands in the key's state. \`until\` is when they come back.
  `create table access.permit (
     key_id bigint not null,
     until timestamptz not null,
     count integer not null,
     primary key (key_id, until)
   ) with (autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 5000)`,
];

/**
 * The whole admission of n requests of one key in one statement: is the key good, is it at home on this host, and how many of
 * the n may pass (DESIGN §3). No row is found for a key that is unknown, revoked, expired or of a Space that is not active, nor
 * where the host label names another Space (T-004): the caller cannot tell which.
 *
 * The state row's lock puts the admissions of all replicas in one line. A limit of up to 1,000 is an exact log: each grant comes
 * back 60 s after it was given. Above that, grants of one tenth of a second share a row that comes back when its last possible
 * moment is 60 s old: never more than the limit, at most 0.1 s late. Time never runs backwards for a key, whatever the clock does.
 * \`at\` replaces the clock in tests.
 */
const admit = `
  create function access.admit(
    in wanted_sha256 bytea, in wanted integer, in host_label text, in at timestamptz default null,
    out key_id bigint, out space_id bigint, out scopes text[], out rate_limit integer,
    out granted integer, out remaining integer, out reset_ms double precision
  ) language plpgsql volatile as $$
  #variable_conflict use_column
  declare
    found_key record;
    moment timestamptz;
    comes_back timestamptz;
    freed integer := 0;
  begin
    select k.id, k.space_id, k.scopes, k.rate_limit, s.slug,
           st.used, st.newest_until, st.newest_count, st.oldest_until
      into found_key
      from access.api_key k
      join access.space s on s.id = k.space_id
      join access.key_state st on st.key_id = k.id
     where k.sha256 = wanted_sha256 and k.revoked_at is null and s.status = 'active'
       and (k.expires_at is null or k.expires_at > coalesce(at, clock_timestamp()))
       for update of st;
    if not found then return; end if;
    if host_label is not null and host_label <> found_key.slug
       and exists (select from access.space s where s.slug = host_label and s.status <> 'deleted') then
      return;
    end if;

    moment := coalesce(at, clock_timestamp());
    if found_key.oldest_until <= moment then
      with gone as (
        delete from access.permit p
         where p.key_id = found_key.id and p.until >= found_key.oldest_until and p.until <= moment
        returning p.count
      )
      select coalesce(sum(g.count), 0) into freed from gone g;
      select min(p.until) into found_key.oldest_until
        from access.permit p where p.key_id = found_key.id and p.until > moment;
    end if;
    if found_key.newest_until <= moment then
      freed := freed + found_key.newest_count;
      found_key.newest_until := null;
      found_key.newest_count := 0;
    end if;
    found_key.used := found_key.used - freed;

    granted := greatest(0, least(wanted, found_key.rate_limit - found_key.used));
    if granted > 0 then
      comes_back := greatest(found_key.newest_until, case
        when found_key.rate_limit <= 1000 then moment + interval '60 s'
        else date_bin('100 ms', moment, 'epoch') + interval '60.1 s' end);
      if found_key.newest_until < comes_back then
        insert into access.permit (key_id, until, count)
        values (found_key.id, found_key.newest_until, found_key.newest_count);
        found_key.oldest_until := coalesce(found_key.oldest_until, found_key.newest_until);
        found_key.newest_count := 0;
      end if;
      found_key.newest_until := comes_back;
      found_key.newest_count := found_key.newest_count + granted;
      found_key.used := found_key.used + granted;
    end if;
    if granted > 0 or freed > 0 then
      update access.key_state st
         set used = found_key.used, newest_until = found_key.newest_until, newest_count = found_key.newest_count,
             oldest_until = found_key.oldest_until,
             last_used_at = case when granted > 0 then moment else st.last_used_at end
       where st.key_id = found_key.id;
    end if;

    key_id := found_key.id;
    space_id := found_key.space_id;
    scopes := found_key.scopes;
    rate_limit := found_key.rate_limit;
    remaining := found_key.rate_limit - found_key.used;
    reset_ms := greatest(0,
      extract(epoch from coalesce(found_key.oldest_until, found_key.newest_until) - moment) * 1000);
  end $$`;

const records = [
  `create table access.audit (
     id bigint generated always as identity primary key,
     space_id bigint references access.space,
     at timestamptz(3) not null default now(),
     actor text not null,
     action text not null,
     object text not null,
     address text,
     detail text not null default '{}'
   )`,
  `create index audit_space on access.audit (space_id, id)`,
  `create index audit_at on access.audit (at)`,
];
