/** What a span says of its step; names of OpenTelemetry's semantic conventions where there is one, else `keyturn.…`. */
export type Attributes = Readonly<Record<string, string | number | boolean | undefined>>;

/** One step of a trace. Never told what a person's record, a caller's query or a secret holds. */
export interface Span {
  readonly traceId: string;
  /** The W3C header by which another process, or a later attempt, goes on from here. */
  readonly traceparent: string;
  /** False for a step that is not sampled, and for one that has ended: nothing is gathered below it. */
  readonly isRecording: boolean;
  rename(name: string): void;
  set(attributes: Attributes): void;
  /** `failure` is a kind of failure (a status, a code, a class): never a message, which may repeat what it fails on. */
  end(failure?: string): void;
}

export interface SpanStart {
  readonly name: string;
  readonly kind: 'server' | 'client' | 'producer' | 'consumer' | 'internal';
  readonly attributes?: Attributes;
}

/** What makes spans and brings them to a collector. */
export interface Tracer {
  open(start: SpanStart, parent: string | undefined, links: readonly Span[]): Span;
  /** Sends what has gathered, within a bound: a collector that hangs keeps no service from ending. */
  stop(): Promise<void>;
}
