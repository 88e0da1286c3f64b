import { boolean, datetime, defineResource, enumeration, integer, string, text } from '../resource';

export const taskResource = defineResource({
  name: 'task',
  collection: 'tasks',
  title: 'task',
  fields: {
    fileId: integer('FSI', { description: 'The file it belongs to.' }),
    taskListId: integer('FS', { description: 'The list within the file.' }),
    assignedToId: integer('FSI', { description: 'The user who is to do it.' }),
    completedById: integer('FS', { description: 'The user who did it.' }),
    title: string('FSQ', { description: 'What is to be done.' }),
    description: text('Q', { description: 'More about it.' }),
    status: enumeration(['open', 'in_progress', 'completed', 'cancelled'], 'FS', { description: 'Where it stands.' }),
    completed: boolean('FS', { description: 'True once it is done.' }),
    priority: enumeration(['low', 'normal', 'high'], 'FS', { description: 'How much it matters.' }),
    dueDate: datetime('FSI', { description: 'When it is due.' }),
    dueOffset: integer('', { description: 'Minutes east of UTC in which the due date was entered.' }),
    completedAt: datetime('FS', { description: 'When it was done.' }),
    position: integer('FS', { description: 'Order within its list, from 1.' }),
  },
});
