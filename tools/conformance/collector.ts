import { HttpSink, waitFor, type ReceivedRequest } from '@keyturn/testing';

/** A span as a collector got it. */
export interface CollectedSpan {
  readonly service: string;
  readonly traceId: string;
  readonly spanId: string;
  readonly parentSpanId: string;
  readonly name: string;
  readonly kind: 'internal' | 'server' | 'client' | 'producer' | 'consumer';
  readonly attributes: Readonly<Record<string, unknown>>;
  readonly failed: boolean;
}

interface KeyValue {
  readonly key: string;
  readonly value: Readonly<Record<string, unknown>>;
}

interface OtlpSpan {
  readonly traceId: string;
  readonly spanId: string;
  readonly parentSpanId?: string;
  readonly name: string;
  readonly kind: number;
  readonly attributes?: readonly KeyValue[];
  readonly status?: { readonly code?: number };
}

interface OtlpTraces {
  readonly resourceSpans: readonly {
    readonly resource: { readonly attributes: readonly KeyValue[] };
    readonly scopeSpans: readonly { readonly spans: readonly OtlpSpan[] }[];
  }[];
}

const kinds = ['internal', 'internal', 'server', 'client', 'producer', 'consumer'] as const;
const errorStatus = 2;

/** A collector of OTLP over HTTP in JSON: the other side of `OTEL_EXPORTER_OTLP_ENDPOINT`. */
export class Collector {
  private constructor(readonly sink: HttpSink) {}

  static async start(): Promise<Collector> {
    return new Collector(await HttpSink.start());
  }

  /** What a service needs to send here, a moment after each span has ended. */
  get env(): Readonly<Record<string, string>> {
    return {
      OTEL_EXPORTER_OTLP_ENDPOINT: this.sink.origin,
      OTEL_EXPORTER_OTLP_PROTOCOL: 'http/json',
      OTEL_BSP_SCHEDULE_DELAY: '50',
    };
  }

  get spans(): CollectedSpan[] {
    return this.sink.requests.flatMap(spansOf);
  }

  /** Everything that was sent, as text. */
  get text(): string {
    return this.sink.requests.map(({ body }) => body.toString('utf8')).join('\n');
  }

  /** The spans of a trace, once those are there that `isWhole` asks for. */
  async trace(traceId: string, isWhole: (spans: readonly CollectedSpan[]) => boolean): Promise<CollectedSpan[]> {
    const found = () => this.spans.filter((span) => span.traceId === traceId);
    await waitFor(`trace ${traceId} to be whole`, () => isWhole(found()));
    return found();
  }

  stop(): Promise<void> {
    return this.sink.stop();
  }
}

/** From a span up to the first one that the trace does not hold: `service name`, the innermost first. */
export function pathOf(span: CollectedSpan, spans: readonly CollectedSpan[]): string[] {
  const path: string[] = [];
  for (let at: CollectedSpan | undefined = span; at;) {
    path.push(`${at.service} ${at.kind} ${at.name}`);
    const { parentSpanId }: CollectedSpan = at;
    at = spans.find(({ spanId }) => spanId === parentSpanId);
  }
  return path;
}

function spansOf({ path, body }: ReceivedRequest): CollectedSpan[] {
  if (path !== '/v1/traces') throw new Error(`traces came to ${path}`);
  const { resourceSpans } = JSON.parse(body.toString('utf8')) as OtlpTraces;
  return resourceSpans.flatMap(({ resource, scopeSpans }) => {
    const service = String(valuesOf(resource.attributes)['service.name']);
    return scopeSpans.flatMap(({ spans }) =>
      spans.map((span) => ({
        service,
        traceId: span.traceId,
        spanId: span.spanId,
        parentSpanId: span.parentSpanId ?? '',
        name: span.name,
        kind: kinds[span.kind] ?? 'internal',
        attributes: valuesOf(span.attributes ?? []),
        failed: span.status?.code === errorStatus,
      })),
    );
  });
}

const valuesOf = (attributes: readonly KeyValue[]) =>
  Object.fromEntries(attributes.map(({ key, value }) => [key, Object.values(value)[0]]));
