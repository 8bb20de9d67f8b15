import {
  adaptSpanExporter,
  type Clock,
  type DeadlineOptions,
  describeError,
  ExportError,
  HELD_SPANS,
  type HeldSpans,
  type Instruments,
  Ledger,
  LimitedLog,
  type PipelineGauge,
  type ReadableSpan,
  type SpanBatchExporter,
  type SpanProcessor,
  settledBy,
  systemClock,
} from '@otel-resilience/core';
import { BatchDispatcher } from './batch-dispatcher.js';
import { encodedChunks } from './encoded-chunk.js';
import { type FlushResult, FlushTracker } from './flush-tracker.js';
import {
  type AdaptiveBatchSpanProcessorOptions,
  MAX_BATCH_BYTES,
  MAX_ESTIMATED_BATCH_BYTES,
  type ProcessorSettings,
  readProcessorOptions,
} from './options.js';
import { processorInstruments } from './processor-instruments.js';
import type { ProcessorStats } from './processor-stats.js';
import { spanChunks } from './span-chunk.js';
import { SpanIntake } from './span-intake.js';
import { SpanQueue } from './span-queue.js';

/** Left of a flush's deadline, or 1 % of it: whoever waits for the flush as long is to hear what has failed, not that. */
const FLUSH_MARGIN_MILLIS = 50;

/**
 * A batch span processor that accounts for every span: each one that ends is in exactly one state of the ledger.
 *
 *     onEnd, or a held span let go ─ SpanIntake ─ SpanQueue ─ BatchDispatcher ─ exporter
 *
 * Over an exporter that prefers bytes, a span is encoded when it enters the queue, which then holds nothing but bytes.
 * The queue is bounded in spans and in bytes; batches leave when they are full or have waited; batch size, wait and
 * concurrency adapt (see `BatchSize`, `BatchWait`, `ExportSlots` and `BatchScale` for the rules). `forceFlush` waits for exports in
 * flight and rejects at its deadline, `shutdown` always reaches the exporter and resolves at its own.
 */
export class AdaptiveBatchSpanProcessor implements SpanProcessor {
  /** For a processor before this one that holds spans back; see `HeldSpans` in core. */
  readonly [HELD_SPANS]: HeldSpans;
  private readonly settings: ProcessorSettings;
  private readonly clock: Clock;
  private readonly exporter: SpanBatchExporter;
  private readonly ledger = new Ledger();
  private readonly tracker: FlushTracker;
  private readonly queue: SpanQueue;
  private readonly intake: SpanIntake;
  private readonly dispatcher: BatchDispatcher;
  private readonly log: LimitedLog;
  private readonly instruments: Instruments;
  private readonly unpublish: Array<() => void>;
  private isStopped = false;
  private shutdownPromise: Promise<void> | undefined;

  constructor(options: AdaptiveBatchSpanProcessorOptions) {
    const settings = readProcessorOptions(options);
    const { dropPolicy, bounds, clock = systemClock } = settings;
    this.settings = settings;
    this.clock = clock;
    this.exporter = adaptSpanExporter(settings.exporter, { clock });
    this.log = new LimitedLog('AdaptiveBatchSpanProcessor', { clock });
    this.instruments = processorInstruments(() => this.stats(), settings.metrics);
    this.tracker = new FlushTracker(clock);
    this.queue = new SpanQueue({
      chunkSize: settings.batchSize.initial,
      chunks:
        this.exporter.prefers === 'bytes' ? encodedChunks(MAX_BATCH_BYTES) : spanChunks(MAX_ESTIMATED_BATCH_BYTES),
      lanes: dropPolicy === 'priority',
      tracker: this.tracker,
    });
    const { exporter, ledger, tracker, queue, log, instruments } = this;
    const dispatcher = new BatchDispatcher({ settings, clock, exporter, ledger, queue, tracker, log, instruments });
    this.dispatcher = dispatcher;
    this.intake = new SpanIntake({
      ledger,
      queue,
      dropPolicy,
      bounds,
      log,
      onTaken: (overflowed) => dispatcher.moveOn(overflowed),
    });
    this[HELD_SPANS] = this.intake;
    this.unpublish = this.publish();
  }

  onStart(): void {}

  /** Never throws: a span that cannot be read is counted as dropped. */
  onEnd(span: ReadableSpan): void {
    this.intake.end(span);
  }

  stats(): ProcessorStats {
    return {
      ledger: this.ledger.snapshot(),
      queue: { spans: this.queue.spanCount, bytes: this.queue.totalBytes, ...this.settings.bounds },
      ...this.dispatcher.stats(),
    };
  }

  /** Of the ledger, for who writes down how many spans may have ended: see `Ledger.witness`. */
  witness(limit: number, extend: (ended: number) => number): void {
    this.ledger.witness(limit, extend);
  }

