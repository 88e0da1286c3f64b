/** Events as arrays for `unnest`, the payloads as one run of bytes: what a statement takes a batch in by. */
export interface EventColumnsSource {
  readonly id: string;
  readonly sequence: number;
  readonly event: string;
  readonly recordId: number;
  readonly time: string;
  readonly committedAt: string;
  readonly changed: readonly string[];
  readonly traceparent?: string | null;
  readonly payload: Uint8Array;
}

/** Ids, sequences, events, resources, records, times, commit times, changed fields, traceparents, lengths, offsets, payloads. */
export function eventColumns(events: readonly EventColumnsSource[]): unknown[] {
  const offsets: number[] = [];
  let at = 0;
  for (const { payload } of events) {
    offsets.push(at);
    at += payload.length;
  }
  return [
    events.map((event) => event.id),
    numbers(events.map((event) => event.sequence)),
    events.map((event) => event.event),
    events.map((event) => event.event.slice(0, event.event.indexOf('.'))),
    numbers(events.map((event) => event.recordId)),
    events.map((event) => event.time),
    events.map((event) => event.committedAt),
    events.map((event) => event.changed.join(',')),
    events.map((event) => event.traceparent ?? null),
    numbers(events.map((event) => event.payload.length)),
    numbers(offsets),
    Buffer.concat(
      events.map((event) => event.payload),
      at,
    ),
  ];
}

/** Postgres's own spelling of an array of numbers: the driver would quote and escape each of them. */
export const numbers = (values: readonly (number | string | null)[]) =>
  `{${values.map((value) => value ?? 'NULL').join(',')}}`;
