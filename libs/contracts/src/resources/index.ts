import type { Resource, View } from '../resource';
import { calendarItemResource } from './calendar-item.resource';
import { contactResource } from './contact.resource';
import { contingencyResource } from './contingency.resource';
import { fileResource } from './file.resource';
import { noteResource } from './note.resource';
import { taskResource } from './task.resource';
import { userResource } from './user.resource';

export {
  calendarItemResource,
  contactResource,
  contingencyResource,
  fileResource,
  noteResource,
  taskResource,
  userResource,
};
export { coarseStatus, loopStatusOf, transactionTypeOf, type FileType, type ListingStatus } from './file.resource';

/** Every resource of the core, in the order of the docs. */
export const resources: readonly Resource[] = [
  fileResource,
  contactResource,
  userResource,
  taskResource,
  calendarItemResource,
  contingencyResource,
  noteResource,
];

/** A collection of the read API: a resource, or the part of it that a view shows. */
export interface Collection {
  /** As in the path: `files`, `agents`. */
  readonly name: string;
  readonly resource: Resource;
  readonly view?: View;
}

/** The collections by path segment, aliases included. */
export const collections: ReadonlyMap<string, Collection> = new Map(
  resources.flatMap((resource): [string, Collection][] => {
    const whole: Collection = { name: resource.collection, resource };
    return [
      [resource.collection, whole],
      ...resource.aliases.map((alias): [string, Collection] => [alias, whole]),
      ...resource.views.map((view): [string, Collection] => [
        view.collection,
        { name: view.collection, resource, view },
      ]),
    ];
  }),
);

export function resourceByName(name: string): Resource | undefined {
  return resources.find((resource) => resource.name === name);
}
