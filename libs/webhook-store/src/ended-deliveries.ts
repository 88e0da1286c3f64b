/**
 * What becomes of a delivery `d` whose row `gone` has been taken out of the queue: what it was before it was sent for again, else
 * cancelled.
 */
export const outOfQueue = `status = coalesce(gone.status_before, 'cancelled'),
         trouble = nullif(coalesce(gone.status_before, 'cancelled'), 'success'),
         troubled = d.troubled or gone.status_before is distinct from 'success', next_retry_at = null`;
