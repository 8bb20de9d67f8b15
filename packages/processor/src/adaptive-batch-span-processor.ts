import { setMaxListeners } from 'node:events';
import {
  adaptSpanExporter,
  type BatchToken,
  type Clock,
  type DeadlineOptions,
  ExportError,
  type ExportOutcome,
  giveUp,
  type Instruments,
  Ledger,
  LimitedLog,
  type ReadableSpan,
  type SpanBatchExporter,
  type SpanProcessor,
  settledBy,
  suppressTracing,
  systemClock,
  totalDropped,
} from '@otel-resilience/core';
import { BatchSize } from './batch-size.js';
import { BatchTimer } from './batch-timer.js';
import { BatchWait } from './batch-wait.js';
import { admit } from './drop-policies.js';
import { exportChunk } from './export-chunk.js';
import { ExportSlots } from './export-slots.js';
import { type FlushResult, FlushTracker } from './flush-tracker.js';
import {
  type AdaptiveBatchSpanProcessorOptions,
  MAX_BATCH_BYTES,
  type ProcessorSettings,
  readProcessorOptions,
} from './options.js';
import { processorInstruments } from './processor-instruments.js';
import type { ProcessorStats } from './processor-stats.js';
import { ResourceWait } from './resource-wait.js';
import { type QueuedChunk, SpanQueue } from './span-queue.js';

const SAMPLED = 1;
// A refused batch means that nobody was asked: the next one would be refused too if it came at once.
const REFUSAL_PAUSE_MILLIS = 1_000;
// Filling of the queue from which batches go to an exporter's own place, if it has one, when no slot is free.
const HIGH_WATER = 0.8;

/**
 * A batch span processor that accounts for every span: each one that ends is in exactly one state of the ledger.
 *
 * The queue is bounded in spans and in bytes; batches leave when they are full or have waited; batch size, wait and
 * concurrency adapt (see `BatchSize`, `BatchWait`, `ExportSlots` for the rules). `forceFlush` waits for exports in
 * flight and rejects at its deadline, `shutdown` always reaches the exporter and resolves at its own.
 */
export class AdaptiveBatchSpanProcessor implements SpanProcessor {
  private readonly settings: ProcessorSettings;
  private readonly clock: Clock;
  private readonly exporter: SpanBatchExporter;
  private readonly ledger = new Ledger();
  private readonly tracker: FlushTracker;
  private readonly queue: SpanQueue;
  private readonly slots: ExportSlots;
  private readonly resources: ResourceWait;
  private readonly batchSize: BatchSize;
  private readonly wait: BatchWait;
  private readonly timer: BatchTimer;
  private readonly log: LimitedLog;
  private readonly instruments: Instruments;
  private readonly unpublish: Array<() => void>;
  private readonly abortExports = new AbortController();
  private phase: 'running' | 'stopping' | 'stopped' = 'running';
  private shutdownPromise: Promise<void> | undefined;

  constructor(options: AdaptiveBatchSpanProcessorOptions) {
    this.settings = readProcessorOptions(options);
    const { batchSize, wait, adaptive, signals, clock = systemClock } = this.settings;
    this.clock = clock;
    this.exporter = adaptSpanExporter(this.settings.exporter, { clock });
    this.tracker = new FlushTracker(clock);
    this.queue = new SpanQueue({
      chunkSize: batchSize.initial,
      maxChunkBytes: MAX_BATCH_BYTES,
      lanes: this.settings.dropPolicy === 'priority',
      tracker: this.tracker,
    });
    this.slots = new ExportSlots(Math.min(this.settings.maxConcurrentExports, this.exporter.maxConcurrentExports));
    this.resources = new ResourceWait(clock);
    this.batchSize = new BatchSize(
      {
        ...(adaptive ? batchSize : { initial: batchSize.initial, min: batchSize.initial, max: batchSize.initial }),
        targetLatencyMillis: this.settings.targetLatencyMillis,
        intervalMillis: this.settings.adaptationIntervalMillis,
      },
      clock.now(),
    );
    this.wait = new BatchWait({ ...wait, min: adaptive ? wait.min : wait.max, worthwhileSpans: batchSize.min });
    this.timer = new BatchTimer(clock, () => this.pump());
    this.log = new LimitedLog('AdaptiveBatchSpanProcessor', { clock });
    this.instruments = processorInstruments(() => this.stats(), this.settings.metrics);
    setMaxListeners(0, this.abortExports.signal); // one listener per open export, of which there may be more than 10
    this.unpublish = [
      signals?.publish('queueSize', () => this.queue.spanCount),
      signals?.publish('queueUtilization', () => this.utilization),
      signals?.publish('exportLatencyP95Millis', () => this.batchSize.latencyP95Millis ?? Number.NaN),
    ].filter((undo) => undo !== undefined);
  }

