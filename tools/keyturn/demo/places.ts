import type { Random } from './random';

export type State = 'WA' | 'OR' | 'CA';

export interface Town {
  readonly name: string;
  readonly state: State;
  readonly county: string;
  readonly zipCodes: readonly string[];
  readonly areaCode: string;
  /** What an ordinary house of 1,800 square feet sells for, in thousands of dollars. */
  readonly price: number;
}

const towns = (
  state: State,
  rows: readonly (readonly [name: string, county: string, zips: string, areaCode: string, price: number])[],
): Town[] =>
  rows.map(([name, county, zips, areaCode, price]) => ({
    name,
    state,
    county,
    zipCodes: zips.split(' '),
    areaCode,
    price,
  }));

/** Where the brokerage works: real towns with their counties, ZIP and area codes; the houses are made up. */
const washington = towns('WA', [
  ['Seattle', 'King', '98103 98105 98115 98117 98118 98122 98144', '206', 890],
  ['Bellevue', 'King', '98004 98006 98008', '425', 1450],
  ['Redmond', 'King', '98052', '425', 1250],
  ['Kirkland', 'King', '98033 98034', '425', 1180],
  ['Issaquah', 'King', '98027 98029', '425', 1010],
  ['Renton', 'King', '98055 98056 98058', '425', 690],
  ['Bothell', 'King', '98011', '425', 910],
  ['Kent', 'King', '98031 98042', '253', 610],
  ['Tacoma', 'Pierce', '98405 98406 98407', '253', 490],
  ['Puyallup', 'Pierce', '98372 98374', '253', 540],
  ['Gig Harbor', 'Pierce', '98332 98335', '253', 760],
  ['Everett', 'Snohomish', '98201 98203 98208', '425', 600],
  ['Edmonds', 'Snohomish', '98020 98026', '425', 840],
  ['Snohomish', 'Snohomish', '98290', '360', 780],
  ['Olympia', 'Thurston', '98501 98502 98506', '360', 510],
  ['Bellingham', 'Whatcom', '98225 98229', '360', 640],
  ['Mount Vernon', 'Skagit', '98273', '360', 540],
  ['Anacortes', 'Skagit', '98221', '360', 710],
  ['Bainbridge Island', 'Kitsap', '98110', '206', 1190],
  ['Poulsbo', 'Kitsap', '98370', '360', 620],
  ['Port Angeles', 'Clallam', '98362', '360', 420],
  ['Vancouver', 'Clark', '98661 98684', '360', 500],
  ['Camas', 'Clark', '98607', '360', 700],
  ['Leavenworth', 'Chelan', '98826', '509', 680],
  ['Wenatchee', 'Chelan', '98801', '509', 480],
  ['Yakima', 'Yakima', '98902 98908', '509', 360],
  ['Richland', 'Benton', '99352', '509', 460],
  ['Walla Walla', 'Walla Walla', '99362', '509', 410],
  ['Spokane', 'Spokane', '99203 99205 99208', '509', 410],
]);

const oregon = towns('OR', [
  ['Portland', 'Multnomah', '97202 97206 97211 97214 97217', '503', 570],
  ['Gresham', 'Multnomah', '97030 97080', '503', 470],
  ['Beaverton', 'Washington', '97005 97007', '503', 560],
  ['Hillsboro', 'Washington', '97123 97124', '503', 530],
  ['Tigard', 'Washington', '97223', '503', 580],
  ['Lake Oswego', 'Clackamas', '97034 97035', '503', 890],
  ['Oregon City', 'Clackamas', '97045', '503', 560],
  ['McMinnville', 'Yamhill', '97128', '503', 450],
  ['Salem', 'Marion', '97301 97302 97306', '503', 430],
  ['Astoria', 'Clatsop', '97103', '503', 480],
  ['Corvallis', 'Benton', '97330 97333', '541', 520],
  ['Eugene', 'Lane', '97401 97405', '541', 470],
  ['Newport', 'Lincoln', '97365', '541', 470],
  ['Bend', 'Deschutes', '97701 97702', '541', 720],
  ['Hood River', 'Hood River', '97031', '541', 690],
  ['Medford', 'Jackson', '97501 97504', '541', 400],
  ['Ashland', 'Jackson', '97520', '541', 530],
]);

