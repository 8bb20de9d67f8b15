import { BasicTracerProvider } from '@opentelemetry/sdk-trace-base';
import { type ResilienceOptions, type ResilienceStatus, resilience } from '@otel-resilience/node';
import { spanKey } from '@otel-resilience/testing';
import { afterEach, vi } from 'vitest';
import type { CollectorProcess, Protocol } from './collector-process.js';

export const PROTOCOLS: readonly Protocol[] = ['grpc', 'http/protobuf'];
type Transport = NonNullable<ResilienceOptions['transport']>;
/** Ours and the stock exporters, over both protocols. */
export const WAYS: ReadonlyArray<readonly [Transport, Protocol]> = [
  ['otlp', 'grpc'],
  ['otlp', 'http/protobuf'],
  ['stock', 'grpc'],
  ['stock', 'http/protobuf'],
];

const TICK_MILLIS = 10;
/** An application whose Collector is away takes 10 s. */
const SHUTDOWN_TIMEOUT_MILLIS = 20_000;

/** An SDK with `resilience()` in it, and the ids of every span that it has ended. */
export class Application {
  readonly ended = new Set<string>();
  private readonly resilience;
  private readonly provider: BasicTracerProvider;
  private timer: NodeJS.Timeout | undefined;
  private unbalanced = 0;

  constructor(options: ResilienceOptions) {
    this.resilience = resilience(options);
    this.provider = new BasicTracerProvider({ spanProcessors: this.resilience.sdk.spanProcessors });
  }

  /** Ends spans in one go; `bytes` is what each of them carries at least. */
  end(count: number, { bytes = 0 } = {}): Set<string> {
    const tracer = this.provider.getTracer('peers');
    const keys = new Set<string>();
    for (let i = 0; i < count; i++) {
      const span = tracer.startSpan('GET /users/:id', { attributes: { 'http.route': '/users/:id', 'app.index': i } });
      if (bytes > 0) span.setAttribute('app.payload', 'x'.repeat(bytes));
      keys.add(spanKey(span.spanContext()));
      span.end();
    }
    for (const key of keys) this.ended.add(key);
    return keys;
  }

  /** Ends spans at a steady rate, and looks at the ledger each time. */
  startLoad(spansPerSecond: number, options?: { bytes?: number }): void {
    const startedAt = performance.now();
    let done = 0;
    this.timer = setInterval(() => {
      const due = Math.floor(((performance.now() - startedAt) / 1_000) * spansPerSecond);
      this.end(due - done, options);
      done = due;
      if (!this.status().balanced) this.unbalanced++;
    }, TICK_MILLIS);
  }

  stopLoad(): void {
    clearInterval(this.timer);
  }

  status(): ResilienceStatus {
    return this.resilience.status();
  }

  /** Waits until the status is as wanted. */
  async until(wanted: (status: ResilienceStatus) => boolean, timeoutMillis = 15_000): Promise<void> {
    await vi.waitUntil(() => wanted(this.status()), { timeout: timeoutMillis, interval: 10 });
  }

  /** The processor's own: the provider of the SDK would reject with an array. */
  async flush(): Promise<void> {
    await this.resilience.sdk.spanProcessors[0]!.forceFlush();
  }

  async shutdown(): Promise<void> {
    this.stopLoad();
    await this.provider.shutdown();
  }

  /** What the ledger says, and what the Collectors have, compared as sets. */
  account(...collectors: CollectorProcess[]) {
    const filed = collectors.map((collector) => collector.spans());
    const keys = new Set(filed.flatMap((spans) => [...spans.keys]));
    const { totals, balanced } = this.status();
    return {
      ended: this.ended.size,
      missing: [...this.ended].filter((key) => !keys.has(key)).length,
      foreign: [...keys].filter((key) => !this.ended.has(key)).length,
      duplicates: filed.reduce((sum, { spans }) => sum + spans.length, 0) - keys.size,
      torn: filed.reduce((sum, { torn }) => sum + torn, 0),
      ledger: { ...totals, balanced: balanced && this.unbalanced === 0 },
    };
  }
}

/** Makes applications for the tests of a file, and shuts down after each test what it has left open. */
export function useApplications(): (options: ResilienceOptions) => Application {
  const open: Application[] = [];
  afterEach(async () => {
    await Promise.all(open.splice(0).map((application) => application.shutdown()));
  }, SHUTDOWN_TIMEOUT_MILLIS);
  return (options) => {
    const application = new Application(options);
    open.push(application);
    return application;
  };
}