  onStart(): void {}

  /** Never throws: a span that cannot be read is counted as dropped. */
  onEnd(span: ReadableSpan): void {
    try {
      if ((span.spanContext().traceFlags & SAMPLED) === 0) {
        this.ledger.endUnsampled();
        return;
      }
      if (this.phase !== 'running') {
        this.ledger.endDropped('shutdown');
        return;
      }
      this.enqueue(span);
    } catch (error) {
      this.ledger.endDropped('unreadable');
      this.log.warn('unreadable', () => `a span could not be read: ${error}`);
      return;
    }
    this.moveOn();
  }

  stats(): ProcessorStats {
    return {
      ledger: this.ledger.snapshot(),
      queue: { spans: this.queue.spanCount, bytes: this.queue.bytes, ...this.settings.bounds },
      batchSize: this.queue.chunkSize,
      batchWaitMillis: this.wait.currentMillis,
      exports: { open: this.slots.open, limit: this.slots.limit, max: this.slots.max },
      latencyP95Millis: this.batchSize.latencyP95Millis,
    };
  }

  /**
   * Resolves when every span that ended before is acknowledged or durably stored. Rejects when some could not be
   * exported, or were dropped to make room for others, and at the deadline.
   */
  async forceFlush({ deadline }: DeadlineOptions = {}): Promise<void> {
    if (this.phase === 'stopped') return;
    const until = deadline ?? this.clock.now() + this.settings.flushTimeoutMillis;
    await this.flush(until);
  }

  /** Exports what it can within the deadline, then shuts the exporter down, whatever happened. Never rejects. */
  shutdown({ deadline }: DeadlineOptions = {}): Promise<void> {
    this.shutdownPromise ??= this.stop(deadline ?? this.clock.now() + this.settings.shutdownTimeoutMillis);
    return this.shutdownPromise;
  }

  private enqueue(span: ReadableSpan): void {
    const { queue } = this;
    const { admitted, evicted } = admit(queue, this.settings.dropPolicy, this.settings.bounds, span);
    if (admitted) this.ledger.endQueued();
    else this.ledger.endDropped('queue_full');
    if (evicted > 0) this.ledger.dropQueued(evicted, 'queue_full');
    if (evicted > 0 || !admitted)
      this.log.warn(
        'queue_full',
        () => `the queue is full (${queue.spanCount} spans, ${queue.bytes} bytes): dropping spans`,
      );
  }

  /** After a span was queued: sends what is full, or arms the timer. By now the span is counted: this must not throw. */
  private moveOn(): void {
    try {
      if (this.queue.hasSealed && (this.slots.hasFree || this.isOverflowing)) this.pump();
      else if (!this.timer.isArmed) this.timer.arm(this.wait.currentMillis);
    } catch (error) {
      this.log.warn('pump', () => `a batch could not be sent: ${error}`);
    }
  }

  /** Hands sealed batches to the exporter while slots are free; arms the timer for what stays. */
  private pump(): void {
    const now = this.clock.now();
    while (this.slots.hasFree && !this.timer.isPaused(now)) {
      // Not before a slot is free: until then the open batches, one per lane, may as well go on filling.
      if (this.timer.due) {
        this.queue.sealOpen();
        this.timer.restart();
      }
      const chunk = this.queue.take();
      if (!chunk) break;
      this.dispatch(chunk);
    }
    // Every slot is taken and the queue is filling up: better in the exporter's spool now than dropped soon.
    while (this.isOverflowing) {
      const chunk = this.queue.take();
      if (!chunk) break;
      this.dispatch(chunk, true);
    }
    if (this.queue.spanCount === 0 || this.phase === 'stopped') this.timer.stop();
    else this.timer.arm(this.wait.currentMillis);
  }

  private get isOverflowing(): boolean {
    if (!this.exporter.takesOverflow) return false;
    const { spanCount, maxBytes } = this.queue;
    const { bounds } = this.settings;
    if (spanCount >= bounds.maxSpans * HIGH_WATER) return true;
    const highWaterBytes = bounds.maxBytes * HIGH_WATER;
    return maxBytes >= highWaterBytes && this.queue.bytes >= highWaterBytes;
  }

