import { Client } from 'pg';
import { NatsLink } from '@keyturn/platform/nats';
import { Log } from '@keyturn/platform/logs';
import type { TestSystem } from '@keyturn/testing';
import { subjectOf } from '../keyturn/cloud-event';
import { demoEvents } from '../keyturn/demo/demo-events';
import { publishAll, type Outgoing } from '../keyturn/publish';
import { say } from './figures';

/** A Space filled with the demo brokerage's files and contacts, and what a benchmark asks it for. */
export interface ReadSpace {
  readonly spaceId: string;
  /** As tables hold it. */
  readonly number: string;
  readonly key: string;
  readonly files: number;
  readonly fileIds: readonly string[];
  /** National digits of numbers that exist. */
  readonly phones: readonly string[];
}

const encoder = new TextEncoder();

/** Enough for lookups; a large Space is large in files. */
const maxContacts = 50_000;

function* filesAndContacts(spaceId: string, files: number): Generator<Outgoing> {
  let contacts = 0;
  for (const event of demoEvents({ spaceId, files, seed: 1 }))
    if (event.type === 'file.created' || (event.type === 'contact.created' && contacts++ < maxContacts))
      yield {
        subject: subjectOf(event),
        messageId: `${event.source}|${event.id}`,
        body: encoder.encode(JSON.stringify(event)),
      };
}

/** Fills a new Space through the event path, as a first load does; says how fast. */
export async function fillSpace(system: TestSystem, files: number): Promise<ReadSpace & { eventsPerSecond: number }> {
  const { id, slug } = await system.createSpace();
  const { key } = await system.createKey(slug, { rateLimit: 1_000_000 });
  const link = new NatsLink({ natsUrl: system.nats.url }, 'bench', Log.create('bench', 'silent'));
  await link.whenConnected();
  const started = performance.now();
  const { accepted } = await publishAll(link.connection(), filesAndContacts(id, files));
  await system.applied(20 * 60_000);
  const seconds = (performance.now() - started) / 1_000;
  await link.close();
  say(`${files} files and their contacts: ${accepted} events in ${seconds.toFixed(1)} s`);

  const number = id.slice('spc_'.length);
  const database = new Client({ connectionString: system.databaseUrl });
  await database.connect();
  // What autovacuum does a little later by itself; a benchmark must not depend on when.
  await database.query('vacuum (analyze)');
  const column = async (text: string) =>
    (await database.query<{ value: string }>(text, [number])).rows.map(({ value }) => value);
  const fileIds = await column(
    'select id as value from data.file where space_id = $1 order by (id * 7919) % 1000003, id limit 500',
  );
  const phones = await column(
    `select split_part(phone_keys[1], ':', 2) as value from data.contact where space_id = $1 and cardinality(phone_keys) > 0
     order by (id * 7919) % 1000003, id limit 500`,
  );
  await database.end();
  return { spaceId: id, number, key, files, fileIds, phones, eventsPerSecond: accepted / seconds };
}
