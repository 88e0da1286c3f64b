/** Recursive part `lanes`: every endpoint that has something ready, by one index entry each, however much it has; a null ends it. */
export const endpointsWithReady = `(select endpoint_id from webhooks.queue where state = 'ready' order by endpoint_id limit 1)
     union all
     select (select q.endpoint_id from webhooks.queue q where q.state = 'ready' and q.endpoint_id > lanes.endpoint_id
             order by q.endpoint_id limit 1)
     from lanes where lanes.endpoint_id is not null`;
