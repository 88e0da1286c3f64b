import { boolean, datetime, defineResource, enumeration, integer, string, text } from '../resource';

export const calendarItemResource = defineResource({
  name: 'calendar_item',
  collection: 'calendar-items',
  aliases: ['calendar_items'],
  title: 'calendar item',
  fields: {
    fileId: integer('FSI'),
    contingencyId: integer('FS'),
    taskId: integer('FS'),
    createdById: integer('FS'),
    title: string('FSQ'),
    location: string('FSQ'),
    description: text('Q'),
    itemType: enumeration(
      ['closing', 'inspection', 'appraisal', 'walkthrough', 'signing', 'deadline', 'appointment', 'other'],
      'FS',
    ),
    startAt: datetime('FSI'),
    endAt: datetime('FS'),
    allDay: boolean('FS'),
    status: enumeration(['scheduled', 'done', 'cancelled'], 'FS'),
  },
});