  private dispatch(chunk: QueuedChunk, overflow = false): void {
    const { exporter, slots, resources, clock } = this;
    this.instruments.refresh();
    const startedAt = clock.now();
    this.wait.observe(chunk.spanCount, startedAt);
    const token = this.ledger.dispatch(chunk.spanCount);
    // Whoever ended the last span of this batch has nothing to do with what happens to it.
    suppressTracing(() =>
      exportChunk(chunk, {
        exporter,
        slots,
        overflow,
        resources,
        clock,
        timeoutMillis: this.settings.exportTimeoutMillis,
        signal: this.abortExports.signal,
        onOutcome: (outcome) => this.settle(chunk, token, outcome, startedAt),
        onLateOutcome: (late) => {
          token.settle(late);
          this.pump();
        },
      }),
    );
  }

  private settle(chunk: QueuedChunk, token: BatchToken, outcome: ExportOutcome, startedAt: number): void {
    const now = this.clock.now();
    const { failure, error } = outcome;
    token.settle(isTimeout(error) ? giveUp(outcome, 'export_timeout') : outcome);
    if (this.settings.adaptive && (failure === 'retryable' || failure === 'throttled')) this.slots.shrink();
    if (outcome.stored === 0 && failure !== 'refused') {
      this.batchSize.observe({ durationMillis: now - startedAt, full: chunk.full, backlog: this.queue.hasSealed }, now);
    }
    this.queue.chunkSize = this.batchSize.current;
    this.instruments.recordDuration((now - startedAt) / 1000, error && { 'error.type': failure });
    const lost = (outcome.remaining?.spanCount ?? 0) + outcome.rejected + totalDropped(outcome.dropped);
    if (lost > 0)
      this.log.warn('export_failed', () => `${lost} spans were not exported: ${error?.message ?? 'rejected'}`);
    if (failure === 'refused') this.timer.pause(REFUSAL_PAUSE_MILLIS);
    if (lost > 0) this.tracker.lost(chunk.generation, lost, error);
    this.tracker.closed(chunk.generation);
    this.pump();
  }

  private async flush(until: number): Promise<void> {
    const result = await this.drain(until);
    const flushed = result && called(() => this.exporter.forceFlush({ deadline: until }));
    if (!flushed || !(await settledBy(this.clock, until, flushed))) {
      throw new ExportError('DEADLINE_EXCEEDED', 'forceFlush: not every span was exported in time');
    }
    await flushed;
    const { failedSpans, error } = result;
    if (failedSpans > 0) throw new Error(`forceFlush: ${failedSpans} spans were not exported`, { cause: error });
  }

  /** Everything that has ended so far leaves as fast as the slots allow: `undefined` if that is not by the deadline. */
  private drain(deadline: number): Promise<FlushResult | undefined> {
    const generation = this.queue.endGeneration();
    this.pump();
    return this.tracker.wait(generation, deadline);
  }

  private async stop(deadline: number): Promise<void> {
    this.phase = 'stopping';
    // The exporter gets the second half: it may have retries to end, a spool to replay, connections to close.
    await this.drain((this.clock.now() + deadline) / 2);
    const shutDown = called(() => this.exporter.shutdown({ deadline }));
    await settledBy(this.clock, deadline, shutDown);
    this.phase = 'stopped';
    this.timer.stop();
    this.dropQueue();
    this.abortExports.abort(new ExportError('SHUTDOWN', 'the processor has been shut down'));
    // Only what has just been aborted is still open, and settles in a few microtasks.
    await this.tracker.wait(this.queue.endGeneration(), deadline);
    for (const undo of this.unpublish) undo();
    this.instruments.shutdown();
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

  private get utilization(): number {
    const { maxSpans, maxBytes } = this.settings.bounds;
    return Math.max(this.queue.spanCount / maxSpans, this.queue.bytes / maxBytes);
  }
}

// By its code, not its class: there may be two copies of core in a process.
const isTimeout = (error: Error | undefined): boolean =>
  (error as { code?: unknown } | undefined)?.code === 'DEADLINE_EXCEEDED';

/** Never throws synchronously. */
async function called(method: () => Promise<void>): Promise<void> {
  await method();
}
