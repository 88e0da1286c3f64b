import { boolean, datetime, defineResource, enumeration, string } from '../resource';
import { fullName } from './person';

/** People of the Space. Those whose role is `agent` are also the collection `/agents` (T-060). */
export const userResource = defineResource({
  name: 'user',
  collection: 'users',
  title: 'user',
  fields: {
    firstName: string('FSQ'),
    lastName: string('FSIQ'),
    fullName: string('FSQ', { derived: true, description: 'First and last name.' }),
    email: string('FSIQ'),
    phone: string('FSQ'),
    title: string('FSQ'),
    role: enumeration(['owner', 'admin', 'coordinator', 'agent', 'assistant'], 'FS'),
    licenseNumber: string('FSQ'),
    brokerage: string('FSQ'),
    licenseState: string('FS'),
    timezone: string('FS'),
    isActive: boolean('FS'),
    avatarUrl: string(''),
    lastLoginAt: datetime('FS'),
    passwordHash: string('', { sensitive: true }),
  },
  views: [{ collection: 'agents', field: 'role', equals: 'agent' }],
  derive: { fullName },
});
