import { addDays, type Day, daysBetween, earlier, later, pacificOffset, pacificTime, weekday } from './day';
import { mailbox, officeNumber, personName, type PersonName, phoneNumber } from './names';
import type { Office, Person } from './office';
import { type Address, address } from './places';
import { Random } from './random';
import {
  type CalendarItemRecord,
  type ContactRecord,
  type ContingencyRecord,
  type FileRecord,
  Ids,
  type Made,
  type NoteRecord,
  type TaskRecord,
} from './records';
import { makeTimeline, type Timeline } from './timeline';
import { earlyNotes, longNote, remarks, shortNotes, type TaskTemplate, taskTemplates } from './wording';

/** Everything that is known of a file before its parts are written down. */
interface Deal {
  readonly index: number;
  readonly ids: Ids;
  readonly today: Day;
  readonly yesterday: Day;
  readonly timeline: Timeline;
  readonly address: Address;
  readonly agent: Person;
  readonly coordinator: Person;
  readonly office: Office;
  /** Our own side of the deal. */
  readonly clients: readonly ContactRecord[];
}

/** One file and all that belongs to it, in an order in which every reference points back. */
export function makeTransaction(seed: number, index: number, office: Office, today: Day): Made[] {
  const random = new Random(seed, 'file', index);
  const ids = new Ids(seed);
  const timeline = makeTimeline(random, today);
  const town = random.pick(office.towns);
  const isCondo = random.chance(timeline.fileType.startsWith('lease') ? 0.6 : 0.22);
  const property = address(town, isCondo, random);
  const before = {
    index,
    ids,
    today,
    yesterday: addDays(today, -1),
    timeline,
    address: property,
    agent: random.pick(office.agents),
    coordinator: random.pick(office.coordinators),
    office,
  };
  const clients = makeClients(before, random);
  const deal: Deal = { ...before, clients };

  const tasks = makeTasks(deal, random);
  const contingencies = makeContingencies(deal, isCondo, random);
  const calendarItems = makeCalendarItems(deal, contingencies, random);
  const notes = makeNotes(deal, random);
  const file = makeFile(deal, tasks, isCondo, random);
  return [
    ...clients.map((record): Made => ({ resource: 'contact', record })),
    { resource: 'file', record: file },
    ...contingencies.map((record): Made => ({ resource: 'contingency', record })),
    ...tasks.map((record): Made => ({ resource: 'task', record })),
    ...calendarItems.map((record): Made => ({ resource: 'calendar_item', record })),
    ...notes.map((record): Made => ({ resource: 'note', record })),
  ];
}

const clientType: Readonly<Record<Timeline['fileType'], string>> = {
  listing: 'seller',
  purchase: 'buyer',
  lease_listing: 'landlord',
  lease: 'tenant',
  real_estate_other: 'client',
  other: 'client',
};

function makeClients(deal: Omit<Deal, 'clients'>, random: Random): ContactRecord[] {
  const { ids, index, timeline, yesterday } = deal;
  const count = random.chance(0.42) ? 2 : 1;
  const first = personName(random);
  const ownsHome = timeline.fileType === 'listing';
  const home = ownsHome ? deal.address : address(random.pick(deal.office.towns), random.chance(0.4), random);
  const met = addDays(timeline.opened, -random.integer(1, 60));
  return Array.from({ length: count }, (_, n): ContactRecord => {
    const name: PersonName =
      n === 0 ? first : { ...personName(random), ...(random.chance(0.6) && { lastName: first.lastName }) };
    const id = ids.fileContact(index, n);
    const touched = earlier(yesterday, timeline.ended ?? addDays(yesterday, -random.integer(0, 12)));
    const number = () => phoneNumber(home.town.areaCode, random);
    return {
      id,
      ...name,
      email: random.chance(0.93) ? `${mailbox(name, 'client')}${id % 97}@example.com` : null,
      company: random.chance(0.06) ? `${name.lastName} Family Trust` : null,
      phone: number(),
      mobilePhone: random.chance(0.55) ? number() : null,
      homePhone: random.chance(0.18) ? number() : null,
      officePhone: random.chance(0.15) ? officeNumber(home.town.areaCode, random) : null,
      fax: random.chance(0.02) ? number() : null,
      contactType: clientType[timeline.fileType],
      address: `${home.streetNumber} ${home.streetName}${home.unit ? ` #${home.unit}` : ''}`,
      city: home.town.name,
      state: home.town.state,
      zipCode: home.zipCode,
      country: 'US',
      ownerUserId: deal.agent.id,
      isActive: timeline.listingStatus !== 'archived' || random.chance(0.5),
      tags: random.sample(
        ['past-client', 'referral', 'relocation', 'first-time', 'investor', 'español'],
        random.integer(0, 2),
      ),
      lastContactedAt: pacificTime(later(touched, met), random.integer(9, 18), random.integer(0, 59)),
      createdAt: pacificTime(met, random.integer(8, 18), random.integer(0, 59), random.integer(0, 59)),
      updatedAt: pacificTime(later(touched, met), 19, random.integer(0, 59), random.integer(0, 59)),
    };
  });
}

