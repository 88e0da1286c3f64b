import type { Random } from './random';

/** The sentences of the demo: what agents and coordinators would have typed. */

export const remarks = [
  'Light-filled rooms, refinished oak floors and a kitchen that opens to the deck.',
  'Corner lot with mature fruit trees; the seller has kept every receipt since 1998.',
  'Mid-century bones, new roof (2021), heat pump and 200-amp panel.',
  'Walk to coffee, the library and the light-rail stop.',
  'Peek-a-boo water view from the primary suite.',
  'Detached studio with its own entrance — office, guests or rental income.',
  'Daylight basement with a second kitchen; zoned for an ADU.',
  'Quiet cul-de-sac, fenced yard, raised beds & a workshop with 240 V.',
  'South-facing terrace, gas range, walk-in pantry and a proper mudroom.',
  'Pre-inspected; report available upon request. Offers reviewed as they come.',
] as const;

type NoteText = readonly [subject: string, text: string];

/** Short notes: what they are about, and what was written. */
export const shortNotes: readonly NoteText[] = [
  ['Repairs', 'Buyer asked for a credit instead of repairs; seller countered at half and we settled the same evening.'],
  ['Sewer scope', 'Sewer scope is clean. The chimney needs a liner — two bids attached to the file.'],
  ['Appraisal', 'Appraisal came in at value. Lender expects final approval by the end of the week.'],
  ['HOA documents', 'HOA documents received; the reserve study is from 2019, so I asked for the newer one.'],
  ['Title question', 'Title shows an old deed of trust that was never reconveyed. Escrow is chasing it.'],
  ['Radon', 'Radon test is 2.1 pCi/L, below the action level. No mitigation needed.'],
  ['Earnest money', 'Earnest money is in — receipt saved under “Escrow”.'],
  ['Possession', 'Seller can give early access to the garage from the weekend on.'],
  ['Lender update', 'Lender moved the lock; the new rate holds until three days after closing.'],
  ['Walkthrough', 'Walkthrough done, everything as agreed. Range hood filter replaced ✔'],
];

/** The same for files that have no contract (yet). */
export const earlyNotes: readonly NoteText[] = [
  ['How to reach them', 'Client prefers texts before 9 a.m. and e-mail after that.'],
  ['Visit', 'They fly in on Thursday and would like to measure for curtains 🙂'],
  ['First call', 'Talked through timing and fees; agreement goes out tonight in English and en español.'],
  ['Comparables', 'Three good comparables within half a mile; the best of them is smaller by 140 ft².'],
  ['Referral', 'Came through the Öberg family — remember the thank-you card.'],
  ['Documents', 'Signed in counterparts; the wet-ink originals are with the notary in Olympia.'],
];

const paragraphs = [
  'Went through the whole file with both clients today, about ninety minutes. They are comfortable with the price and with the timeline, and what worries them is mainly the move itself: their present lease ends four days before possession. I said I would ask the other side for early possession of the garage so that boxes can go in, and that we would put it in writing as an addendum, with insurance on our side.',
  'On the inspection report (41 pages, page 7 has the summary): the inspector lists two safety items, nine repairs and a long tail of maintenance. Safety first — the missing GFCI protection near the kitchen sink, and the deck ledger that is nailed rather than bolted. For the rest I suggested to ask for a credit, because repairs done in a hurry before closing are seldom done well.',
  'The lender’s list of conditions has three lines left: the letter of explanation for the deposit of $18,250 in January (a bonus; the stub is in the folder), proof of the hazard insurance with the mortgagee clause exactly as they wrote it, and the final verification of employment, which they do themselves within ten days of closing.',
  'Title: exceptions 1–8 are the usual ones. Exception 9 is an easement from 1962 for “the passage of cattle”, which the title officer will delete with an affidavit. Exception 10, the driveway agreement with the neighbour at the north, is real and stays; I sent the recorded copy and a sketch, and the clients have understood what it means for a fence.',
  'Money, to keep it in one place: earnest money is held by escrow; the credit for repairs goes against closing costs and must not exceed them, otherwise the lender cuts it; the HOA wants a transfer fee of $375.50 and two months in advance. Utilities: the electricity changes on the day of recording, water stays with the seller until the final reading.',
  'Next steps: (1) coordinator orders the resale certificate; (2) I confirm the signing with the mobile notary, Thursday 4 p.m., both will be there, Señora Núñez joins by video; (3) the clients wire no later than Wednesday noon and call escrow on the known number first — no wiring instructions by e-mail, whatever anybody says.',
  'They also asked about the fig tree. It is not listed as excluded, so it stays. The seller is sentimental about it; our clients offered cuttings in autumn, and with that everybody was happy. I mention it here because it came up three times and will come up again.',
] as const;

