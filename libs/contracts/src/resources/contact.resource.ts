import { boolean, datetime, defineResource, integer, string, strings } from '../resource';
import { fullName } from './person';

export const contactResource = defineResource({
  name: 'contact',
  collection: 'contacts',
  title: 'contact',
  fields: {
    firstName: string('FSQ', { description: 'First name.' }),
    lastName: string('FSIQ', { description: 'Last name.' }),
    fullName: string('FSQ', { derived: true, description: 'First and last name.' }),
    email: string('FSIQ', { description: 'E-mail address.' }),
    company: string('FSQ', { description: 'Company, trust or estate.' }),
    phone: string('FSQ', { digits: true, description: 'The primary number, as entered.' }),
    mobilePhone: string('FSQ', { digits: true, description: 'Mobile number, as entered.' }),
    homePhone: string('FSQ', { digits: true, description: 'Number at home, as entered.' }),
    officePhone: string('FSQ', { digits: true, description: 'Number at work, as entered.' }),
    fax: string('FSQ', { digits: true, description: 'Fax number, as entered.' }),
    contactType: string('FS', { description: 'The role of the contact, such as buyer or lender.' }),
    address: string('FSQ', { description: 'Street and number.' }),
    city: string('FSQ', { description: 'City or town.' }),
    state: string('FSQ', { description: 'State, two letters.' }),
    zipCode: string('FSQ', { description: 'ZIP code.' }),
    country: string('FSQ', { description: 'Country, two letters.' }),
    ownerUserId: integer('FS', { description: 'The user who looks after the contact; null: the whole Space.' }),
    isActive: boolean('FS', { description: 'False once the contact is put away.' }),
    tags: strings('', { description: 'Free labels.' }),
    lastContactedAt: datetime('FS', { description: 'When somebody last spoke or wrote to them.' }),
  },
  derive: { fullName },
});