const roundTo = (step: number, amount: number) => Math.round(amount / step) * step;
const cents = (amount: number) => Math.round(amount * 100) / 100;

function makePrices(deal: Deal, squareFeet: number, random: Random) {
  const { timeline, address: place } = deal;
  const isLease = timeline.fileType.startsWith('lease');
  const value = place.town.price * 1000 * (0.35 + (0.65 * squareFeet) / 1800) * random.between(0.85, 1.2);
  const step = isLease ? 25 : value > 1_000_000 ? 5_000 : 500;
  const listPrice = roundTo(step, isLease ? value * 0.0042 : value);
  const originalPrice = random.chance(0.25) ? roundTo(step, listPrice * random.between(1.02, 1.08)) : listPrice;
  // A contract that came to nothing leaves its price on the file; nothing else has one before a contract.
  const salePrice = timeline.contracted ? roundTo(isLease ? 25 : 250, listPrice * random.between(0.95, 1.06)) : null;
  const isBuyersFile = timeline.fileType === 'purchase' || timeline.fileType === 'lease';
  return {
    listPrice: isBuyersFile && !timeline.contracted ? null : listPrice,
    originalPrice: isBuyersFile ? null : originalPrice,
    salePrice,
    earnestMoney: salePrice && !isLease ? roundTo(500, salePrice * random.between(0.01, 0.03)) : null,
    commissionTotal: salePrice
      ? cents(isLease ? salePrice * 0.5 : salePrice * random.pick([0.025, 0.0275, 0.03]))
      : null,
  };
}

const noPrices = { listPrice: null, originalPrice: null, salePrice: null, earnestMoney: null, commissionTotal: null };

function mlsNumber({ address: { town }, index }: Deal, random: Random): string {
  if (town.state === 'WA') return String(2_100_000 + ((index * 7 + random.integer(0, 6)) % 400_000));
  if (town.state === 'OR') return `2${random.integer(3, 5)}${String((index * 3) % 1_000_000).padStart(6, '0')}`;
  return `${random.pick(['ML', 'SF', 'OC'])}${81_000_000 + ((index * 11 + random.integer(0, 10)) % 1_000_000)}`;
}

const plats = ['MADRONA HEIGHTS', 'ORCHARD PARK', 'RIVERBEND', 'SUNSET VIEW', 'PIONEER', 'CEDAR GROVE'];