const california = towns('CA', [
  ['San Francisco', 'San Francisco', '94105 94110 94114 94117 94122', '415', 1560],
  ['Oakland', 'Alameda', '94602 94610 94611', '510', 920],
  ['Berkeley', 'Alameda', '94703 94705 94707', '510', 1410],
  ['San Jose', 'Santa Clara', '95112 95125 95128', '408', 1390],
  ['Palo Alto', 'Santa Clara', '94301 94306', '650', 3100],
  ['Santa Cruz', 'Santa Cruz', '95060 95062', '831', 1250],
  ['Monterey', 'Monterey', '93940', '831', 1180],
  ['Petaluma', 'Sonoma', '94952 94954', '707', 890],
  ['Santa Rosa', 'Sonoma', '95404 95405', '707', 740],
  ['Napa', 'Napa', '94558 94559', '707', 890],
  ['Davis', 'Yolo', '95616 95618', '530', 830],
  ['Sacramento', 'Sacramento', '95816 95819 95825', '916', 560],
  ['Truckee', 'Nevada', '96161', '530', 1090],
  ['Chico', 'Butte', '95926 95928', '530', 450],
  ['Redding', 'Shasta', '96001 96003', '530', 380],
  ['Eureka', 'Humboldt', '95501 95503', '707', 400],
  ['Fresno', 'Fresno', '93704 93720', '559', 410],
  ['San Luis Obispo', 'San Luis Obispo', '93401 93405', '805', 930],
  ['Santa Barbara', 'Santa Barbara', '93101 93105', '805', 1750],
  ['Ventura', 'Ventura', '93001 93003', '805', 880],
  ['Pasadena', 'Los Angeles', '91101 91104 91107', '626', 1180],
  ['Los Angeles', 'Los Angeles', '90026 90039 90042 90065', '323', 1130],
  ['Long Beach', 'Los Angeles', '90803 90808', '562', 870],
  ['San Diego', 'San Diego', '92103 92104 92116', '619', 1010],
  ['Encinitas', 'San Diego', '92024', '760', 1680],
]);

export const placesByState: Readonly<Record<State, readonly Town[]>> = { WA: washington, OR: oregon, CA: california };

const streets: Readonly<Record<State, readonly string[]>> = {
  WA: [
    ...[
      'Aurora Ave N',
      'Fremont Ave N',
      'Rainier Ave S',
      'Cedar Park Ave NE',
      'Alki Ave SW',
      'Harbor View Dr',
      'Tolt Ave',
    ],
    ...[
      'Evergreen Way',
      'Sunset Beach Rd',
      'Juniper Ridge Ct',
      'Old Mill Ln',
      'Salmon Creek Rd',
      'Larch Way',
      'Madrona Dr',
    ],
  ],
  OR: [
    ...['SE Hawthorne Blvd', 'NE Alberta St', 'SW Vermont St', 'N Willamette Blvd', 'NW Thurman St', 'Filbert Ln'],
    ...[
      'Rogue River Dr',
      'Hazelnut Ct',
      'Three Sisters Way',
      'Oak Knoll Dr',
      'Pioneer Loop',
      'Larkspur Ave',
      'Mill Race Rd',
    ],
  ],
  CA: [
    ...['Alameda Ave', 'Camino del Río', 'Valencia St', 'Telegraph Ave', 'El Camino Real', 'Manzanita Dr', 'Cañon Dr'],
    ...['Vista del Mar', 'Redwood Rd', 'Jacaranda Ct', 'Peñasquitos Ct', 'Orchard Ln', 'Mission St', 'Bay Laurel Way'],
  ],
};

const everywhere = [
  'Main St',
  'Maple St',
  'Park Ave',
  'Lake St',
  'Hillcrest Dr',
  'Highland Ave',
  'Church St',
  '2nd St',
];
const quadrants = ['NE', 'NW', 'SE', 'SW', 'N', 'S', 'E', 'W'];

const ordinal = (n: number) => {
  const teen = n % 100 >= 11 && n % 100 <= 13;
  return `${n}${teen ? 'th' : (['th', 'st', 'nd', 'rd'][n % 10] ?? 'th')}`;
};

/** Washington's towns number their avenues and say which quadrant; the others name most of theirs. */
function streetName(state: State, random: Random): string {
  if (random.chance(state === 'WA' ? 0.4 : 0.1))
    return `${ordinal(random.integer(1, 148))} ${random.pick(['Ave', 'St', 'Pl'])} ${random.pick(quadrants)}`;
  return random.chance(0.7) ? random.pick(streets[state]) : random.pick(everywhere);
}

export interface Address {
  readonly town: Town;
  readonly streetNumber: string;
  readonly streetName: string;
  readonly unit: string | null;
  readonly zipCode: string;
  /** `333 Main St #123, San Francisco, CA 94105` */
  readonly line: string;
}

export function address(town: Town, hasUnit: boolean, random: Random): Address {
  const streetNumber = String(random.chance(0.5) ? random.integer(101, 999) : random.integer(1000, 19999));
  const street = streetName(town.state, random);
  const unit = hasUnit ? (random.chance(0.7) ? String(random.integer(101, 1812)) : `${random.integer(1, 24)}B`) : null;
  const zipCode = random.pick(town.zipCodes);
  const line = `${streetNumber} ${street}${unit ? ` #${unit}` : ''}, ${town.name}, ${town.state} ${zipCode}`;
  return { town, streetNumber, streetName: street, unit, zipCode, line };
}
