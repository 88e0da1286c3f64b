import { AsyncLocalStorage } from 'node:async_hooks';
import type { TracingSettings } from '../config';
import type { Log } from '../logs';
import type { Span, SpanStart, Tracer } from './span';

export type { Attributes, Span, SpanStart } from './span';

/**
 * Traces of this process. Spans are opened at our own doors (HTTP, operations, statements, streams, attempts) and nowhere else.
 * Unless a collector is named nothing of OpenTelemetry is loaded, and every door looks at one variable and goes on.
 */
let tracer: Tracer | undefined;

interface Scope {
  readonly span: Span | undefined;
  /** Of others that share the work: a statement for several requests stands in the trace of the first, and names the rest. */
  readonly others: readonly Span[];
}

const scope = new AsyncLocalStorage<Scope>();
const nobody: Scope = { span: undefined, others: [] };

/** Where the settings name a collector, traces begin; the result ends them. */
export async function startTracing(
  service: string,
  settings: TracingSettings,
  log: Log,
): Promise<{ stop(): Promise<void> }> {
  const url = collectorOf(settings);
  if (url === undefined) return { stop: () => Promise.resolve() };
  const { OtlpTracer } = await import('./otlp');
  const started = await OtlpTracer.start({ url, service, settings, log });
  tracer = started;
  return {
    stop: () => {
      tracer = undefined;
      return started.stop();
    },
  };
}

function collectorOf(settings: TracingSettings): string | undefined {
  const { otelDisabled, otelTracesExporter, otlpEndpoint, otlpTracesEndpoint } = settings;
  if (otelDisabled || otelTracesExporter === 'none') return undefined;
  if (otlpTracesEndpoint !== undefined) return otlpTracesEndpoint;
  return otlpEndpoint === undefined ? undefined : `${otlpEndpoint.replace(/\/+$/, '')}/v1/traces`;
}

export const isTracing = (): boolean => tracer !== undefined;

/** Something comes in from outside the process: the step goes on from its sender's, or begins a trace. */
export function openSpan(start: SpanStart, traceparent: string | undefined): Span | undefined {
  return tracer?.open(start, traceparent, []);
}

/** A step of what this process is doing now. What it does for nobody (probes, heartbeats, timers) is no trace. */
export function openChild(start: SpanStart): Span | undefined {
  if (!tracer) return undefined;
  const { span, others } = scope.getStore() ?? nobody;
  return span?.isRecording ? tracer.open(start, span.traceparent, others) : undefined;
}

export function currentSpan(): Span | undefined {
  return tracer && scope.getStore()?.span;
}

/** Everything that `work` begins belongs to `span`; without one, to nobody, whoever has called. */
export function within<T>(span: Span | undefined, work: () => T): T {
  return tracer ? scope.run(span ? { span, others: [] } : nobody, work) : work();
}

/** As {@link within}, for work that is done once for several. */
export function withinAll<T>(spans: readonly (Span | undefined)[], work: () => T): T {
  if (!tracer) return work();
  const [span, ...others] = spans.filter((each) => each?.isRecording) as Span[];
  return scope.run({ span, others }, work);
}

const traceparentPattern = /^[0-9a-f]{2}-([0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}$/;

/** For log lines: the trace's id alone. */
export function traceIdOf(traceparent: string | undefined | null): string | undefined {
  return traceparent ? traceparentPattern.exec(traceparent)?.[1] : undefined;
}
