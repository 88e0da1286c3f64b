import { boolean, datetime, defineResource, enumeration, integer, string, text } from '../resource';

export const taskResource = defineResource({
  name: 'task',
  collection: 'tasks',
  title: 'task',
  fields: {
    fileId: integer('FSI'),
    taskListId: integer('FS'),
    assignedToId: integer('FSI'),
    completedById: integer('FS'),
    title: string('FSQ'),
    description: text('Q'),
    status: enumeration(['open', 'in_progress', 'completed', 'cancelled'], 'FS'),
    completed: boolean('FS'),
    priority: enumeration(['low', 'normal', 'high'], 'FS'),
    dueDate: datetime('FSI'),
    dueOffset: integer('', { description: 'Minutes east of UTC in which the due date was entered.' }),
    completedAt: datetime('FS'),
    position: integer('FS'),
  },
});
