import path from 'node:path';
import { type MigrationChain, namesOf, problemsFrom, statementsOf, writtenDown } from '@keyturn/testing';
import { webhookMigrations } from '.';

const webhooks = (n: number) => `
  select webhooks.add_day(current_date);
  insert into webhooks.space (space_id) values (${n});
  insert into webhooks.endpoint (space_id, name, url, events, secret_enc)
    values (${n}, 'Hook', 'https://hooks.example/', '{file.created}', '\\x00');
  insert into webhooks.endpoint_state (endpoint_id) select id from webhooks.endpoint where space_id = ${n};
  insert into webhooks.endpoint_version (endpoint_id, version, space_id, from_sequence, deliver, events, thin)
    select id, 1, ${n}, 0, true, events, false from webhooks.endpoint where space_id = ${n};
  insert into webhooks.message (day, id, space_id, sequence, event, resource, record_id, time, committed_at, changed, payload)
    values (current_date, 'evt_${n}', ${n}, 1, 'file.created', 'file', 1, now(), now(), '{}', '\\x7b7d');
  insert into webhooks.delivery (id, day, endpoint_id, space_id, message_id, sequence, event, resource, record_id, thin,
      created_at, status, max_attempts)
    select nextval('webhooks.delivery_id'), current_date, id, ${n}, 'evt_${n}', 1, 'file.created', 'file', 1, false, now(),
      'pending', 9 from webhooks.endpoint where space_id = ${n};
  insert into webhooks.attempt (day, delivery_id, space_id, number, reason, started_at, duration_ms)
    select day, id, space_id, 1, 'first', now(), 5 from webhooks.delivery where space_id = ${n};
  insert into webhooks.queue (delivery_id, day, endpoint_id, space_id, message_id, sequence, resource, record_id, thin, state,
      due_at, reason)
    select id, day, endpoint_id, space_id, message_id, 1, 'file', 1, false, 'ready', now(), 'first'
      from webhooks.delivery where space_id = ${n};
  insert into webhooks.endpoint_day select id, current_date, 1 from webhooks.endpoint where space_id = ${n};
  insert into webhooks.endpoint_hour select id, date_trunc('hour', now()), 1, 0 from webhooks.endpoint where space_id = ${n};
  insert into webhooks.idempotency (space_id, key, request_hash, reply_enc) values (${n}, 'key', '\\x00', '\\x00');
  insert into webhooks.dispatcher (alive_until) values (now());
`;
const recordOrder = (n: number) => `insert into webhooks.accepted (space_id, ranges) values (${n}, '{[1,2)}');`;
const replays = (n: number) => `
  insert into webhooks.replay (space_id, endpoint_id, target_id, since, until, selection, dry_run)
    values (${n}, ${n}, ${n}, now(), now(), 'all', false);
`;

const intake = (n: number) => `update webhooks.intake set stream_created = now(), sequence = ${n}, noted_at = now();`;
const spaceLife = (n: number) => `
  insert into webhooks.space (space_id, status, deleted_at) values (${n} + 1000, 'deleted', now());
  update webhooks.endpoint set suspended = true where space_id = ${n};
`;

const chain: MigrationChain = {
  name: 'webhooks',
  migrations: webhookMigrations,
  writes: {
    Webhooks1763600000000: webhooks,
    RecordOrder1763600100000: recordOrder,
    Replays1763600300000: replays,
    Intake1763600650000: intake,
    SpaceLife1763600800000: spaceLife,
  },
  statementsFolder: path.join(__dirname, 'statements'),
};

describe('schema webhooks', () => {
  it.each(namesOf(chain))('keeps what a version with %s wrote, and lets it run on', async (point) => {
    expect(await problemsFrom(point, chain)).toEqual([]);
  });

  it('has statements of an older version to hold its migrations against', () => {
    expect(namesOf(chain)).toEqual(expect.arrayContaining(writtenDown(chain)));
    for (const point of writtenDown(chain)) expect(Object.keys(statementsOf(chain, point)).length).toBeGreaterThan(60);
  });
});
