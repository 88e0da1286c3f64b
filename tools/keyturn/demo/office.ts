import { addDays, type Day, pacificTime } from './day';
import { mailbox, officeNumber, personName, type PersonName, phoneNumber } from './names';
import { address, placesByState, type State, type Town } from './places';
import { Random } from './random';
import { type ContactRecord, Ids, type UserRecord } from './records';

export const brokerage = 'Tidewater North Realty';

/** People who work on a file, by what a file needs to know of them. */
export interface Person {
  readonly id: number;
  readonly name: string;
}

export interface Office {
  readonly number: number;
  readonly state: State;
  readonly towns: readonly Town[];
  readonly users: readonly UserRecord[];
  readonly contacts: readonly ContactRecord[];
  readonly agents: readonly Person[];
  readonly coordinators: readonly Person[];
  /** The office's own lenders, escrow officers and so on, by contact type. */
  readonly partners: ReadonlyMap<string, readonly Person[]>;
}

/** The first three offices show all three states; where the others are is chance. */
const firstStates: readonly State[] = ['WA', 'CA', 'OR'];

const staff: Readonly<Record<'first' | 'other', readonly NonNullable<UserRecord['role']>[]>> = {
  first: [
    ...(['owner', 'admin', 'coordinator', 'coordinator', 'assistant'] as const),
    ...(['agent', 'agent', 'agent', 'agent', 'agent', 'agent', 'agent', 'agent'] as const),
  ],
  other: [
    ...(['coordinator', 'coordinator', 'assistant'] as const),
    ...(['agent', 'agent', 'agent', 'agent', 'agent', 'agent', 'agent'] as const),
  ],
};

const titles: Readonly<Record<string, readonly string[]>> = {
  owner: ['Designated Broker'],
  admin: ['Operations Manager'],
  coordinator: ['Transaction Coordinator', 'Senior Transaction Coordinator'],
  assistant: ['Team Assistant'],
  agent: ['Broker', 'Associate Broker', 'Realtor®', 'Managing Broker'],
};

const partnerCompanies: Readonly<Record<string, readonly string[]>> = {
  lender: ['Cedar & Main Mortgage', 'Harborstone Home Loans', 'Three Rivers Lending'],
  escrow_officer: ['Old Growth Title & Escrow', 'Meridian Escrow Co.', 'Golden Poppy Title'],
  inspector: ['Plumb & Level Inspections', 'Clear View Home Inspection', 'Foundation First, LLC'],
  appraiser: ['Benchmark Appraisal Group', 'Sound Valuation'],
  cooperating_agent: ['Ferry Street Homes', 'Bluebird Properties', 'Pacific Crest Realty', 'Marée & Co. Real Estate'],
  attorney: ['Whitcomb Núñez LLP'],
};

function licenseNumber(state: State, random: Random): string {
  if (state === 'CA') return `DRE 0${random.integer(1_200_000, 2_249_999)}`;
  return state === 'OR' ? `20${random.integer(1_010_000, 2_499_999)}` : String(random.integer(21_000, 149_999));
}

/** Looks like what a password store keeps, opens nothing: it is never derived from a password. */
function passwordHash(random: Random): string {
  const letters = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/';
  const text = (length: number) => Array.from({ length }, () => random.pick([...letters])).join('');
  return `$scrypt$ln=15,r=8,p=1$${text(22)}$${text(43)}`;
}

const fullName = ({ firstName, lastName }: PersonName) => `${firstName} ${lastName}`;

export function makeOffice(seed: number, number: number, today: Day): Office {
  const random = new Random(seed, 'office', number);
  const ids = new Ids(seed);
  const state = firstStates[number] ?? random.weighted<State>({ WA: 45, OR: 25, CA: 30 });
  const towns = random.sample(placesByState[state], 9);
  const town = random.pick(towns);
  const mailboxes = new Set<string>();

  const users = staff[number === 0 ? 'first' : 'other'].map((role, n): UserRecord => {
    const name = personName(random);
    const hired = addDays(today, -random.integer(800, 3200));
    const isLicensed = role === 'owner' || role === 'agent';
    const plain = mailbox(name, `staff${number}-${n}`);
    const box = mailboxes.has(plain) || number > 0 ? `${plain}${number || ''}${mailboxes.has(plain) ? n : ''}` : plain;
    mailboxes.add(plain);
    const isActive = role !== 'agent' || n !== staff[number === 0 ? 'first' : 'other'].length - 1;
    return {
      id: ids.user(number, n),
      ...name,
      email: `${box}@tidewaternorth.example`,
      phone: phoneNumber(town.areaCode, random),
      title: random.pick(titles[role] ?? []),
      role,
      licenseNumber: isLicensed ? licenseNumber(state, random) : null,
      brokerage,
      licenseState: isLicensed ? state : null,
      timezone: 'America/Los_Angeles',
      isActive,
      avatarUrl: random.chance(0.5) ? `https://tidewaternorth.example/people/${box}.jpg` : null,
      lastLoginAt: isActive ? pacificTime(addDays(today, -random.integer(1, 9)), random.integer(7, 19), 12) : null,
      passwordHash: passwordHash(random),
      createdAt: pacificTime(hired, 9, random.integer(0, 59)),
      updatedAt: pacificTime(addDays(today, -random.integer(1, 90)), 10, random.integer(0, 59)),
    };
  });

  const partners = new Map<string, Person[]>();
  const contacts = Object.entries(partnerCompanies).flatMap(([contactType, companies]) =>
    companies.map((company) => ({ contactType, company })),
  );
  const partnerRecords = contacts.map(({ contactType, company }, n): ContactRecord => {
    const name = personName(random);
    const place = random.pick(towns);
    const at = address(place, true, random);
    const known = addDays(today, -random.integer(720, 2000));
    const id = ids.officeContact(number, n);
    partners.set(contactType, [...(partners.get(contactType) ?? []), { id, name: fullName(name) }]);
    const domain = company
      .normalize('NFD')
      .toLowerCase()
      .replaceAll(/[^a-z]/g, '');
    return {
      id,
      ...name,
      email: `${mailbox(name, 'office')}@${domain}.example`,
      company,
      // The number that the API's documentation looks up belongs to somebody.
      phone: number === 0 && n === 0 ? '(206) 555-1234' : phoneNumber(place.areaCode, random),
      mobilePhone: random.chance(0.6) ? phoneNumber(place.areaCode, random) : null,
      homePhone: null,
      officePhone: officeNumber(place.areaCode, random),
      fax: random.chance(0.3) ? phoneNumber(place.areaCode, random) : null,
      contactType,
      address: `${at.streetNumber} ${at.streetName}, Suite ${random.integer(100, 900)}`,
      city: place.name,
      state: place.state,
      zipCode: at.zipCode,
      country: 'US',
      ownerUserId: null,
      isActive: true,
      tags: random.chance(0.4) ? ['preferred'] : [],
      lastContactedAt: pacificTime(addDays(today, -random.integer(1, 60)), 14, random.integer(0, 59)),
      createdAt: pacificTime(known, 11, random.integer(0, 59)),
      updatedAt: pacificTime(addDays(today, -random.integer(1, 200)), 15, random.integer(0, 59)),
    };
  });

  const people = (role: string) =>
    users
      .filter((user) => user.role === role && user.isActive)
      .map((user) => ({ id: user.id, name: `${user.firstName} ${user.lastName}` }));

  return {
    number,
    state,
    towns,
    users,
    contacts: partnerRecords,
    agents: people('agent'),
    coordinators: people('coordinator'),
    partners,
  };
}
