import type { EndpointState, QueueFigures } from './dispatch-store.types';
import { statement, type Queries } from '@keyturn/platform/database';

const dueNow = statement(
  'webhooks.queue.figures',
  `select count(*) as due, extract(epoch from greatest(now() - min(q.due_at), interval '0'))::float8 as oldest
   from webhooks.queue q join webhooks.endpoint e on e.id = q.endpoint_id and e.status = 'active'
   where q.state = 'ready' or (q.state = 'scheduled' and q.due_at <= now())`,
);

const endpointStates = statement(
  'webhooks.endpoints.states',
  `select status, count(*) as count from webhooks.endpoint where deleted_at is null group by status`,
);

export async function queueFigures(db: Queries): Promise<QueueFigures> {
  const [queue] = await db.query<{ due: string; oldest: number | null }>(dueNow);
  const states = await db.query<{ status: EndpointState; count: string }>(endpointStates);
  return {
    due: Number(queue?.due ?? 0),
    oldestDueSeconds: queue?.oldest ?? 0,
    endpoints: Object.fromEntries(states.map(({ status, count }) => [status, Number(count)])),
  };
}
