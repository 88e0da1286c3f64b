import { boolean, datetime, defineResource, integer, string, strings } from '../resource';
import { fullName } from './person';

export const contactResource = defineResource({
  name: 'contact',
  collection: 'contacts',
  title: 'contact',
  fields: {
    firstName: string('FSQ'),
    lastName: string('FSIQ'),
    fullName: string('FSQ', { derived: true, description: 'First and last name.' }),
    email: string('FSIQ'),
    company: string('FSQ'),
    phone: string('FSQ', { digits: true, description: 'The primary number, as entered.' }),
    mobilePhone: string('FSQ', { digits: true }),
    homePhone: string('FSQ', { digits: true }),
    officePhone: string('FSQ', { digits: true }),
    fax: string('FSQ', { digits: true }),
    contactType: string('FS', { description: 'The role of the contact, such as buyer or lender.' }),
    address: string('FSQ'),
    city: string('FSQ'),
    state: string('FSQ'),
    zipCode: string('FSQ'),
    country: string('FSQ'),
    ownerUserId: integer('FS'),
    isActive: boolean('FS'),
    tags: strings(''),
    lastContactedAt: datetime('FS'),
  },
  derive: { fullName },
});
