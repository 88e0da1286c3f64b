import path from 'node:path';
import { type MigrationChain, namesOf, problemsFrom, statementsOf, writtenDown } from '@keyturn/testing';
import { migrations } from '.';

const records = (n: number) => `
  insert into data.file (space_id, id, name, transaction_type, loop_status, property_address, closing_date, created_at, updated_at)
    values (1, ${n}, 'File', 'LISTING_FOR_SALE', 'ACTIVE_LISTING', '1 Main St', '2026-05-01', now(), now());
  insert into data.file_state (space_id, id, event_time, json) values (1, ${n}, now(), '{"id":${n}}');
  insert into data.file_search (space_id, id, search_text) values (1, ${n}, '1 main st');
  insert into data.contact (space_id, id, email, phone, phone_keys, created_at, updated_at)
    values (1, ${n}, 'a@b.example', '415', array['1:415'], now(), now());
  insert into data.contact_state (space_id, id, event_time, json) values (1, ${n}, now(), '{"id":${n}}');
  insert into data.counter (space_id, collection, total) values (1, 'files', 1)
    on conflict (space_id, collection) do update set total = data.counter.total + 1;
`;
const eventsIn = (n: number) => `
  insert into data.space (space_id, status) values (${n}, 'active');
  update data.space set sequence = sequence + 1 where space_id = ${n};
  insert into data.tombstone (space_id, resource, record_id, event_time) values (1, 'file', ${n}, now());
  select data.ensure_partitions((now() at time zone 'utc')::date);
  insert into data.seen_event (key, seen_on) values (gen_random_uuid(), (now() at time zone 'utc')::date);
  with ids as (update data.position set sequence = sequence + 1, moment = now() where name = 'log' returning sequence, moment)
  insert into data.event_log (id, committed_at, space_id, sequence, event_id, event, resource, record_id, time, changed, payload)
    select sequence, moment, 1, sequence, 'evt_${n}', 'file.created', 'file', ${n}, now(), '{}', '{}' from ids;
`;
const spaceLife = (n: number) => `
  insert into data.space (space_id, status, deleted_at) values (${n} + 1000, 'deleted', now());
`;

const chain: MigrationChain = {
  name: 'data',
  migrations,
  writes: { Records1763640000001: records, EventsIn1763640000002: eventsIn, SpaceLife1763640000004: spaceLife },
  statementsFolder: path.join(__dirname, 'statements'),
};

describe('schema data', () => {
  it.each(namesOf(chain))('keeps what a version with %s wrote, and lets it run on', async (point) => {
    expect(await problemsFrom(point, chain)).toEqual([]);
  });

  it('has statements of an older version to hold its migrations against', () => {
    expect(namesOf(chain)).toEqual(expect.arrayContaining(writtenDown(chain)));
    for (const point of writtenDown(chain)) expect(Object.keys(statementsOf(chain, point)).length).toBeGreaterThan(80);
  });
});