  /**
   * Resolves when every span that ended before is acknowledged or durably stored. Rejects when some could not be
   * exported, or were dropped to make room for others, and at the deadline.
   */
  async forceFlush({ deadline }: DeadlineOptions = {}): Promise<void> {
    if (this.isStopped) return;
    const until = deadline ?? this.clock.now() + this.settings.flushTimeoutMillis;
    await this.flush(until);
  }

  /** Exports what it can within the deadline, then shuts the exporter down, whatever happened. Never rejects. */
  shutdown({ deadline }: DeadlineOptions = {}): Promise<void> {
    this.shutdownPromise ??= this.stop(deadline ?? this.clock.now() + this.settings.shutdownTimeoutMillis);
    return this.shutdownPromise;
  }

  private async flush(until: number): Promise<void> {
    if (this.queue.turns.isTaken) await undefined;
    const left = Math.max(0, until - this.clock.now());
    const deadline = until - Math.min(FLUSH_MARGIN_MILLIS, left / 100);
    const { inTime, failedSpans, error } = await this.drain(deadline);
    if (!inTime) {
      const { queued, inFlight } = this.ledger.snapshot();
      throw new ExportError(
        'DEADLINE_EXCEEDED',
        because(`forceFlush: ${queued + inFlight} spans were not exported in time`, error),
        { cause: error },
      );
    }
    const flushed = called(() => this.exporter.forceFlush({ deadline }));
    if (!(await settledBy(this.clock, until, flushed))) {
      throw new ExportError('DEADLINE_EXCEEDED', 'forceFlush: the exporter has not flushed in time');
    }
    await flushed;
    if (failedSpans === 0) return;
    const cause = error ?? new Error('they had to make room for others in the queue');
    throw new Error(because(`forceFlush: ${failedSpans} spans were not exported`, cause), { cause });
  }

  /** Everything that has ended so far leaves as fast as the slots allow. */
  private drain(deadline: number): Promise<FlushResult> {
    const generation = this.queue.endGeneration();
    this.dispatcher.pump();
    return this.tracker.wait(generation, deadline);
  }

  private async stop(deadline: number): Promise<void> {
    if (this.queue.turns.isTaken) await undefined;
    this.intake.close();
    // The exporter gets the second half: it may have retries to end, a spool to replay, connections to close.
    await this.attempt(() => this.drain((this.clock.now() + deadline) / 2));
    const shutDown = called(() => this.exporter.shutdown({ deadline }));
    await settledBy(this.clock, deadline, shutDown);
    this.isStopped = true;
    await this.attempt(() => this.dropQueue());
    this.dispatcher.stop();
    // Only what has just been aborted is still open, and settles in a few microtasks.
    await this.attempt(() => this.tracker.wait(this.queue.endGeneration(), deadline));
    for (const undo of this.unpublish) undo();
    this.instruments.shutdown();
  }

  /** Whatever goes wrong with the queue, a shutdown goes on. */
  private async attempt(step: () => unknown): Promise<void> {
    try {
      await step();
    } catch (error) {
      this.log.warn('shutdown', () => `a step of the shutdown failed: ${error}`);
    }
  }

  private dropQueue(): void {
    this.queue.sealOpen();
    for (let chunk = this.queue.take(); chunk; chunk = this.queue.take()) {
      this.ledger.dropQueued(chunk.spanCount, 'shutdown');
      const { spanCount, generation } = chunk;
      this.tracker.lost(generation, spanCount);
      this.tracker.closed(generation);
      this.log.warn('shutdown', () => `shut down with spans in the queue: ${spanCount} dropped`);
    }
  }

  private publish(): Array<() => void> {
    const { dispatcher, settings } = this;
    const gauges: Partial<Record<PipelineGauge, () => number>> = {
      queueSize: () => this.queue.spanCount,
      queueUtilization: () => this.utilization,
      exportErrorRate: () => dispatcher.exportRates().errorRate,
      exportTimeoutRate: () => dispatcher.exportRates().timeoutRate,
      exportLatencyP95Millis: () => dispatcher.latencyP95Millis,
      throttledExports: () => dispatcher.throttledExports,
    };
    if (!settings.signals) return [];
    const { signals } = settings;
    return Object.entries(gauges).map(([gauge, read]) => signals.publish(gauge as PipelineGauge, read));
  }

  private get utilization(): number {
    const { maxSpans, maxBytes } = this.settings.bounds;
    return Math.max(this.queue.spanCount / maxSpans, this.queue.totalBytes / maxBytes);
  }
}

const because = (what: string, error: Error | undefined): string => (error ? `${what}: ${describeError(error)}` : what);

/** Never throws synchronously. */
async function called(method: () => Promise<void>): Promise<void> {
  await method();
}
