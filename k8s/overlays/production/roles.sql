-- Run once in the new database, which keyturn owns, by a superuser, before the first migration.
-- The owner, keyturn, migrates. A service reads and writes the rows of its own schema and can do nothing else: it neither
-- sees another's schema nor changes the form of its own. The operator gives each service's login one of these roles.
create role keyturn_access nologin;
create role keyturn_data nologin;
create role keyturn_webhooks nologin;

revoke all on schema public from public;
-- Types, operators and functions of the extensions live in schema public.
grant usage on schema public to keyturn, keyturn_access, keyturn_data, keyturn_webhooks;
create extension if not exists pg_trgm;
create extension if not exists btree_gin;

create schema access authorization keyturn;
create schema data authorization keyturn;
create schema webhooks authorization keyturn;

grant usage on schema access to keyturn_access;
grant usage on schema data to keyturn_data;
grant usage on schema webhooks to keyturn_webhooks;

alter default privileges for role keyturn in schema access grant select, insert, update, delete on tables to keyturn_access;
alter default privileges for role keyturn in schema access grant usage, select on sequences to keyturn_access;
alter default privileges for role keyturn in schema data grant select, insert, update, delete on tables to keyturn_data;
alter default privileges for role keyturn in schema data grant usage, select on sequences to keyturn_data;
alter default privileges for role keyturn in schema webhooks grant select, insert, update, delete on tables to keyturn_webhooks;
alter default privileges for role keyturn in schema webhooks grant usage, select on sequences to keyturn_webhooks;