function makeFile(deal: Deal, tasks: readonly TaskRecord[], isCondo: boolean, random: Random): FileRecord {
  const { timeline, address: place, index, ids } = deal;
  const isProperty = timeline.fileType !== 'other' && timeline.fileType !== 'real_estate_other';
  const bedrooms = isCondo ? random.integer(1, 3) : random.integer(2, 5);
  const squareFeet = roundTo(10, (isCondo ? 420 : 560) + bedrooms * random.between(280, 460));
  const last =
    timeline.ended ??
    later(timeline.contracted ?? timeline.listed ?? timeline.opened, addDays(deal.today, -random.integer(1, 14)));
  const surnames = [...new Set(deal.clients.map((client) => client.lastName))].join(' / ');
  const isReviewed = timeline.listingStatus === 'sold' || timeline.listingStatus === 'leased';
  return {
    id: ids.file(index),
    name: `${place.streetNumber} ${place.streetName}${place.unit ? ` #${place.unit}` : ''} – ${surnames}`,
    fileNumber: `TN-${timeline.opened.slice(0, 4)}-${String(index + 1).padStart(5, '0')}`,
    fileType: timeline.fileType,
    listingStatus: timeline.listingStatus,
    propertyAddress: place.line,
    streetNumber: place.streetNumber,
    streetName: place.streetName,
    unit: place.unit,
    city: place.town.name,
    state: place.town.state,
    zipCode: place.zipCode,
    county: place.town.county,
    country: 'US',
    mlsNumber: isProperty && (timeline.listed || timeline.contracted) ? mlsNumber(deal, random) : null,
    parcelId: isProperty
      ? `${random.integer(100000, 999999)}-${random.integer(1000, 9999)}-0${random.integer(1, 9)}`
      : null,
    legalDescription:
      isProperty && timeline.contracted
        ? `LOT ${random.integer(1, 64)}, BLOCK ${random.integer(1, 18)}, ${random.pick(plats)} ADDITION, VOLUME ${random.integer(4, 230)} OF PLATS, PAGE ${random.integer(1, 99)}, RECORDS OF ${place.town.county.toUpperCase()} COUNTY`
        : null,
    remarks: timeline.listed ? random.sample(remarks, random.integer(2, 4)).join(' ') : null,
    ...(isProperty ? makePrices(deal, squareFeet, random) : noPrices),
    listingDate: timeline.listed,
    expirationDate: timeline.expires,
    offerDate: timeline.offered,
    contractDate: timeline.contracted,
    inspectionDate: timeline.inspected,
    closingDate: timeline.closing,
    yearBuilt: isProperty ? random.integer(1904, 2023) : null,
    bedrooms: isProperty ? bedrooms : null,
    bathrooms: isProperty ? random.pick([1, 1.5, 1.75, 2, 2.5, 3]) : null,
    squareFeet: isProperty ? squareFeet : null,
    agentId: deal.agent.id,
    coordinatorId: deal.coordinator.id,
    totalTaskCount: tasks.length,
    completedTaskCount: tasks.filter((task) => task.completed).length,
    reviewSubmittedAt: isReviewed
      ? pacificTime(earlier(addDays(last, 1), deal.yesterday), 11, random.integer(0, 59))
      : null,
    source: random.pick(['referral', 'website', 'open_house', 'past_client', 'sign_call', 'mls']),
    createdAt: pacificTime(timeline.opened, random.integer(8, 17), random.integer(0, 59), random.integer(0, 59)),
    updatedAt: pacificTime(later(last, timeline.opened), 20, random.integer(0, 59), random.integer(0, 59)),
  };
}

type TaskState = Pick<TaskRecord, 'status' | 'completed'>;
const finished: TaskState = { status: 'completed', completed: true };

/** What has become of a task by today. */
function taskState(due: Day, { timeline, today }: Deal, random: Random): TaskState {
  const unfinished = (status: 'open' | 'in_progress' | 'cancelled'): TaskState => ({ status, completed: false });
  if (timeline.listingStatus === 'archived')
    return due < (timeline.ended ?? today) && random.chance(0.85) ? finished : unfinished('cancelled');
  if (timeline.ended) return finished;
  if (due < today) return random.chance(0.88) ? finished : unfinished(random.chance(0.5) ? 'open' : 'in_progress');
  return unfinished(random.chance(0.2) ? 'in_progress' : 'open');
}

function tasksFor({ fileType }: Timeline): readonly TaskTemplate[] {
  if (fileType === 'listing' || fileType === 'purchase') return taskTemplates[fileType];
  return taskTemplates[fileType.startsWith('lease') ? 'lease' : 'other'];
}

