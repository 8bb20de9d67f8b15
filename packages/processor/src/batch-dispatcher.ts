import { setMaxListeners } from 'node:events';
import {
  type BatchToken,
  type Clock,
  describeError,
  ExportError,
  type ExportOutcome,
  giveUp,
  type Instruments,
  isTimeout,
  type Ledger,
  type LimitedLog,
  type SpanBatchExporter,
  suppressTracing,
  totalDropped,
} from '@otel-resilience/core';
import { BatchShape } from './batch-shape.js';
import { BatchTimer } from './batch-timer.js';
import type { QueuedChunk } from './chunk.js';
import { exportChunk } from './export-chunk.js';
import { ExportSlots } from './export-slots.js';
import { type ExportRates, ExportWindow } from './export-window.js';
import type { FlushTracker } from './flush-tracker.js';
import { needStack } from './need-stack.js';
import type { ProcessorSettings } from './options.js';
import type { ProcessorStats } from './processor-stats.js';
import { ResourceWait } from './resource-wait.js';
import type { SpanQueue } from './span-queue.js';

export interface BatchDispatcherOptions {
  readonly settings: ProcessorSettings;
  readonly clock: Clock;
  readonly exporter: SpanBatchExporter;
  readonly ledger: Ledger;
  readonly queue: SpanQueue;
  readonly tracker: FlushTracker;
  readonly log: LimitedLog;
  readonly instruments: Instruments;
}

// A refused batch means that nobody was asked: the next one would be refused too if it came at once.
const REFUSAL_PAUSE_MILLIS = 1_000;
// Filling of the queue from which batches go to an exporter's own place, if it has one, when no slot is free.
const HIGH_WATER = 0.8;
// After so many spans it is looked again whether the level has changed.
const QUICK_SPANS = 32;

/**
 * Takes batches from the queue to the exporter: when they are full or have waited, as many at a time as it bears, and
 * writes their fate into the ledger. Batch size, wait and concurrency adapt by what becomes of them.
 */
export class BatchDispatcher {
  private readonly options: BatchDispatcherOptions;
  private readonly slots: ExportSlots;
  private readonly shape: BatchShape;
  private readonly window: ExportWindow;
  private readonly timer: BatchTimer;
  private readonly resources: ResourceWait;
  private readonly abortExports = new AbortController();
  private seenSeals = 0;
  private saidOverflow = false;
  private throttled = 0;
  private lostSpans = 0;
  private isStopped = false;

  constructor(options: BatchDispatcherOptions) {
    this.options = options;
    const { settings, clock, exporter, log } = options;
    this.slots = new ExportSlots(Math.min(settings.maxConcurrentExports, exporter.maxConcurrentExports));
    this.shape = new BatchShape(settings, clock.now(), log);
    this.window = new ExportWindow(clock.now());
    this.timer = new BatchTimer(clock, () => this.pump());
    this.resources = new ResourceWait(clock);
    setMaxListeners(0, this.abortExports.signal); // one listener per open export, of which there may be more than 10
  }

  stats(): Omit<ProcessorStats, 'ledger' | 'queue'> {
    const { slots, shape } = this;
    const { count, errorRate, timeoutRate } = this.exportRates();
    return {
      batchSize: shape.size,
      batchWaitMillis: shape.waitMillis,
      degradation: shape.degradation,
      exports: { open: slots.open, limit: slots.limit, max: slots.max },
      recentExports: {
        count,
        errorRate: orUndefined(errorRate),
        timeoutRate: orUndefined(timeoutRate),
        latencyP95Millis: orUndefined(this.latencyP95Millis),
      },
    };
  }

  /** Of the last 60 s. */
  exportRates(): ExportRates {
    return this.window.rates(this.options.clock.now());
  }

  /** Of the last 60 s. */
  get latencyP95Millis(): number {
    return this.window.latencyP95Millis(this.options.clock.now());
  }

  /** Exports that ended with a throttle so far. */
  get throttledExports(): number {
    return this.throttled;
  }

  /**
   * After a span came to the queue, or had to go: arms the timer, and sends what is full, or else lets the next spans come
   * without asking here. Never throws.
   */
  moveOn(overflowed: boolean): void {
    const { queue, log, settings } = this.options;
    try {
      this.shape.start();
      queue.chunkSize = this.shape.size;
      this.announceFilling(overflowed);
      // Before all that may fail: whatever stays in the queue is looked at again.
      if (!this.timer.isArmed) this.timer.arm(this.shape.waitMillis);
      if (!queue.hasSealed) queue.grant(QUICK_SPANS, settings.bounds);
      else if (this.slots.hasFree || this.isOverflowing) this.pump();
    } catch (error) {
      log.warn('pump', () => `a batch could not be sent: ${error}`);
    }
  }

