import { Counter, Gauge, Histogram, Registry, collectDefaultMetrics } from 'prom-client';

type Labels = readonly string[];

/** Prometheus waits ten seconds for all of them (k8s/overlays/production/scrape.yaml). */
const collectedWithinMs = 4_000;

/** One registry per service, read at `/metrics`. Names follow OpenTelemetry's habits: what, unit, `_total` for counters. */
export class Metrics {
  readonly registry = new Registry();
  private readonly unknown;

  constructor(
    service: string,
    private readonly collectWithinMs = collectedWithinMs,
  ) {
    this.registry.setDefaultLabels({ service });
    collectDefaultMetrics({ register: this.registry });
    this.unknown = this.counter('metrics_unknown_total', 'Gauges that could not be read, or not in time.', ['metric']);
  }

  counter<const L extends Labels>(name: string, help: string, labelNames: L): Counter<L[number]> {
    return new Counter<L[number]>({ name, help, labelNames: [...labelNames], registers: [this.registry] });
  }

  histogram<const L extends Labels>(
    name: string,
    help: string,
    labelNames: L,
    buckets: number[],
  ): Histogram<L[number]> {
    return new Histogram<L[number]>({ name, help, labelNames: [...labelNames], buckets, registers: [this.registry] });
  }

  /**
   * `collect` is called at each read of `/metrics`, so a gauge is never stale. Where it fails, or asks somebody who does not
   * answer, the gauge is unknown, and everything else is still told: a store that is away is when figures are looked at.
   */
  gauge<const L extends Labels>(
    name: string,
    help: string,
    labelNames: L,
    collect?: (gauge: Gauge<L[number]>) => void | Promise<void>,
  ): Gauge<L[number]> {
    const gauge: Gauge<L[number]> = new Gauge<L[number]>({
      name,
      help,
      labelNames: [...labelNames],
      registers: [this.registry],
      ...(collect
        ? { collect: () => this.collected({ metric: name, plain: labelNames.length === 0 }, gauge, collect) }
        : {}),
    });
    return gauge;
  }

  private collected<L extends string>(
    { metric, plain }: { readonly metric: string; readonly plain: boolean },
    gauge: Gauge<L>,
    collect: (gauge: Gauge<L>) => void | Promise<void>,
  ): void | Promise<void> {
    const unknown = () => {
      this.unknown.inc({ metric });
      // Without labels a gauge always has a value, and 0 would be one.
      gauge.reset();
      if (plain) gauge.set(Number.NaN);
    };
    try {
      const running = collect(gauge);
      return running && this.withinTime(running).catch(unknown);
    } catch {
      unknown();
    }
  }

  private async withinTime(work: Promise<void>): Promise<void> {
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<never>((_, reject) => {
      timer = setTimeout(() => reject(new Error('not in time')), this.collectWithinMs);
    });
    try {
      await Promise.race([work, late]);
    } finally {
      clearTimeout(timer);
    }
  }
}