function makeTasks(deal: Deal, random: Random): TaskRecord[] {
  const { timeline, ids, index, yesterday } = deal;
  const possible = tasksFor(timeline).filter((template) => timeline[template.from] !== null);
  const chosen = random.sample(possible, random.integer(3, 7)).map((template) => {
    const anchor = timeline[template.from] as Day;
    return { template, anchor, due: earlier(addDays(anchor, template.days), timeline.closing ?? '9999-12-31') };
  });
  chosen.sort((a, b) => (a.due < b.due ? -1 : a.due > b.due ? 1 : 0));
  return chosen.map(({ template, anchor, due }, n): TaskRecord => {
    // A task is written down when the file opens or, for what only a contract brings, with the contract.
    const written = template.from === 'closing' ? (timeline.contracted ?? timeline.opened) : anchor;
    const made = earlier(earlier(written, due), yesterday);
    const state = taskState(due, deal, random);
    const done = later(made, earlier(addDays(due, -random.integer(0, 2)), yesterday));
    const completedAt = state.completed ? pacificTime(done, random.integer(9, 16), random.integer(0, 59)) : null;
    const assignee = random.chance(0.7) ? deal.coordinator : deal.agent;
    const touched = later(made, earlier(timeline.ended ?? yesterday, yesterday));
    return {
      id: ids.part(index, n),
      fileId: ids.file(index),
      taskListId: ids.taskList(index),
      assignedToId: assignee.id,
      completedById: state.completed ? assignee.id : null,
      title: template.title,
      description: template.description ?? null,
      ...state,
      priority: template.priority ?? 'normal',
      dueDate: pacificTime(due, 17),
      dueOffset: pacificOffset(due),
      completedAt,
      position: n + 1,
      createdAt: pacificTime(made, 8, random.integer(0, 59), random.integer(0, 59)),
      updatedAt: completedAt ?? pacificTime(touched, 16, random.integer(0, 59)),
    };
  });
}

type ContingencyType = NonNullable<ContingencyRecord['contingencyType']>;

const contingencyTerms: Readonly<
  Record<
    string,
    { name: string; days: number; party: NonNullable<ContingencyRecord['responsibleParty']>; text: string }
  >
> = {
  inspection: {
    name: 'Inspection',
    days: 10,
    party: 'buyer',
    text: 'Buyer may inspect at their expense and approve, ask for repairs, or end the agreement.',
  },
  financing: {
    name: 'Financing',
    days: 21,
    party: 'lender',
    text: 'Buyer obtains a written loan commitment on the agreed terms.',
  },
  appraisal: {
    name: 'Appraisal',
    days: 18,
    party: 'lender',
    text: 'The property appraises at the purchase price or above.',
  },
  title: {
    name: 'Title review',
    days: 8,
    party: 'buyer',
    text: 'Buyer approves the exceptions of the preliminary title report.',
  },
  hoa: {
    name: 'HOA documents',
    days: 9,
    party: 'seller',
    text: 'Seller delivers by-laws, budget, minutes and reserve study.',
  },
  sale_of_home: {
    name: 'Sale of buyer’s home',
    days: 22,
    party: 'buying_agent',
    text: 'Buyer’s present home closes before this one.',
  },
};

function makeContingencies(deal: Deal, isCondo: boolean, random: Random): ContingencyRecord[] {
  const { timeline, ids, index, today, yesterday } = deal;
  const { contracted, closing } = timeline;
  if (!contracted || !closing || timeline.fileType.startsWith('lease')) return [];
  const chances: [ContingencyType, number][] = [
    ['inspection', 0.75],
    ['financing', 0.6],
    ['appraisal', 0.4],
    ['title', 0.25],
    ['hoa', isCondo ? 0.8 : 0],
    ['sale_of_home', 0.07],
  ];
  const wanted = chances.filter(([, chance]) => random.chance(chance)).map(([type]) => type);
  return wanted.map((contingencyType, n): ContingencyRecord => {
    const terms = contingencyTerms[contingencyType] as (typeof contingencyTerms)[string];
    const dueDate = weekday(earlier(addDays(contracted, terms.days + random.integer(-1, 3)), addDays(closing, -4)));
    const isPast = dueDate < (timeline.ended ?? today);
    const status = !isPast
      ? timeline.listingStatus === 'archived'
        ? 'cancelled'
        : timeline.ended
          ? 'satisfied'
          : 'active'
      : random.weighted({ satisfied: 84, waived: 13, expired: timeline.listingStatus === 'archived' ? 30 : 0 });
    const resolvedDate = status === 'active' ? null : earlier(earlier(dueDate, timeline.ended ?? yesterday), yesterday);
    return {
      id: ids.part(index, n),
      fileId: ids.file(index),
      name: terms.name,
      contingencyType,
      status,
      responsibleParty: terms.party,
      startDate: contracted,
      dueDate,
      resolvedDate,
      description: terms.text,
      createdAt: pacificTime(contracted, 12, random.integer(0, 59)),
      updatedAt: pacificTime(later(resolvedDate ?? contracted, contracted), 18, random.integer(0, 59)),
    };
  });
}

