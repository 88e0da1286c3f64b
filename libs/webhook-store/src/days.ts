import { isMissingPartition, statement, type Database } from '@keyturn/platform/database';

const addDays = statement(
  'webhooks.add_days',
  `select count(*) filter (where webhooks.add_day(day)) as made from unnest($1::date[]) as day`,
);
const addDaysAhead = statement(
  'webhooks.add_days_ahead',
  `select count(*) filter (where webhooks.add_day(day::date)) as made
   from generate_series($1::date - 1, $1::date + $2::int, interval '1 day') as day`,
);

export const dayMs = 86_400_000;

/** `YYYY-MM-DD`, UTC. */
export const dayAt = (moment: number) => new Date(moment).toISOString().slice(0, 'YYYY-MM-DD'.length);

/** There is no partition for a row's day: the days ahead have run out, or the event is older than what we keep. */
export const isMissingDay = isMissingPartition;

/** Makes the partitions of these days (`YYYY-MM-DD`, UTC) where they are missing. */
export async function ensureDays(database: Database, days: readonly string[]): Promise<void> {
  await database.acrossSpaces('partitions hold all Spaces').query(addDays, [[...new Set(days)]]);
}

/** Makes the partitions of today, yesterday and the days to come. */
export async function ensureDaysAhead(database: Database, now: Date, ahead = 7): Promise<void> {
  await database.acrossSpaces('partitions hold all Spaces').query(addDaysAhead, [dayAt(now.getTime()), ahead]);
}
