import { type DomainCloudEvent } from '../cloud-event';
import type { Day } from './day';
import { makeOffice } from './office';
import { filesPerOffice, type Made } from './records';
import { makeTransaction } from './transaction';

export interface DemoOptions {
  readonly spaceId: string;
  readonly files: number;
  /** From 1; each has ids of its own, so two seeds fill one Space side by side. */
  readonly seed: number;
  /** The day the brokerage is looked at; the same day makes the same records. */
  readonly today?: Day;
  /** As live events, for which webhooks fire, instead of a first load. */
  readonly live?: boolean;
}

export const demoDay: Day = '2026-03-10';
export const maxDemoFiles = 1_000_000;
export const maxDemoSeed = 10_000_000;

function* demoRecords(files: number, seed: number, today: Day): Generator<Made> {
  for (let first = 0; first < files; first += filesPerOffice) {
    const office = makeOffice(seed, first / filesPerOffice, today);
    for (const record of office.users) yield { resource: 'user', record };
    for (const record of office.contacts) yield { resource: 'contact', record };
    for (let index = first; index < Math.min(files, first + filesPerOffice); index++)
      yield* makeTransaction(seed, index, office, today);
  }
}

/**
 * The events that fill a Space with a brokerage. An event's id says Space, seed, day and record, so a second load repeats
 * the first and changes nothing.
 */
export function* demoEvents({
  spaceId,
  files,
  seed,
  today = demoDay,
  live = false,
}: DemoOptions): Generator<DomainCloudEvent> {
  for (const { resource, record } of demoRecords(files, seed, today))
    yield {
      specversion: '1.0',
      id: `${spaceId}-${seed}-${today}-${resource}-${record.id}`,
      source: '/demo',
      type: `${resource}.created`,
      spaceid: spaceId,
      subject: String(record.id),
      time: record.updatedAt,
      datacontenttype: 'application/json',
      ...(live ? {} : { backfill: true }),
      data: record,
    };
}