type ItemType = NonNullable<CalendarItemRecord['itemType']>;

function makeCalendarItems(
  deal: Deal,
  contingencies: readonly ContingencyRecord[],
  random: Random,
): CalendarItemRecord[] {
  const { timeline, ids, index, today, address: place } = deal;
  const items: CalendarItemRecord[] = [];
  const add = (
    itemType: ItemType,
    title: string,
    day: Day,
    hour: number | null,
    more: Partial<CalendarItemRecord> = {},
  ) => {
    const made = earlier(timeline.contracted ?? timeline.opened, deal.yesterday);
    const wasCalledOff = timeline.listingStatus === 'archived' && day >= (timeline.ended ?? today);
    const isOver = day < today;
    items.push({
      id: ids.part(index, items.length),
      fileId: ids.file(index),
      contingencyId: null,
      taskId: null,
      createdById: deal.coordinator.id,
      title,
      location: null,
      description: null,
      itemType,
      startAt: pacificTime(day, hour ?? 0),
      endAt: hour === null ? pacificTime(addDays(day, 1), 0) : pacificTime(day, hour + 1),
      allDay: hour === null,
      status: wasCalledOff ? 'cancelled' : isOver ? 'done' : 'scheduled',
      createdAt: pacificTime(made, 13, random.integer(0, 59)),
      updatedAt: pacificTime(later(made, earlier(day, deal.yesterday)), 21, random.integer(0, 59)),
      ...more,
    });
  };
  const partner = (type: string) => random.pick(deal.office.partners.get(type) ?? [deal.agent]);
  if (timeline.inspected)
    add('inspection', `Inspection with ${partner('inspector').name}`, timeline.inspected, random.integer(9, 14), {
      location: place.line,
    });
  const deadline = contingencies.find((contingency) => contingency.status === 'active') ?? contingencies[0];
  if (deadline?.dueDate && random.chance(0.5))
    add('deadline', `${deadline.name} contingency ends`, deadline.dueDate, null, { contingencyId: deadline.id });
  if (timeline.closing) {
    if (random.chance(0.35))
      add('walkthrough', 'Final walkthrough', addDays(timeline.closing, -1), 16, { location: place.line });
    if (random.chance(0.3))
      add('signing', `Signing with ${partner('escrow_officer').name}`, weekday(addDays(timeline.closing, -2)), 15);
    add('closing', `Closing: ${place.streetNumber} ${place.streetName}`, timeline.closing, null, {
      description: 'Recording is expected before 3 p.m.; keys after the recording number is known.',
    });
  } else if (timeline.listed && random.chance(0.4)) {
    const saturday = addDays(weekday(addDays(timeline.listed, 5)), random.integer(0, 2));
    add('appointment', 'Open house', saturday, 13, { location: place.line });
  }
  return items;
}

function makeNotes(deal: Deal, random: Random): NoteRecord[] {
  const { timeline, ids, index, yesterday } = deal;
  const span = Math.max(0, daysBetween(timeline.opened, earlier(timeline.ended ?? yesterday, yesterday)));
  const count = Number(random.weighted({ 0: 25, 1: 45, 2: 22, 3: 8 }));
  return Array.from({ length: count }, (_, n): NoteRecord => {
    const written = addDays(timeline.opened, random.integer(0, span));
    const about = random.pick(deal.clients);
    const [subject, text] = random.pick(timeline.contracted && written > timeline.contracted ? shortNotes : earlyNotes);
    const isLong = timeline.contracted !== null && random.chance(0.06);
    const at = pacificTime(written, random.integer(8, 19), random.integer(0, 59), random.integer(0, 59));
    const opening = `${about.firstName} ${about.lastName} — ${deal.address.streetNumber} ${deal.address.streetName}: `;
    return {
      id: ids.part(index, n),
      fileId: ids.file(index),
      contactId: random.chance(0.6) ? about.id : null,
      authorId: random.chance(0.5) ? deal.agent.id : deal.coordinator.id,
      subject: isLong ? 'Everything so far' : subject,
      body: isLong ? longNote(random) : `${random.chance(0.5) ? opening : ''}${text}`,
      visibility: random.chance(0.8) ? 'internal' : 'shared',
      isPinned: random.chance(0.05),
      createdAt: at,
      updatedAt: at,
    };
  });
}
