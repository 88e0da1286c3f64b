import type { Room } from './dispatch-store.types';

/** As statements take it: in all, of an endpoint, of named endpoints. */
export const roomValues = ({ total, perEndpoint, ofEndpoint }: Room): unknown[] => [
  total,
  perEndpoint,
  JSON.stringify(Object.fromEntries(ofEndpoint)),
];
