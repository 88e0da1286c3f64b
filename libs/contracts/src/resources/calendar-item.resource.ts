import { boolean, datetime, defineResource, enumeration, integer, string, text } from '../resource';

export const calendarItemResource = defineResource({
  name: 'calendar_item',
  collection: 'calendar-items',
  aliases: ['calendar_items'],
  title: 'calendar item',
  fields: {
    fileId: integer('FSI', { description: 'The file it belongs to.' }),
    contingencyId: integer('FS', { description: 'The contingency whose deadline it shows.' }),
    taskId: integer('FS', { description: 'The task that it stands for.' }),
    createdById: integer('FS', { description: 'The user who made it.' }),
    title: string('FSQ', { description: 'What happens.' }),
    location: string('FSQ', { description: 'Where it happens.' }),
    description: text('Q', { description: 'More about it.' }),
    itemType: enumeration(
      ['closing', 'inspection', 'appraisal', 'walkthrough', 'signing', 'deadline', 'appointment', 'other'],
      'FS',
      { description: 'What kind of item it is.' },
    ),
    startAt: datetime('FSI', { description: 'Beginning.' }),
    endAt: datetime('FS', { description: 'End; for whole days the midnight after.' }),
    allDay: boolean('FS', { description: 'True where only the day matters.' }),
    status: enumeration(['scheduled', 'done', 'cancelled'], 'FS', { description: 'Whether it is still to come.' }),
  },
});
