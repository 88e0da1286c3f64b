/** Calendar days as `YYYY-MM-DD`, and the Pacific clock that the brokerage's people live by. */
export type Day = string;

const dayMs = 86_400_000;
const at = (day: Day) => Date.parse(`${day}T00:00:00.000Z`);
const dayOf = (ms: number): Day => new Date(ms).toISOString().slice(0, 10);

export const addDays = (day: Day, days: number): Day => dayOf(at(day) + days * dayMs);
export const daysBetween = (from: Day, to: Day): number => Math.round((at(to) - at(from)) / dayMs);
export const earlier = (a: Day, b: Day): Day => (a < b ? a : b);
export const later = (a: Day, b: Day): Day => (a > b ? a : b);

/** Offices and recorders are closed at the weekend: Saturday moves to Friday, Sunday to Monday. */
export function weekday(day: Day): Day {
  const weekdayNumber = new Date(at(day)).getUTCDay();
  if (weekdayNumber === 6) return addDays(day, -1);
  return weekdayNumber === 0 ? addDays(day, 1) : day;
}

/** The n-th Sunday of a month (1–12). */
function sunday(year: number, month: number, n: number): Day {
  const first = Date.UTC(year, month - 1, 1);
  const offset = (7 - new Date(first).getUTCDay()) % 7;
  return dayOf(first + (offset + (n - 1) * 7) * dayMs);
}

/** Minutes east of UTC on the Pacific coast: summer time from the second Sunday of March to the first of November. */
export function pacificOffset(day: Day): number {
  const year = Number(day.slice(0, 4));
  return day >= sunday(year, 3, 2) && day < sunday(year, 11, 1) ? -420 : -480;
}

/** A moment on the Pacific clock, as ISO 8601 UTC with milliseconds. */
export function pacificTime(day: Day, hour: number, minute = 0, second = 0): string {
  const local = at(day) + ((hour * 60 + minute) * 60 + second) * 1000;
  return new Date(local - pacificOffset(day) * 60_000).toISOString();
}
