import { date, defineResource, enumeration, integer, string, text } from '../resource';

export const contingencyResource = defineResource({
  name: 'contingency',
  collection: 'contingencies',
  title: 'contingency',
  fields: {
    fileId: integer('FSI'),
    name: string('FSQ'),
    contingencyType: enumeration(
      ['inspection', 'financing', 'appraisal', 'title', 'sale_of_home', 'hoa', 'insurance', 'other'],
      'FS',
    ),
    status: enumeration(['active', 'satisfied', 'waived', 'expired', 'cancelled'], 'FS'),
    responsibleParty: enumeration(['buyer', 'seller', 'listing_agent', 'buying_agent', 'lender', 'other'], 'FS'),
    startDate: date('FS'),
    dueDate: date('FSI'),
    resolvedDate: date('FS'),
    description: text('Q'),
  },
});
