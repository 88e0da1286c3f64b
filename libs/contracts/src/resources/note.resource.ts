import { boolean, defineResource, enumeration, integer, string, text } from '../resource';

export const noteResource = defineResource({
  name: 'note',
  collection: 'notes',
  title: 'note',
  fields: {
    fileId: integer('FSI', { description: 'The file it is about.' }),
    contactId: integer('FSI', { description: 'The contact it is about.' }),
    authorId: integer('FS', { description: 'The user who wrote it.' }),
    subject: string('FSQ', { description: 'Subject line.' }),
    body: text('Q', { description: 'The text.' }),
    visibility: enumeration(['internal', 'shared'], 'FS', {
      description: 'Who sees it in the product; the API shows both kinds.',
    }),
    isPinned: boolean('FS', { description: 'True where it stays on top.' }),
  },
});
