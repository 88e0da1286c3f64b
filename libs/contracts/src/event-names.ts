import type { OperationalEvent } from './operational-event';
import { resources } from './resources';

export type Action = 'created' | 'updated' | 'completed' | 'deleted';

/** The actions a record of this resource can report; only tasks complete (T-103). */
export function actionsOf(resourceName: string): Action[] {
  return resourceName === 'task' ? ['created', 'updated', 'completed', 'deleted'] : ['created', 'updated', 'deleted'];
}

/** The 22 event names of the Space API (T-100 … T-106), grouped by resource in the order of its documentation. */
export const eventNames: readonly string[] = ['user', 'contact', 'file', 'task', 'calendar_item', 'contingency', 'note']
  .filter((name) => resources.some((resource) => resource.name === name))
  .flatMap((name) => actionsOf(name).map((action) => `${name}.${action}`));

/** Events about an endpoint itself, which its owner may subscribe to like any other (T-085). */
export const operationalEventNames: readonly OperationalEvent[] = [
  'webhook.failing',
  'webhook.disabled',
  'webhook.recovered',
];

/** `file.*`: every event of one resource. A bare `*` is not offered (T-085). */
export const eventWildcards: readonly string[] = resources.map((resource) => `${resource.name}.*`);

/** The event of `POST …/test`; nobody subscribes to it (T-091). */
export const testEventName = 'webhook.test';

export function isSubscribableEvent(name: string): boolean {
  return (
    eventNames.includes(name) ||
    (operationalEventNames as readonly string[]).includes(name) ||
    eventWildcards.includes(name)
  );
}

/** The names of the log that a list of events stands for: wildcards spelled out, events about webhooks left aside. */
export function loggedNames(events: readonly string[]): string[] {
  return eventNames.filter((name) => events.includes(name) || events.includes(`${name.slice(0, name.indexOf('.'))}.*`));
}
