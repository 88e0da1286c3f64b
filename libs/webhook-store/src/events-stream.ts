/** The stream of committed events, and the one durable consumer by which all dispatchers read it. */
export const eventsStream = 'EVENTS';
export const eventsConsumer = 'dispatcher';
