import {
  type Clock,
  classifyFailure,
  type ExportResult,
  type ReadableSpan,
  type SpanExporter,
} from '@otel-resilience/core';

const SUCCESS = 0;
/** A connection that fails is replaced no sooner than this after it was made. */
const RENEW_AFTER_MILLIS = 1_000;

interface Connection {
  readonly exporter: SpanExporter;
  readonly madeAt: number;
  failed: boolean;
}

/**
 * A stock gRPC exporter that gets a new connection when its own fails.
 *
 * grpc-js waits ever longer before it connects again, up to two minutes, and answers UNAVAILABLE by itself meanwhile:
 * after an outage of 100 s it would find a collector that is back 45 s late. A new exporter connects at once, provided
 * that it shares no subchannel with the old one, which `make` sees to by the number it is given.
 */
export class RenewingExporter implements SpanExporter {
  private readonly make: (generation: number) => SpanExporter;
  private readonly clock: Clock;
  private readonly retired = new Set<Promise<void>>();
  private current: Connection;
  private generation = 0;
  private isShutDown = false;

  constructor(make: (generation: number) => SpanExporter, clock: Clock) {
    this.make = make;
    this.clock = clock;
    this.current = this.connect();
  }

  export(spans: ReadableSpan[], resultCallback: (result: ExportResult) => void): void {
    const { current } = this;
    if (current.failed && !this.isShutDown && this.clock.now() - current.madeAt >= RENEW_AFTER_MILLIS) this.renew();
    const connection = this.current;
    connection.exporter.export(spans, (result) => {
      if (result.code === SUCCESS) connection.failed = false;
      else if (classifyFailure(result.error).failure === 'retryable') connection.failed = true;
      resultCallback(result);
    });
  }

  async forceFlush(): Promise<void> {
    await this.current.exporter.forceFlush?.();
  }

  async shutdown(): Promise<void> {
    this.isShutDown = true;
    this.retire(this.current);
    await Promise.all(this.retired);
  }

  private renew(): void {
    const old = this.current;
    this.generation++;
    this.current = this.connect();
    this.retire(old);
  }

  private connect(): Connection {
    return { exporter: this.make(this.generation), madeAt: this.clock.now(), failed: false };
  }

  /** The stock exporter's shutdown waits for what is open, then closes the connection. */
  private retire({ exporter }: Connection): void {
    const closed = exporter.shutdown().catch(() => {}); // it was broken anyway
    this.retired.add(closed);
    closed.then(() => this.retired.delete(closed));
  }
}