  /** Hands sealed batches to the exporter while slots are free; arms the timer for what stays. */
  pump(): void {
    const { queue, clock } = this.options;
    const now = clock.now();
    while (this.slots.hasFree && !this.timer.isPaused(now)) {
      // Not before a slot is free: until then the open batches, one per lane, may as well go on filling.
      if (this.timer.due) {
        queue.sealOpen();
        this.timer.restart();
      }
      const chunk = this.takeNext();
      if (!chunk) break;
      this.dispatch(chunk);
    }
    // Every slot is taken and the queue is filling up: better in the exporter's spool now than dropped soon.
    while (this.isOverflowing) {
      const chunk = this.takeNext();
      if (!chunk) break;
      this.dispatch(chunk, true);
    }
    if (queue.spanCount === 0 || this.isStopped) this.timer.stop();
    else this.timer.arm(this.shape.waitMillis);
  }

  /** No batch leaves any more, and those under way end now, whether the exporter answers or not. */
  stop(): void {
    this.isStopped = true;
    this.timer.stop();
    this.abortExports.abort(new ExportError('SHUTDOWN', 'the processor has been shut down'));
  }

  /**
   * A batch has been sealed that no slot is free for, or spans have been dropped. The latter is said once: until an
   * export has ended, the queue stays full.
   */
  private announceFilling(overflowed: boolean): void {
    const { sealCount } = this.options.queue;
    const isSealed = sealCount !== this.seenSeals;
    if (!isSealed && !overflowed) return;
    this.seenSeals = sealCount;
    if ((isSealed && !this.slots.hasFree) || (overflowed && !this.saidOverflow)) this.announce();
    this.saidOverflow ||= overflowed;
  }

  /** A gauge has moved a good deal. Whoever ended the present span has nothing to do with what follows. */
  private announce(): void {
    const { signals } = this.options.settings;
    if (signals) suppressTracing(() => signals.changed());
  }

  private get isOverflowing(): boolean {
    const { queue, exporter, settings } = this.options;
    if (!exporter.takesOverflow) return false;
    const { spanCount, maxTotalBytes } = queue;
    const { bounds } = settings;
    if (spanCount >= bounds.maxSpans * HIGH_WATER) return true;
    const highWaterBytes = bounds.maxBytes * HIGH_WATER;
    return maxTotalBytes >= highWaterBytes && queue.totalBytes >= highWaterBytes;
  }

  /** Throws, and takes nothing, where it could not be dispatched: then it is for the next span, or the timer, to do. */
  private takeNext(): QueuedChunk | undefined {
    const { queue } = this.options;
    if (!queue.hasSealed) return undefined;
    needStack();
    return queue.take();
  }

  private dispatch(chunk: QueuedChunk, overflow = false): void {
    const { exporter, clock, ledger, instruments, settings } = this.options;
    instruments.refresh();
    const startedAt = clock.now();
    this.shape.left(chunk.spanCount, startedAt);
    const token = ledger.dispatch(chunk.spanCount);
    // Whoever ended the last span of this batch has nothing to do with what happens to it.
    suppressTracing(() =>
      exportChunk(chunk, {
        exporter,
        slots: this.slots,
        overflow,
        resources: this.resources,
        clock,
        timeoutMillis: settings.exportTimeoutMillis,
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
    const { settings, clock, queue, tracker, log, instruments } = this.options;
    const now = clock.now();
    const durationMillis = Math.max(0, now - startedAt);
    const { failure, error } = outcome;
    token.settle(isTimeout(error) ? giveUp(outcome, 'export_timeout') : outcome);
    if (settings.adaptive && (failure === 'retryable' || failure === 'throttled')) this.slots.shrink();
    if (outcome.stored === 0 && failure !== 'refused') {
      this.shape.exported({ durationMillis, full: chunk.full, backlog: queue.hasSealed }, now);
    }
    this.window.observe(outcome, chunk.spanCount, durationMillis, now);
    if (failure === 'throttled') this.throttled++;
    queue.chunkSize = this.shape.size;
    instruments.recordDuration(durationMillis / 1000, failure && { 'error.type': failure });
    const lost = (outcome.remaining?.spanCount ?? 0) + outcome.rejected + totalDropped(outcome.dropped);
    if (failure === 'refused') this.timer.pause(REFUSAL_PAUSE_MILLIS);
    if (lost > 0) {
      const why = error ?? new Error(reasonsOf(outcome));
      this.lostSpans += lost;
      log.warn(
        'export_failed',
        () => `${lost} spans were not exported (${this.lostSpans} so far): ${describeError(why)}`,
      );
      tracker.lost(chunk.generation, lost, why);
    }
    tracker.closed(chunk.generation);
    this.saidOverflow = false;
    this.pump();
    this.announce();
  }
}

// By its code, not its class: there may be two copies of core in a process.
const reasonsOf = ({ rejected, dropped }: ExportOutcome): string =>
  [...(rejected > 0 ? ['rejected'] : []), ...Object.keys(dropped)].join(', ');

const orUndefined = (value: number): number | undefined => (Number.isNaN(value) ? undefined : value);
