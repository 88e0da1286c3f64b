import { unavailable } from '@keyturn/contracts';
import { Metrics } from '@keyturn/platform/metrics';
import type { QueueFigures } from '@keyturn/webhook-store';
import { DispatchMetrics } from './dispatch-metrics';

describe('what a dispatcher says of the queue', () => {
  const busy: QueueFigures = { due: 7, oldestDueSeconds: 12.5, endpoints: { active: 3, paused: 1 } };
  let figures: () => Promise<QueueFigures>;
  let lag: () => Promise<number>;
  let looks: number;
  let metrics: Metrics;

  beforeEach(() => {
    [figures, lag, looks] = [() => Promise.resolve(busy), () => Promise.resolve(4), 0];
    metrics = new Metrics('dispatcher');
    const none = () => 0;
    new DispatchMetrics(metrics).observe({
      ...{ inFlight: none, waiting: none, endpoints: none, unwritten: none },
      streamLag: () => lag(),
      figures: () => {
        looks++;
        return figures();
      },
    });
  });

  /** Each read takes the values as they are printed: a gauge that another one sets would be a scrape behind. */
  const read = async () => {
    const text = await metrics.registry.metrics();
    return Object.fromEntries(
      [
        ...text.matchAll(
          /^(webhook_(?:deliveries_due|oldest_due_seconds|endpoints)|event_stream_pending)\{(.*)\} (\S+)$/gm,
        ),
      ].map(([, name, labels, value]) => [
        `${String(name)} ${/(?:state)="(\w+)"/.exec(String(labels))?.[1] ?? ''}`.trim(),
        Number(value === 'Nan' ? Number.NaN : value),
      ]),
    );
  };

  it('is of the moment of the scrape, from one look at the database', async () => {
    const first = {
      webhook_deliveries_due: 7,
      webhook_oldest_due_seconds: 12.5,
      'webhook_endpoints active': 3,
      'webhook_endpoints inactive': 0,
      'webhook_endpoints paused': 1,
      'webhook_endpoints suspended': 0,
      'webhook_endpoints disabled': 0,
      event_stream_pending: 4,
    };
    expect(await read()).toEqual(first);
    figures = () => Promise.resolve({ ...busy, due: 1, oldestDueSeconds: 0.5 });
    expect(await read()).toEqual({ ...first, webhook_deliveries_due: 1, webhook_oldest_due_seconds: 0.5 });
    expect(looks).toBe(2);
  });

  it('is no number while the database or NATS cannot be asked, instead of the last one', async () => {
    await read();
    figures = () => Promise.reject(unavailable('The database cannot be reached'));
    lag = () => Promise.reject(unavailable('NATS cannot be reached'));
    expect(await read()).toEqual({ webhook_deliveries_due: Number.NaN, webhook_oldest_due_seconds: Number.NaN });
  });
});
