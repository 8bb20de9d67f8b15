import type { Context } from '@opentelemetry/api';
import {
  type Clock,
  DEFAULT_SHUTDOWN_TIMEOUT_MILLIS,
  type DeadlineOptions,
  ExportError,
  HELD_SPANS,
  type HeldSpans,
  heldSpansOf,
  type LimitedLog,
  type ReadableSpan,
  type SpanProcessor,
  settledBy,
} from '@otel-resilience/core';

/**
 * The processor behind the tail sampler. What it throws must neither reach the application nor stop us half way
 * through a trace: it is counted and logged.
 */
export class NextProcessor {
  failures = 0;
  private readonly processor: SpanProcessor;
  private readonly heldSpans: HeldSpans;
  private readonly clock: Clock;
  private readonly log: LimitedLog;

  constructor(processor: SpanProcessor, clock: Clock, log: LimitedLog) {
    this.processor = processor;
    this.heldSpans = heldSpansOf(processor);
    this.clock = clock;
    this.log = log;
  }

  get hasOnEnding(): boolean {
    return typeof this.processor.onEnding === 'function';
  }

  onStart(span: object, parentContext: Context): void {
    try {
      this.processor.onStart(span, parentContext);
    } catch (error) {
      this.failed(error);
    }
  }

  onEnding(span: object): void {
    try {
      this.processor.onEnding!(span);
    } catch (error) {
      this.failed(error);
    }
  }

  onEnd(span: ReadableSpan): void {
    try {
      this.processor.onEnd(span);
    } catch (error) {
      this.failed(error);
    }
  }

  hold(): void {
    try {
      this.heldSpans.hold();
    } catch (error) {
      this.failed(error);
    }
  }

  discard(spans: number): void {
    if (spans === 0) return;
    try {
      this.heldSpans.discard(spans);
    } catch (error) {
      this.failed(error);
    }
  }

  release(span: ReadableSpan): void {
    try {
      this.heldSpans.release(span);
    } catch (error) {
      this.failed(error);
    }
  }

  /** Rejects at the deadline; without one, at `until`. */
  async forceFlush(until: number, options?: DeadlineOptions): Promise<void> {
    const flushed = called(() => (this.processor as ProcessorWithDeadlines).forceFlush(options));
    if (await this.isSettled(flushed, until, options)) return flushed;
    throw new ExportError('DEADLINE_EXCEEDED', 'forceFlush: the next span processor took too long');
  }

  /** Resolves at the deadline. */
  async shutdown(options?: DeadlineOptions): Promise<void> {
    const shutDown = called(() => (this.processor as ProcessorWithDeadlines).shutdown(options));
    const until = this.clock.now() + DEFAULT_SHUTDOWN_TIMEOUT_MILLIS;
    if (await this.isSettled(shutDown, until, options)) return shutDown;
    this.log.warn('shutdown', () => 'the next span processor took too long to shut down');
  }

  /** Processors of ours have deadlines of their own, which may be configured; others do not look at any. */
  private async isSettled(promise: Promise<void>, until: number, options?: DeadlineOptions): Promise<boolean> {
    if (options?.deadline === undefined && HELD_SPANS in this.processor) return true;
    return settledBy(this.clock, options?.deadline ?? until, promise);
  }

  private failed(error: unknown): void {
    this.failures++;
    this.log.warn('next', () => `the next span processor threw: ${error}`);
  }
}

interface ProcessorWithDeadlines {
  forceFlush(options?: DeadlineOptions): Promise<void>;
  shutdown(options?: DeadlineOptions): Promise<void>;
}

/** Never throws synchronously. */
async function called(method: () => Promise<void>): Promise<void> {
  await method();
}
