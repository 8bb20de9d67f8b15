/**
 * The few interfaces of the OpenTelemetry SDK that our public types name, declared structurally.
 *
 * Published types must not import an SDK package: where it is missing (SDK 3.x has no `sdk-trace-base`) TypeScript
 * silently reads it as `any`. `test/compat` assigns these both ways on both SDK majors.
 *
 * Attribute values are `unknown`, because SDK 3.x allows maps, bytes and null where 2.x has `AttributeValue`.
 */
import type { Context, HrTime, SpanContext, SpanKind } from '@opentelemetry/api';

export type Attributes = Readonly<Record<string, unknown>>;

export interface Resource {
  readonly attributes: Attributes;
  readonly asyncAttributesPending?: boolean;
  readonly schemaUrl?: string;
  waitForAsyncAttributes?(): Promise<void>;
}

export interface InstrumentationScope {
  readonly name: string;
  readonly version?: string;
  readonly schemaUrl?: string;
  /** In the OTLP of both majors; their types do not name them yet. */
  readonly attributes?: Attributes;
  readonly droppedAttributesCount?: number;
}

export interface TimedEvent {
  readonly time: HrTime;
  readonly name: string;
  readonly attributes?: Attributes;
  readonly droppedAttributesCount?: number;
}

export interface Link {
  readonly context: SpanContext;
  readonly attributes?: Attributes;
  readonly droppedAttributesCount?: number;
}

/** A span that has ended, as the SDK hands it to processors and exporters. */
export interface ReadableSpan {
  readonly name: string;
  readonly kind: SpanKind;
  readonly spanContext: () => SpanContext;
  readonly parentSpanContext?: SpanContext;
  readonly startTime: HrTime;
  readonly endTime: HrTime;
  readonly status: { readonly code: number; readonly message?: string };
  readonly attributes: Attributes;
  readonly links: readonly Link[];
  readonly events: readonly TimedEvent[];
  readonly duration: HrTime;
  readonly ended: boolean;
  readonly resource: Resource;
  readonly instrumentationScope: InstrumentationScope;
  readonly droppedAttributesCount: number;
  readonly droppedEventsCount: number;
  readonly droppedLinksCount: number;
}

/** `code` is 0 for success and 1 for failure, as `ExportResultCode` of both SDK majors. */
export interface ExportResult {
  code: number;
  error?: Error;
}

export const EXPORT_SUCCESS = 0;
export const EXPORT_FAILED = 1;

export interface SpanExporter {
  export(spans: ReadableSpan[], resultCallback: (result: ExportResult) => void): void;
  shutdown(): Promise<void>;
  forceFlush?(): Promise<void>;
}

export interface SpanProcessor {
  onStart(span: object, parentContext: Context): void;
  onEnding?(span: object): void;
  onEnd(span: ReadableSpan): void;
  forceFlush(): Promise<void>;
  shutdown(): Promise<void>;
}
