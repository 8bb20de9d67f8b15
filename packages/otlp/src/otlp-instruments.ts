import type { Attributes } from '@opentelemetry/api';
import { createInstruments, type ExportOutcome, type Instruments, METRIC } from '@otel-resilience/core';
import type { OtlpProtocol } from './endpoint-url.js';
import type { Target } from './transport-options.js';

/** What semantic conventions 1.45 call these exporters. */
const COMPONENT_TYPE: Readonly<Record<OtlpProtocol, string>> = {
  grpc: 'otlp_grpc_span_exporter',
  'http/protobuf': 'otlp_http_span_exporter',
};

// The values of `error.type` come out of a server's and a network's mouth: no more series than this.
const MAX_ERROR_TYPES = 50;
const OTHER = '_OTHER';

/**
 * `otel.sdk.exporter.*` of one exporter, by semantic conventions 1.45: spans in flight and exported, and one duration per
 * export. What the exporter was never given is the processor's to count.
 */
export class OtlpInstruments {
  readonly componentName: string;
  private readonly protocol: OtlpProtocol;
  private readonly instruments: Instruments;
  private readonly server: Attributes;
  private readonly failed = new Map<string, number>();
  private inflight = 0;
  private succeeded = 0;

  constructor(protocol: OtlpProtocol, { host, port, path }: Target, enabled: boolean) {
    this.protocol = protocol;
    this.server = path === undefined ? { 'server.address': host, 'server.port': port } : { 'server.address': path };
    this.instruments = createInstruments(
      COMPONENT_TYPE[protocol],
      [
        {
          kind: 'upDownCounter',
          name: METRIC.spanInflight,
          unit: '{span}',
          description: 'Spans that were passed to the exporter and whose export has not ended.',
          read: (report) => report(this.inflight, this.server),
        },
        {
          kind: 'counter',
          name: METRIC.spanExported,
          unit: '{span}',
          description: 'Spans whose export has ended, well or not.',
          read: (report) => {
            report(this.succeeded, this.server);
            for (const [type, spans] of this.failed) report(spans, { ...this.server, 'error.type': type });
          },
        },
      ],
      { enabled },
    );
    this.componentName = this.instruments.componentName;
  }

  /** Returns the function to call when the export has ended; `lastError` is what the last request failed with, if it has. */
  begin(spans: number): (outcome: ExportOutcome, seconds: number, lastError: unknown) => void {
    this.instruments.refresh();
    this.inflight += spans;
    return (outcome, seconds, lastError) => {
      this.inflight -= spans;
      const { delivered, rejected, dropped, remaining, error } = outcome;
      this.succeeded += delivered;
      const failures: Array<readonly [type: string, spans: number]> = [
        ['rejected', rejected],
        ...Object.entries(dropped),
      ];
      if (remaining) failures.push([this.errorType(error), remaining.spanCount]);
      for (const [type, count] of failures) if (count > 0) this.fail(type, count);
      const [failure] = failures.reverse().find(([, count]) => count > 0) ?? (error ? [this.errorType(error)] : []);
      this.instruments.recordDuration(seconds, {
        ...this.server,
        ...this.status(lastError),
        ...(failure !== undefined && { 'error.type': this.known(failure) }),
      });
    };
  }

  shutdown(): void {
    this.instruments.shutdown();
  }

  private fail(type: string, spans: number): void {
    const key = this.known(type);
    this.failed.set(key, (this.failed.get(key) ?? 0) + spans);
  }

  private known(type: string): string {
    return this.failed.has(type) || this.failed.size < MAX_ERROR_TYPES ? type : OTHER;
  }

  /** What the last request was answered with, if it was answered. */
  private status(lastError: unknown): Attributes {
    const code = lastError === undefined ? 0 : (lastError as { code?: unknown } | null)?.code;
    if (typeof code !== 'number') return {};
    return this.protocol === 'grpc'
      ? { 'rpc.response.status_code': GRPC_STATUS[code] ?? String(code) }
      : { 'http.response.status_code': code || 200 };
  }

  private errorType(error: Error): string {
    const { code, name } = error as { code?: unknown; name?: unknown };
    if (code === 'DEADLINE_EXCEEDED') return 'timeout';
    if (typeof code === 'number') return (this.protocol === 'grpc' && GRPC_STATUS[code]) || String(code);
    for (const value of [code, name]) if (typeof value === 'string' && /^\w{1,64}$/.test(value)) return value;
    return OTHER;
  }
}

const GRPC_STATUS = [
  'OK',
  'CANCELLED',
  'UNKNOWN',
  'INVALID_ARGUMENT',
  'DEADLINE_EXCEEDED',
  'NOT_FOUND',
  'ALREADY_EXISTS',
  'PERMISSION_DENIED',
  'RESOURCE_EXHAUSTED',
  'FAILED_PRECONDITION',
  'ABORTED',
  'OUT_OF_RANGE',
  'UNIMPLEMENTED',
  'INTERNAL',
  'UNAVAILABLE',
  'DATA_LOSS',
  'UNAUTHENTICATED',
];
