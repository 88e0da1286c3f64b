import { date, datetime, defineResource, enumeration, integer, number, string, text } from '../resource';

/** v1 `fileType` ↔ v2 transaction type; bijective, so nothing is lost (CONTRACT §2.3). */
export const transactionTypeOf = {
  purchase: 'PURCHASE_OFFER',
  listing: 'LISTING_FOR_SALE',
  lease_listing: 'LISTING_FOR_LEASE',
  lease: 'LEASE_OFFER',
  real_estate_other: 'REAL_ESTATE_OTHER',
  other: 'OTHER',
} as const;

/** v1 `listingStatus` ↔ v2 loop status; bijective (CONTRACT §2.3). */
export const loopStatusOf = {
  pre_offer: 'PRE_OFFER',
  pre_listing: 'PRE_LISTING',
  private_listing: 'PRIVATE_LISTING',
  active: 'ACTIVE_LISTING',
  under_contract: 'UNDER_CONTRACT',
  sold: 'SOLD',
  leased: 'LEASED',
  new: 'NEW',
  in_progress: 'IN_PROGRESS',
  done: 'DONE',
  archived: 'ARCHIVED',
} as const;

export type FileType = keyof typeof transactionTypeOf;
export type ListingStatus = keyof typeof loopStatusOf;

/** The coarse state that `status=active` filters by (T-075). */
export function coarseStatus(listingStatus: ListingStatus | null): 'active' | 'closed' | 'archived' {
  if (listingStatus === 'sold' || listingStatus === 'leased' || listingStatus === 'done') return 'closed';
  return listingStatus === 'archived' ? 'archived' : 'active';
}

/** A transaction file; the same row is a loop on the Loop API. */
export const fileResource = defineResource({
  name: 'file',
  collection: 'files',
  title: 'file',
  fields: {
    name: string('FSQ', { description: 'What the brokerage calls the file, often the address and the clients.' }),
    fileNumber: string('FSQ', { description: "The brokerage's own transaction number." }),
    fileType: enumeration(Object.keys(transactionTypeOf) as FileType[], 'FS', {
      description: 'What kind of transaction it is.',
    }),
    listingStatus: enumeration(Object.keys(loopStatusOf) as ListingStatus[], 'FS', {
      description: 'Where the transaction stands.',
    }),
    status: enumeration(['active', 'closed', 'archived'], 'FS', {
      derived: true,
      description: 'Coarse state: closed when sold, leased or done; archived when archived; else active.',
    }),
    transactionType: string('FS', { derived: true, description: 'fileType in the spelling of the Loop API.' }),
    propertyAddress: string('FSIQ', { description: 'One line: 333 Main St #123, San Francisco, CA 94105.' }),
    streetNumber: string('FSQ', { description: 'House number.' }),
    streetName: string('FSQ', { description: 'Street, with its suffix and direction.' }),
    unit: string('FSQ', { description: 'Flat, suite or lot, without the #.' }),
    city: string('FSQ', { description: 'City or town.' }),
    state: string('FSQ', { description: 'State, two letters.' }),
    zipCode: string('FSQ', { description: 'ZIP code.' }),
    county: string('FSQ', { description: 'County.' }),
    country: string('FSQ', { description: 'Country, two letters.' }),
    mlsNumber: string('FSQ', { description: 'Joins the file with an MLS feed.' }),
    parcelId: string('FSQ', { description: "The assessor's parcel number." }),
    legalDescription: text('Q', { description: 'The legal description of the land.' }),
    remarks: text('Q', { description: 'What the listing says about the property.' }),
    listPrice: number('FSI', { description: 'Asking price in dollars, or rent a month for a lease.' }),
    originalPrice: number('FS', { description: 'The first asking price.' }),
    salePrice: number('FS', { description: 'The agreed price.' }),
    earnestMoney: number('FS', { description: 'Deposit of the buyer.' }),
    commissionTotal: number('FS', { description: 'Commission of our side in dollars.' }),
    listingDate: date('FS', { description: 'Day on which the listing began.' }),
    expirationDate: date('FS', { description: 'Day on which the listing agreement ends.' }),
    offerDate: date('FS', { description: 'Day of the offer that was accepted.' }),
    contractDate: date('FS', { description: 'Day of mutual acceptance.' }),
    inspectionDate: date('FS', { description: 'Day of the inspection.' }),
    closingDate: date('FSI', { description: 'Day of closing, planned or past.' }),
    yearBuilt: integer('FS', { description: 'Year of construction.' }),
    bedrooms: number('FS', { description: 'Number of bedrooms.' }),
    bathrooms: number('FS', { description: 'Number of bathrooms; 1.75 is usual.' }),
    squareFeet: number('FS', { description: 'Living area.' }),
    agentId: integer('FS', { description: 'The agent: a user.' }),
    coordinatorId: integer('FS', { description: 'The transaction coordinator: a user.' }),
    totalTaskCount: integer('FS', { description: 'Tasks of the file.' }),
    completedTaskCount: integer('FS', { description: 'Those of them that are completed.' }),
    reviewSubmittedAt: datetime('FS', { description: "When the file was handed in for the broker's review." }),
    source: string('FS', { description: 'How the file came to the brokerage.' }),
  },
  derive: {
    status: (file) => coarseStatus(file['listingStatus'] as ListingStatus | null),
    transactionType: (file) => (file['fileType'] === null ? null : transactionTypeOf[file['fileType'] as FileType]),
  },
});
