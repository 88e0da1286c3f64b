import type { StreamPosition } from './write';

/** What a stream says of itself when its reading begins. */
export interface StreamState {
  readonly created: Date;
  readonly firstSequence: number;
  readonly lastSequence: number;
  /** When the message at our position was stored; undefined where the stream no longer has it. */
  readonly storedAtPosition: Date | undefined;
}

export interface Resume {
  /** The first sequence to read. */
  readonly from: number;
  /** Why reading does not go on where it ended. */
  readonly note?: 'stream made anew' | 'stream lost its end' | 'messages aged out unread';
}

/**
 * Where to go on reading. A stream that is another one than we have read (made anew, restored, cut by a power failure) is read
 * from its beginning: events that were applied are known by (source, id) and do nothing, so only the other way, to trust a
 * number that means something else, could lose any.
 */
export function resume(position: StreamPosition, stream: StreamState): Resume {
  const { sequence, moment, streamCreated } = position;
  if (sequence === 0) return { from: 1 };
  if (streamCreated && streamCreated.getTime() !== stream.created.getTime())
    return { from: 1, note: 'stream made anew' };
  if (stream.lastSequence < sequence) return { from: 1, note: 'stream lost its end' };
  const { storedAtPosition } = stream;
  if (moment && storedAtPosition && moment.getTime() !== storedAtPosition.getTime())
    return { from: 1, note: 'stream lost its end' };
  if (stream.firstSequence > sequence + 1) return { from: sequence + 1, note: 'messages aged out unread' };
  return { from: sequence + 1 };
}
