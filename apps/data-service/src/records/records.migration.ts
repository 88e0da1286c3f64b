import type { Migration } from '@keyturn/platform/database';
import type { QueryRunner } from 'typeorm';

/**
 * The record tables, one for each resource, and the totals of their collections.
 *
 * - A sort that is promised an index has one btree `(space_id, key, id)`, walked forward for `asc` and backward for `desc`.
 *   A string's key is its folded beginning, so that an entry never outgrows a page.
 * - A telephone number is found by one entry of `contact_phone`, which names the Space with it: the cost is the same in a
 *   Space of any size, and another Space that has the number a million times does not matter.
 * - A record's state (its JSON text and what orders its events) stands in a table of its own: a filter that no index serves
 *   reads all rows of a Space, and without the texts that is a quarter of the pages. Its changes move no index entry.
 * - So does what `search=` looks into: most changes of a record leave it as it was, and its trigram index is by far the
 *   dearest to write (measured: two thirds of an update).
 * - Statistics know up to 1,000 Spaces one by one, since their sizes differ by 10^5; tables are vacuumed and analysed after
 *   2 % of change, which keeps index-only scans and estimates good.
 */
export class Records1763640000001 implements Migration {
  readonly safeForRunningVersion = true;

  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`create extension if not exists pg_trgm with schema public`);
    await runner.query(`create extension if not exists btree_gin with schema public`);
    await runner.query(tables);
    await runner.query(sideTables);
    await runner.query(tuning);
  }

  /** Forward only: what replaces a table is a later migration. */
  down(): Promise<void> {
    return Promise.reject(new Error('migrations run forward only'));
  }
}

