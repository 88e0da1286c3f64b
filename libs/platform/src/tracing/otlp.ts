import {
  diag,
  DiagLogLevel,
  ROOT_CONTEXT,
  SpanKind,
  SpanStatusCode,
  trace,
  TraceFlags,
  type Context,
  type Span as SdkSpan,
  type SpanContext,
  type Tracer as SdkTracer,
} from '@opentelemetry/api';
import { detectResources, envDetector, resourceFromAttributes } from '@opentelemetry/resources';
import {
  AlwaysOffSampler,
  AlwaysOnSampler,
  BasicTracerProvider,
  BatchSpanProcessor,
  ParentBasedSampler,
  TraceIdRatioBasedSampler,
  type Sampler,
  type SpanExporter,
} from '@opentelemetry/sdk-trace-base';
import { randomUUID } from 'node:crypto';
import type { TracingSettings } from '../config';
import type { Log } from '../logs';
import type { Attributes, Span, SpanStart, Tracer } from './span';

interface OtlpOptions {
  readonly url: string;
  readonly service: string;
  readonly settings: TracingSettings;
  readonly log: Log;
}

const kinds = {
  server: SpanKind.SERVER,
  client: SpanKind.CLIENT,
  producer: SpanKind.PRODUCER,
  consumer: SpanKind.CONSUMER,
  internal: SpanKind.INTERNAL,
} as const;

/** At the end of the process a collector gets so long for what has gathered. */
const stopWithinMs = 2_000;

/**
 * OpenTelemetry's SDK, sending by OTLP over HTTP. Spans gather in a bounded buffer and leave by a timer: a slow collector costs
 * spans, never time. Loaded only where a collector is named.
 */
export class OtlpTracer implements Tracer {
  private constructor(
    private readonly provider: BasicTracerProvider,
    private readonly tracer: SdkTracer,
  ) {}

  static async start({ url, service, settings, log }: OtlpOptions): Promise<OtlpTracer> {
    const say = (message: string) => log.warn({ reason: message.slice(0, 300) }, 'traces are not sent');
    diag.setLogger(
      { error: say, warn: say, info: () => undefined, debug: () => undefined, verbose: () => undefined },
      { logLevel: DiagLogLevel.WARN, suppressOverrideMessage: true },
    );
    const named = resourceFromAttributes({ 'service.name': service, 'service.instance.id': randomUUID() });
    const provider = new BasicTracerProvider({
      sampler: samplerOf(settings),
      // `OTEL_SERVICE_NAME` and `OTEL_RESOURCE_ATTRIBUTES` go over what we call ourselves.
      resource: named.merge(detectResources({ detectors: [envDetector] })),
      spanProcessors: [new BatchSpanProcessor(await exporterOf(url, settings))],
    });
    return new OtlpTracer(provider, provider.getTracer('keyturn'));
  }

  open({ name, kind, attributes }: SpanStart, parent: string | undefined, links: readonly Span[]): Span {
    const span = this.tracer.startSpan(
      name,
      {
        kind: kinds[kind],
        attributes: { ...attributes },
        links: links.flatMap(({ traceparent }) => {
          const context = spanContextOf(traceparent);
          return context ? [{ context }] : [];
        }),
      },
      contextOf(parent),
    );
    return new OtlpSpan(span);
  }

  async stop(): Promise<void> {
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<void>((resolve) => (timer = setTimeout(resolve, stopWithinMs)));
    // What could not be sent has been logged by the exporter.
    await Promise.race([this.provider.shutdown().catch(() => undefined), late]);
    clearTimeout(timer);
  }
}

class OtlpSpan implements Span {
  private readonly context: SpanContext;

  constructor(private readonly span: SdkSpan) {
    this.context = span.spanContext();
  }

  get traceId(): string {
    return this.context.traceId;
  }

  get traceparent(): string {
    const { traceId, spanId, traceFlags } = this.context;
    return `00-${traceId}-${spanId}-${traceFlags & TraceFlags.SAMPLED ? '01' : '00'}`;
  }

  get isRecording(): boolean {
    return this.span.isRecording();
  }

  rename(name: string): void {
    this.span.updateName(name);
  }

  set(attributes: Attributes): void {
    this.span.setAttributes({ ...attributes });
  }

  end(failure?: string): void {
    if (failure !== undefined) {
      this.span.setAttribute('error.type', failure);
      this.span.setStatus({ code: SpanStatusCode.ERROR });
    }
    this.span.end();
  }
}

async function exporterOf(url: string, { otlpProtocol }: TracingSettings): Promise<SpanExporter> {
  const { OTLPTraceExporter } =
    otlpProtocol === 'http/json'
      ? await import('@opentelemetry/exporter-trace-otlp-http')
      : await import('@opentelemetry/exporter-trace-otlp-proto');
  return new OTLPTraceExporter({ url });
}

function samplerOf({ otelSampler, otelSamplerArg }: TracingSettings): Sampler {
  const [parentBased, own] = otelSampler.startsWith('parentbased_')
    ? [true, otelSampler.slice('parentbased_'.length)]
    : [false, otelSampler];
  const root =
    own === 'always_off'
      ? new AlwaysOffSampler()
      : own === 'traceidratio'
        ? new TraceIdRatioBasedSampler(otelSamplerArg)
        : new AlwaysOnSampler();
  return parentBased ? new ParentBasedSampler({ root }) : root;
}

function contextOf(parent: string | undefined): Context {
  const from = parent === undefined ? undefined : spanContextOf(parent);
  return from ? trace.setSpanContext(ROOT_CONTEXT, from) : ROOT_CONTEXT;
}

const traceparentPattern = /^(?!ff)[0-9a-f]{2}-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})$/;

function spanContextOf(traceparent: string): SpanContext | undefined {
  const [, traceId, spanId, flags] = traceparentPattern.exec(traceparent) ?? [];
  if (!traceId || !spanId || !flags) return undefined;
  return { traceId, spanId, traceFlags: Number.parseInt(flags, 16) & TraceFlags.SAMPLED, isRemote: true };
}
