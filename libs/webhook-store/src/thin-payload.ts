/** What the thin form of a payload is made of; all of it stands beside the message. */
export interface ThinSource {
  readonly event: string;
  readonly recordId: number;
  /** ISO ms: the payload's timestamp. */
  readonly time: string;
}

/** The body of a thin delivery, ids only: the same three keys in the same order as a whole one (T-108, X4). */
export function thinPayload({ event, recordId, time }: ThinSource): Uint8Array {
  return Buffer.from(JSON.stringify({ event, data: { id: recordId }, timestamp: time }), 'utf8');
}
