import { boolean, datetime, defineResource, enumeration, string } from '../resource';
import { fullName } from './person';

/** People of the Space. Those whose role is `agent` are also the collection `/agents` (T-060). */
export const userResource = defineResource({
  name: 'user',
  collection: 'users',
  title: 'user',
  fields: {
    firstName: string('FSQ', { description: 'First name.' }),
    lastName: string('FSIQ', { description: 'Last name.' }),
    fullName: string('FSQ', { derived: true, description: 'First and last name.' }),
    email: string('FSIQ', { description: 'E-mail address.' }),
    phone: string('FSQ', { description: 'Telephone number, as entered.' }),
    title: string('FSQ', { description: 'Job title.' }),
    role: enumeration(['owner', 'admin', 'coordinator', 'agent', 'assistant'], 'FS', {
      description: 'What the user does in the Space. Agents are also the collection /agents.',
    }),
    licenseNumber: string('FSQ', { description: 'Number of the real-estate licence.' }),
    brokerage: string('FSQ', { description: 'The firm that the licence hangs with.' }),
    licenseState: string('FS', { description: 'State of the licence, two letters.' }),
    timezone: string('FS', { description: 'IANA name, such as America/Los_Angeles.' }),
    isActive: boolean('FS', { description: 'False once the user has left.' }),
    avatarUrl: string('', { description: 'Picture.' }),
    lastLoginAt: datetime('FS', { description: 'When the user last signed in.' }),
    passwordHash: string('', { sensitive: true }),
  },
  views: [{ collection: 'agents', field: 'role', equals: 'agent' }],
  derive: { fullName },
});