const tables = `
create table data.file (
  space_id bigint not null,
  id bigint not null,
  name text,
  file_number text,
  file_type text generated always as (
    case transaction_type when 'PURCHASE_OFFER' then 'purchase' when 'LISTING_FOR_SALE' then 'listing'
      when 'LISTING_FOR_LEASE' then 'lease_listing' when 'LEASE_OFFER' then 'lease'
      when 'REAL_ESTATE_OTHER' then 'real_estate_other' when 'OTHER' then 'other' end
  ) stored,
  listing_status text generated always as (
    case loop_status when 'PRE_OFFER' then 'pre_offer' when 'PRE_LISTING' then 'pre_listing'
      when 'PRIVATE_LISTING' then 'private_listing' when 'ACTIVE_LISTING' then 'active'
      when 'UNDER_CONTRACT' then 'under_contract' when 'SOLD' then 'sold' when 'LEASED' then 'leased'
      when 'NEW' then 'new' when 'IN_PROGRESS' then 'in_progress' when 'DONE' then 'done'
      when 'ARCHIVED' then 'archived' end
  ) stored,
  status text not null generated always as (
    case when loop_status in ('SOLD', 'LEASED', 'DONE') then 'closed'
      when loop_status = 'ARCHIVED' then 'archived' else 'active' end
  ) stored,
  transaction_type text,
  property_address text,
  property_address_sort text collate "C" generated always as (left(lower(property_address), 500)) stored,
  street_number text,
  street_name text,
  unit text,
  city text,
  state text,
  zip_code text,
  county text,
  country text,
  mls_number text,
  parcel_id text,
  list_price double precision,
  original_price double precision,
  sale_price double precision,
  earnest_money double precision,
  commission_total double precision,
  listing_date date,
  expiration_date date,
  offer_date date,
  contract_date date,
  inspection_date date,
  closing_date date,
  year_built bigint,
  bedrooms double precision,
  bathrooms double precision,
  square_feet double precision,
  agent_id bigint,
  coordinator_id bigint,
  total_task_count bigint,
  completed_task_count bigint,
  review_submitted_at timestamptz(3),
  source text,
  created_at timestamptz(3) not null,
  updated_at timestamptz(3) not null,
  loop_status text,
  primary key (space_id, id)
);
create index file_property_address on data.file (space_id, property_address_sort, id);
create index file_list_price on data.file (space_id, list_price, id);
create index file_closing_date on data.file (space_id, closing_date, id);
create index file_created_at on data.file (space_id, created_at, id);
create index file_updated_at on data.file (space_id, updated_at, id);

create table data.contact (
  space_id bigint not null,
  id bigint not null,
  first_name text,
  last_name text,
  last_name_sort text collate "C" generated always as (left(lower(last_name), 500)) stored,
  full_name text,
  email text,
  email_sort text collate "C" generated always as (left(lower(email), 500)) stored,
  company text,
  phone text,
  mobile_phone text,
  home_phone text,
  office_phone text,
  fax text,
  contact_type text,
  address text,
  city text,
  state text,
  zip_code text,
  country text,
  owner_user_id bigint,
  is_active boolean,
  last_contacted_at timestamptz(3),
  created_at timestamptz(3) not null,
  updated_at timestamptz(3) not null,
  phone_keys text[] not null,
  primary key (space_id, id)
);
create index contact_last_name on data.contact (space_id, last_name_sort, id);
create index contact_email on data.contact (space_id, email_sort, id);
create index contact_created_at on data.contact (space_id, created_at, id);
create index contact_updated_at on data.contact (space_id, updated_at, id);
create index contact_phone on data.contact using gin (phone_keys) with (fastupdate = off);

create table data."user" (
  space_id bigint not null,
  id bigint not null,
  first_name text,
  last_name text,
  last_name_sort text collate "C" generated always as (left(lower(last_name), 500)) stored,
  full_name text,
  email text,
  email_sort text collate "C" generated always as (left(lower(email), 500)) stored,
  phone text,
  title text,
  role text,
  license_number text,
  brokerage text,
  license_state text,
  timezone text,
  is_active boolean,
  last_login_at timestamptz(3),
  password_hash text,
  created_at timestamptz(3) not null,
  updated_at timestamptz(3) not null,
  primary key (space_id, id)
);
create index user_last_name on data."user" (space_id, last_name_sort, id);
create index user_email on data."user" (space_id, email_sort, id);
create index user_created_at on data."user" (space_id, created_at, id);
create index user_updated_at on data."user" (space_id, updated_at, id);
create index agents_id on data."user" (space_id, id) where role = 'agent';
create index agents_last_name on data."user" (space_id, last_name_sort, id) where role = 'agent';
create index agents_email on data."user" (space_id, email_sort, id) where role = 'agent';
create index agents_created_at on data."user" (space_id, created_at, id) where role = 'agent';
create index agents_updated_at on data."user" (space_id, updated_at, id) where role = 'agent';

create table data.task (
  space_id bigint not null,
  id bigint not null,
  file_id bigint,
  task_list_id bigint,
  assigned_to_id bigint,
  completed_by_id bigint,
  title text,
  status text,
  completed boolean,
  priority text,
  due_date timestamptz(3),
  completed_at timestamptz(3),
  position bigint,
  created_at timestamptz(3) not null,
  updated_at timestamptz(3) not null,
  primary key (space_id, id)
);
create index task_file_id on data.task (space_id, file_id, id);
create index task_assigned_to_id on data.task (space_id, assigned_to_id, id);
create index task_due_date on data.task (space_id, due_date, id);
create index task_created_at on data.task (space_id, created_at, id);
create index task_updated_at on data.task (space_id, updated_at, id);

create table data.calendar_item (
  space_id bigint not null,
  id bigint not null,
  file_id bigint,
  contingency_id bigint,
  task_id bigint,
  created_by_id bigint,
  title text,
  location text,
  item_type text,
  start_at timestamptz(3),
  end_at timestamptz(3),
  all_day boolean,
  status text,
  created_at timestamptz(3) not null,
  updated_at timestamptz(3) not null,
  primary key (space_id, id)
);
create index calendar_item_file_id on data.calendar_item (space_id, file_id, id);
create index calendar_item_start_at on data.calendar_item (space_id, start_at, id);
create index calendar_item_created_at on data.calendar_item (space_id, created_at, id);
create index calendar_item_updated_at on data.calendar_item (space_id, updated_at, id);

create table data.contingency (
  space_id bigint not null,
  id bigint not null,
  file_id bigint,
  name text,
  contingency_type text,
  status text,
  responsible_party text,
  start_date date,
  due_date date,
  resolved_date date,
  created_at timestamptz(3) not null,
  updated_at timestamptz(3) not null,
  primary key (space_id, id)
);
create index contingency_file_id on data.contingency (space_id, file_id, id);
create index contingency_due_date on data.contingency (space_id, due_date, id);
create index contingency_created_at on data.contingency (space_id, created_at, id);
create index contingency_updated_at on data.contingency (space_id, updated_at, id);

create table data.note (
  space_id bigint not null,
  id bigint not null,
  file_id bigint,
  contact_id bigint,
  author_id bigint,
  subject text,
  visibility text,
  is_pinned boolean,
  created_at timestamptz(3) not null,
  updated_at timestamptz(3) not null,
  primary key (space_id, id)
);
create index note_file_id on data.note (space_id, file_id, id);
create index note_contact_id on data.note (space_id, contact_id, id);
create index note_created_at on data.note (space_id, created_at, id);
create index note_updated_at on data.note (space_id, updated_at, id);

create table data.counter (
  space_id bigint not null,
  collection text not null,
  total bigint not null,
  primary key (space_id, collection)
) with (fillfactor = 50);
`;

const resourceNames = ['file', 'contact', 'user', 'task', 'calendar_item', 'contingency', 'note'];

const sideTables = resourceNames
  .map(
    (name) => `
create table data.${name}_state (
  space_id bigint not null,
  id bigint not null,
  version bigint,
  event_time timestamptz(3) not null,
  json text not null,
  primary key (space_id, id)
) with (fillfactor = 90);
alter table data.${name}_state alter json set storage external;

create table data.${name}_search (
  space_id bigint not null,
  id bigint not null,
  search_text text not null,
  primary key (space_id, id)
);
create index ${name}_search_text on data.${name}_search
  using gin (space_id, search_text gin_trgm_ops) with (gin_pending_list_limit = 1024);
`,
  )
  .join('');

const tuning = resourceNames
  .flatMap((name) => [`data."${name}"`, `data.${name}_state`, `data.${name}_search`])
  .map(
    (table) => `
alter table ${table} set (
  autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_insert_scale_factor = 0.02,
  autovacuum_analyze_scale_factor = 0.02
);
alter table ${table} alter space_id set statistics 1000;
`,
  )
  .join('');
