import { type FileType, type ListingStatus } from '@keyturn/contracts';
import { addDays, type Day, daysBetween, earlier, later, weekday } from './day';
import type { Random } from './random';

/** The days of one transaction, in the order in which they happen; null for what has not come or never will. */
export interface Timeline {
  readonly fileType: FileType;
  readonly listingStatus: ListingStatus;
  readonly opened: Day;
  readonly listed: Day | null;
  readonly expires: Day | null;
  readonly offered: Day | null;
  readonly contracted: Day | null;
  readonly inspected: Day | null;
  readonly closing: Day | null;
  /** The day after which nothing more happens: closed, leased, done, or given up. */
  readonly ended: Day | null;
}

const fileTypes: Readonly<Record<FileType, number>> = {
  listing: 44,
  purchase: 42,
  lease_listing: 5,
  lease: 4,
  real_estate_other: 3,
  other: 2,
};

type Weights = Partial<Record<ListingStatus, number>>;

/** How far files of each type have come, as a brokerage's list shows them on any day. */
const statuses: Readonly<Record<FileType, Weights>> = {
  listing: { sold: 46, active: 20, under_contract: 16, archived: 9, pre_listing: 6, private_listing: 3 },
  purchase: { sold: 55, under_contract: 24, pre_offer: 11, archived: 10 },
  lease_listing: { leased: 60, active: 28, pre_listing: 6, archived: 6 },
  lease: { leased: 70, under_contract: 14, pre_offer: 8, archived: 8 },
  real_estate_other: { done: 50, in_progress: 35, new: 15 },
  other: { done: 50, in_progress: 30, new: 12, archived: 8 },
};

const isClosed = (status: ListingStatus) => status === 'sold' || status === 'leased' || status === 'done';

export function makeTimeline(random: Random, today: Day): Timeline {
  const fileType = random.weighted(fileTypes);
  const listingStatus = random.weighted(statuses[fileType] as Record<ListingStatus, number>);
  const yesterday = addDays(today, -1);
  const ago = (least: number, most: number) => addDays(today, -random.integer(least, most));
  const base = { fileType, listingStatus };
  const none = { listed: null, expires: null, offered: null, contracted: null, inspected: null, closing: null };

  if (fileType === 'real_estate_other' || fileType === 'other') {
    const opened = isClosed(listingStatus) || listingStatus === 'archived' ? ago(60, 700) : ago(1, 60);
    const over = isClosed(listingStatus) || listingStatus === 'archived';
    const ended = over ? earlier(yesterday, addDays(opened, random.integer(10, 55))) : null;
    return { ...base, ...none, opened, ended };
  }

  const isListing = fileType === 'listing' || fileType === 'lease_listing';
  const isLease = fileType === 'lease' || fileType === 'lease_listing';

  if (listingStatus === 'pre_listing' || listingStatus === 'pre_offer')
    return { ...base, ...none, opened: ago(1, 30), ended: null };

  if (listingStatus === 'active' || listingStatus === 'private_listing') {
    const listed = ago(1, 95);
    const opened = addDays(listed, -random.integer(3, 28));
    return { ...base, ...none, opened, listed, expires: addDays(listed, 180), ended: null };
  }

  // A contract was signed at some time, though it may have come to nothing.
  const daysToClosing = isLease ? random.integer(8, 20) : random.integer(26, 48);
  const contracted =
    listingStatus === 'under_contract' ? ago(1, Math.min(34, daysToClosing)) : ago(daysToClosing + 6, 760);
  const planned = weekday(addDays(contracted, daysToClosing));
  const closing = listingStatus === 'under_contract' ? weekday(later(planned, addDays(today, 3))) : planned;
  const offered = addDays(contracted, -random.integer(1, 4));
  const listed = isListing ? addDays(offered, -random.integer(4, 75)) : null;
  const opened = addDays(listed ?? offered, -random.integer(3, 28));
  const fellThrough =
    listingStatus === 'archived'
      ? addDays(contracted, random.integer(4, Math.max(5, daysBetween(contracted, closing) - 4)))
      : null;
  return {
    ...base,
    opened,
    listed,
    expires: listed && addDays(listed, 180),
    offered,
    contracted,
    inspected: isLease ? null : weekday(addDays(contracted, random.integer(5, 11))),
    closing,
    ended: isClosed(listingStatus) ? closing : fellThrough,
  };
}
