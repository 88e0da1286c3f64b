import { Counter, Gauge, Histogram, Registry, collectDefaultMetrics } from 'prom-client';

type Labels = readonly string[];

/** One registry per service, read at `/metrics`. Names follow OpenTelemetry's habits: what, unit, `_total` for counters. */
export class Metrics {
  readonly registry = new Registry();

  constructor(service: string) {
    this.registry.setDefaultLabels({ service });
    collectDefaultMetrics({ register: this.registry });
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

  /** `collect` is called at each read of `/metrics`, so a gauge is never stale. */
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
      ...(collect ? { collect: () => collect(gauge) } : {}),
    });
    return gauge;
  }
}
