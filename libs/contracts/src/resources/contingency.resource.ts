import { date, defineResource, enumeration, integer, string, text } from '../resource';

export const contingencyResource = defineResource({
  name: 'contingency',
  collection: 'contingencies',
  title: 'contingency',
  fields: {
    fileId: integer('FSI', { description: 'The file it belongs to.' }),
    name: string('FSQ', { description: 'What people call it.' }),
    contingencyType: enumeration(
      ['inspection', 'financing', 'appraisal', 'title', 'sale_of_home', 'hoa', 'insurance', 'other'],
      'FS',
      { description: 'What the contract depends on.' },
    ),
    status: enumeration(['active', 'satisfied', 'waived', 'expired', 'cancelled'], 'FS', {
      description: 'Where it stands.',
    }),
    responsibleParty: enumeration(['buyer', 'seller', 'listing_agent', 'buying_agent', 'lender', 'other'], 'FS', {
      description: 'Who has to act.',
    }),
    startDate: date('FS', { description: 'Day from which it runs.' }),
    dueDate: date('FSI', { description: 'Last day to act.' }),
    resolvedDate: date('FS', { description: 'Day on which it was satisfied, waived or given up.' }),
    description: text('Q', { description: 'Its terms.' }),
  },
});
