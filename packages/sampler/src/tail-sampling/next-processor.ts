import type { Context } from '@opentelemetry/api';
import {
  type DeadlineOptions,
  type HeldSpans,
  heldSpansOf,
  type LimitedLog,
  type ReadableSpan,
  type SpanProcessor,
} from '@otel-resilience/core';

/**
 * The processor behind the tail sampler. What it throws must neither reach the application nor stop us half way
 * through a trace: it is counted and logged.
 */
export class NextProcessor {
  failures = 0;
  private readonly processor: SpanProcessor;
  private readonly heldSpans: HeldSpans;
  private readonly log: LimitedLog;

  constructor(processor: SpanProcessor, log: LimitedLog) {
    this.processor = processor;
    this.heldSpans = heldSpansOf(processor);
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

  // A deadline is for processors of ours; others do not look at it.
  async forceFlush(options?: DeadlineOptions): Promise<void> {
    await (this.processor as ProcessorWithDeadlines).forceFlush(options);
  }

  async shutdown(options?: DeadlineOptions): Promise<void> {
    await (this.processor as ProcessorWithDeadlines).shutdown(options);
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
