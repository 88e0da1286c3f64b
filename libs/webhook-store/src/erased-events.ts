/** SQL: whether an event says that its record is gone, by its id alone: erasing a record is told to its subscribers so. */
const isBareDeletion = (row: string, payload: string): string =>
  `(${row}.event like '%.deleted' and ${payload} = webhooks.thin_payload(${row}.event, ${row}.record_id, ${row}.time))`;

/** SQL: whether there is something in a stored message that an erasure has to remove. */
export const isErasable = (message: string): string => `not ${isBareDeletion(message, `${message}.payload`)}`;

/**
 * SQL: whether an event that comes in belongs to what has been erased of its record. It may have been in a dispatcher's hands,
 * in the stream, or on a page of the log that a replay has read.
 */
export const isErased = (row: string, payload: string, space = `${row}.space_id`): string =>
  `(exists (select from webhooks.erasure x
            where x.space_id = ${space} and x.resource = ${row}.resource and x.record_id = ${row}.record_id
              and x.up_to >= ${row}.sequence)
    and not ${isBareDeletion(row, payload)})`;
