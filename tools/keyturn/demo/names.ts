import type { Random } from './random';

/** First and last names by where they come from, so that they go together most of the time. */
const pools: readonly {
  readonly first: readonly string[];
  readonly last: readonly string[];
  readonly weight: number;
}[] = [
  {
    weight: 52,
    first: [
      ...['Emily', 'James', 'Olivia', 'Michael', 'Hannah', 'Robert', 'Megan', 'Daniel', 'Rachel', 'Andrew', 'Claire'],
      ...['Thomas', 'Grace', 'Ethan', 'Abigail', 'Nathan', 'Lauren', 'Patrick', 'Erin', 'Scott', 'Kelly', 'Marcus'],
      ...['Denise', 'Tyrone', 'Latisha', 'Walter', 'Joan', 'Gordon', 'Beverly', 'Curtis', 'Zoë', 'Chloë', 'Noël'],
    ],
    last: [
      ...['Smith', 'Johnson', 'Anderson', 'Miller', 'Wilson', 'Taylor', 'Moore', 'Clark', 'Lewis', 'Walker', 'Young'],
      ...['Hall', 'Wright', 'Baker', 'Nelson', 'Carter', 'Mitchell', 'Roberts', 'Turner', 'Phillips', 'Campbell'],
      ...["O'Brien", "O'Connor", 'McKenzie', 'Whitfield-Jones', 'Washington', 'Jefferson', 'Brooks', 'Pugh'],
    ],
  },
  {
    weight: 16,
    first: [
      'María',
      'José',
      'Sofía',
      'Luis',
      'Lucía',
      'Andrés',
      'Inés',
      'Raúl',
      'Carmen',
      'Joaquín',
      'Begoña',
      'Íñigo',
    ],
    last: [
      'García',
      'Martínez',
      'Hernández',
      'López',
      'Núñez',
      'Ibáñez',
      'Santos',
      'Gutiérrez',
      'Peña',
      'Romero',
      'Ávila',
    ],
  },
  {
    weight: 10,
    first: ['Linh', 'Minh', 'Thảo', 'Dũng', 'Hương', 'Quân', 'Phương', 'Tuấn'],
    last: ['Nguyễn', 'Trần', 'Lê', 'Phạm', 'Đặng', 'Vũ', 'Bùi'],
  },
  {
    weight: 9,
    first: ['Wei', 'Mei', 'Jun', 'Hana', 'Kenji', 'Aiko', 'Min-jun', 'Ji-woo', 'Xiu', 'Haruto'],
    last: ['Chen', 'Wang', 'Lin', 'Tanaka', 'Watanabe', 'Kim', 'Park', 'Liu', 'Sato', 'Huang'],
  },
  {
    weight: 6,
    first: ['Priya', 'Arjun', 'Ananya', 'Rohan', 'Kavita', 'Sanjay', 'Fatima', 'Omar', 'Leila', 'Yusuf'],
    last: ['Patel', 'Sharma', 'Iyer', 'Reddy', 'Singh', 'Kaur', 'Hassan', 'Al-Farsi', 'Rahimi'],
  },
  {
    weight: 5,
    first: ['Łukasz', 'Małgorzata', 'Søren', 'Åsa', 'Jürgen', 'Françoise', 'Zoltán', 'Đorđe', 'Jiří', 'Božena'],
    last: ['Wójcik', 'Kowalska', 'Sørensen', 'Öberg', 'Müller', 'Lefèvre', 'Szabó', 'Petrović', 'Dvořák', 'Nováková'],
  },
  {
    weight: 2,
    first: ['美咲', 'Ольга', '志明', 'محمد', '지우', 'Κατερίνα'],
    last: ['田中', 'Кузнецова', '陳', 'الحسن', '김', 'Παπαδοπούλου'],
  },
];

export interface PersonName {
  readonly firstName: string;
  readonly lastName: string;
}

const totalWeight = pools.reduce((sum, pool) => sum + pool.weight, 0);

export function personName(random: Random): PersonName {
  let rest = random.next() * totalWeight;
  const pool = pools.find(({ weight }) => (rest -= weight) < 0) ?? (pools[0] as (typeof pools)[number]);
  return { firstName: random.pick(pool.first), lastName: random.pick(pool.last) };
}

/** The name as mail addresses spell it; a name without Latin letters has nothing to offer and falls back. */
export function mailbox(name: PersonName, fallback: string): string {
  const plain = (part: string) =>
    part
      .replaceAll(/[Łł]/g, 'l')
      .replaceAll(/[Đđ]/g, 'd')
      .replaceAll(/[Øø]/g, 'o')
      .normalize('NFD')
      .toLowerCase()
      .replaceAll(/[^a-z]/g, '');
  const parts = [plain(name.firstName), plain(name.lastName)].filter(Boolean);
  return parts.length === 2 ? parts.join('.') : fallback;
}

/** How people write the same kind of number; the exchange 555 belongs to nobody. */
const phoneFormats: readonly ((area: string, line: string) => string)[] = [
  (area, line) => `(${area}) 555-${line}`,
  (area, line) => `${area}-555-${line}`,
  (area, line) => `${area}.555.${line}`,
  (area, line) => `${area}555${line}`,
  (area, line) => `+1 ${area}-555-${line}`,
  (area, line) => `+1${area}555${line}`,
  (area, line) => `1 (${area}) 555-${line}`,
];

export function phoneNumber(area: string, random: Random): string {
  const line = String(random.integer(0, 9999)).padStart(4, '0');
  return random.pick(phoneFormats)(area, line);
}

/** A number at work, often with an extension behind it. */
export function officeNumber(area: string, random: Random): string {
  const number = phoneNumber(area, random);
  if (random.chance(0.5)) return number;
  return `${number}${random.pick([' x', ' ext. ', ' Ext '])}${random.integer(2, 499)}`;
}
