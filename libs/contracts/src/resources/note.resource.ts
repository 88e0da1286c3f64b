import { boolean, defineResource, enumeration, integer, string, text } from '../resource';

export const noteResource = defineResource({
  name: 'note',
  collection: 'notes',
  title: 'note',
  fields: {
    fileId: integer('FSI'),
    contactId: integer('FSI'),
    authorId: integer('FS'),
    subject: string('FSQ'),
    body: text('Q'),
    visibility: enumeration(['internal', 'shared'], 'FS'),
    isPinned: boolean('FS'),
  },
});
