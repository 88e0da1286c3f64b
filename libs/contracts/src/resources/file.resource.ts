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
    name: string('FSQ'),
    fileNumber: string('FSQ', { description: "The brokerage's own transaction number." }),
    fileType: enumeration(Object.keys(transactionTypeOf) as FileType[], 'FS'),
    listingStatus: enumeration(Object.keys(loopStatusOf) as ListingStatus[], 'FS'),
    status: enumeration(['active', 'closed', 'archived'], 'FS', {
      derived: true,
      description: 'Coarse state: closed when sold, leased or done; archived when archived; else active.',
    }),
    transactionType: string('FS', { derived: true, description: 'fileType in the spelling of the Loop API.' }),
    propertyAddress: string('FSIQ', { description: 'One line: 333 Main St #123, San Francisco, CA 94105.' }),
    streetNumber: string('FSQ'),
    streetName: string('FSQ'),
    unit: string('FSQ'),
    city: string('FSQ'),
    state: string('FSQ'),
    zipCode: string('FSQ'),
    county: string('FSQ'),
    country: string('FSQ'),
    mlsNumber: string('FSQ', { description: 'Joins the file with an MLS feed.' }),
    parcelId: string('FSQ'),
    legalDescription: text('Q'),
    remarks: text('Q'),
    listPrice: number('FSI'),
    originalPrice: number('FS'),
    salePrice: number('FS'),
    earnestMoney: number('FS'),
    commissionTotal: number('FS'),
    listingDate: date('FS'),
    expirationDate: date('FS'),
    offerDate: date('FS'),
    contractDate: date('FS'),
    inspectionDate: date('FS'),
    closingDate: date('FSI'),
    yearBuilt: integer('FS'),
    bedrooms: number('FS'),
    bathrooms: number('FS'),
    squareFeet: number('FS'),
    agentId: integer('FS'),
    coordinatorId: integer('FS'),
    totalTaskCount: integer('FS'),
    completedTaskCount: integer('FS'),
    reviewSubmittedAt: datetime('FS'),
    source: string('FS'),
  },
  derive: {
    status: (file) => coarseStatus(file['listingStatus'] as ListingStatus | null),
    transactionType: (file) => (file['fileType'] === null ? null : transactionTypeOf[file['fileType'] as FileType]),
  },
});