/** A few thousand characters: the note that somebody dictated in the car. */
export function longNote(random: Random): string {
  return random.sample(paragraphs, random.integer(4, paragraphs.length)).join('\n\n');
}

/** When a task is due, counted from a day of the timeline. */
export interface TaskTemplate {
  readonly title: string;
  readonly from: 'opened' | 'listed' | 'contracted' | 'closing';
  readonly days: number;
  readonly description?: string;
  readonly priority?: 'low' | 'high';
}

const closingTasks: readonly TaskTemplate[] = [
  { title: 'Confirm earnest money receipt with escrow', from: 'contracted', days: 3, priority: 'high' },
  { title: 'Send signed purchase agreement to escrow and lender', from: 'contracted', days: 1 },
  { title: 'Review preliminary title report', from: 'contracted', days: 7 },
  {
    title: 'Collect repair addendum signatures',
    from: 'contracted',
    days: 12,
    description: 'All parties sign; upload the executed copy and tell the lender.',
  },
  { title: 'Check settlement statement', from: 'closing', days: -3, priority: 'high' },
  { title: 'Confirm wire instructions by phone', from: 'closing', days: -2, priority: 'high' },
  { title: 'Arrange key handover', from: 'closing', days: 0 },
];

export const taskTemplates: Readonly<Record<'listing' | 'purchase' | 'lease' | 'other', readonly TaskTemplate[]>> = {
  listing: [
    { title: 'Collect signed listing agreement', from: 'opened', days: 2, priority: 'high' },
    { title: 'Get seller disclosure statement (Form 17)', from: 'opened', days: 4 },
    { title: 'Book photographer & floor plan', from: 'opened', days: 5, priority: 'low' },
    { title: 'Publish listing to MLS', from: 'listed', days: 0, priority: 'high' },
    { title: 'Put up sign and lockbox', from: 'listed', days: 1, priority: 'low' },
    { title: 'Send first showing report to seller', from: 'listed', days: 10 },
    ...closingTasks,
  ],
  purchase: [
    { title: 'Collect buyer agency agreement', from: 'opened', days: 1, priority: 'high' },
    { title: 'File pre-approval letter', from: 'opened', days: 2 },
    { title: 'Book home inspection', from: 'contracted', days: 4, priority: 'high' },
    { title: 'Order appraisal through lender', from: 'contracted', days: 8 },
    { title: 'Buyer binds homeowner’s insurance', from: 'closing', days: -9 },
    { title: 'Schedule final walkthrough', from: 'closing', days: -4 },
    ...closingTasks,
  ],
  lease: [
    { title: 'Run tenant screening', from: 'opened', days: 2, priority: 'high' },
    { title: 'Draft lease agreement', from: 'contracted', days: 1 },
    { title: 'Collect deposit and first month', from: 'contracted', days: 4, priority: 'high' },
    { title: 'Move-in inspection with photos', from: 'closing', days: 0 },
  ],
  other: [
    { title: 'Open file and confirm scope', from: 'opened', days: 1 },
    { title: 'Collect authorisations', from: 'opened', days: 5 },
    { title: 'Deliver broker price opinion', from: 'opened', days: 9, priority: 'high' },
  ],
};
