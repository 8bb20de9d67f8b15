import { existsSync, readFileSync } from 'node:fs';
import { spanKey } from '@otel-resilience/testing';

/** A span as the file exporter writes it: OTLP/JSON. */
export interface FiledSpan {
  readonly traceId: string;
  readonly spanId: string;
  readonly parentSpanId?: string;
  readonly name: string;
  readonly [field: string]: unknown;
}

export interface FiledSpans {
  /** In the order in which they were written, duplicates included. */
  readonly spans: readonly FiledSpan[];
  readonly resources: ReadonlyArray<Readonly<Record<string, unknown>>>;
  readonly keys: ReadonlySet<string>;
  /** Requests of which the end is missing: a Collector was killed while it wrote, so it had not acknowledged them. */
  readonly torn: number;
}

interface ExportedTraces {
  readonly resourceSpans: ReadonlyArray<{
    readonly resource: Readonly<Record<string, unknown>>;
    readonly scopeSpans: ReadonlyArray<{ readonly spans: readonly FiledSpan[] }>;
  }>;
}

/** A metric as the file exporter writes it. */
export interface FiledMetric {
  readonly name: string;
  readonly unit?: string;
  readonly sum?: {
    readonly isMonotonic?: boolean;
    readonly dataPoints: ReadonlyArray<{
      readonly asInt?: string;
      readonly asDouble?: number;
      readonly attributes?: ReadonlyArray<{ readonly key: string; readonly value: unknown }>;
    }>;
  };
}

interface ExportedMetrics {
  readonly resourceMetrics: ReadonlyArray<{
    readonly scopeMetrics: ReadonlyArray<{ readonly metrics: readonly FiledMetric[] }>;
  }>;
}

export function readSpans(files: readonly string[]): FiledSpans {
  const { requests, torn } = readRequests<ExportedTraces>(files);
  const resourceSpans = requests.flatMap((request) => request.resourceSpans);
  const spans = resourceSpans.flatMap(({ scopeSpans }) => scopeSpans.flatMap((scope) => scope.spans));
  const resources = resourceSpans.map(({ resource }) => resource);
  return { spans, resources, keys: new Set(spans.map(spanKey)), torn };
}

export function readMetrics(files: readonly string[]): FiledMetric[] {
  return readRequests<ExportedMetrics>(files)
    .requests.flatMap(({ resourceMetrics }) => resourceMetrics)
    .flatMap(({ scopeMetrics }) => scopeMetrics.flatMap(({ metrics }) => metrics));
}

/** Every line is a request. Throws for one that cannot be read, unless it is a file's last and has no end. */
function readRequests<T>(files: readonly string[]): { requests: T[]; torn: number } {
  const contents = files.filter(existsSync).map((file) => readFileSync(file, 'utf8').split('\n'));
  const torn = contents.filter((lines) => lines.pop() !== '').length;
  return { requests: contents.flat().map((line) => JSON.parse(line) as T), torn };
}
