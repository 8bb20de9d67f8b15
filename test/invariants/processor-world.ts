import { getEventListeners } from 'node:events';
import {
  DEGRADATION_LEVELS,
  type DegradationLevel,
  type HeldSpans,
  heldSpansOf,
  type ReadableSpan,
  type SpanProcessor,
  totalDropped,
} from '@otel-resilience/core';
import {
  AdaptiveBatchSpanProcessor,
  type AdaptiveBatchSpanProcessorOptions,
  AttributeTrimmingSpanProcessor,
} from '@otel-resilience/processor';
import { fakeSpan } from '@otel-resilience/testing';
import fc from 'fast-check';
import { expect } from 'vitest';
import { asApplication, contextFaults } from '../support/application-context.js';
import type { Chaos, MakeChaos } from '../support/chaos-exporters.js';
import { SuppressingClock, TimerCount } from '../support/clocks.js';
import { arbitraryCommand, type Command, LARGEST_BYTES, SHAPES, SMALLEST_BYTES } from './commands.js';
import { Deadlines } from './deadlines.js';

export const arbitrarySettings = fc.record({
  maxQueueSize: fc.integer({ min: 1, max: 60 }),
  maxQueueBytes: fc.constantFrom(1_000, 10_000, 100_000, 33_554_432),
  batchShare: fc.double({ min: 0, max: 1, noNaN: true }),
  scheduledDelayMillis: fc.constantFrom(0, 100, 5_000),
  exportTimeoutMillis: fc.constantFrom(1, 1_000, 30_000),
  flushTimeoutMillis: fc.constantFrom(1, 2_000, 30_000),
  shutdownTimeoutMillis: fc.constantFrom(1, 2_000, 10_000),
  maxConcurrentExports: fc.integer({ min: 1, max: 6 }),
  dropPolicy: fc.constantFrom('oldest' as const, 'newest' as const, 'priority' as const),
  adaptive: fc.boolean(),
  adaptationIntervalMillis: fc.constantFrom(1_000, 30_000),
  // Looking measures what is queued, so it must not happen all the time.
  looksAtEverySpan: fc.boolean(),
  // Spans come through an AttributeTrimmingSpanProcessor.
  trims: fc.boolean(),
});

/** What may happen to a processor besides: somebody before it holds spans and lets them go, and the level moves. */
type ProcessorCommand =
  | Command
  | { readonly kind: 'hold' | 'discard'; readonly count: number }
  | { readonly kind: 'letGo'; readonly shape: string; readonly count: number }
  | { readonly kind: 'level'; readonly level: DegradationLevel };

const count = fc.integer({ min: 1, max: 30 });
export const arbitraryProcessorCommand: fc.Arbitrary<ProcessorCommand> = fc.oneof(
  { weight: 12, arbitrary: arbitraryCommand },
  {
    weight: 3,
    arbitrary: fc.record({ kind: fc.constantFrom('hold' as const, 'hold' as const, 'discard' as const), count }),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      kind: fc.constant('letGo' as const),
      shape: fc.constantFrom(...Object.keys(SHAPES)),
      count,
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({ kind: fc.constant('level' as const), level: fc.constantFrom(...DEGRADATION_LEVELS) }),
  },
);

/** A processor, its exporter and a clock, of which the invariants are checked after every command. */
export class World {
  readonly clock = new SuppressingClock();
  readonly chaos: Chaos;
  readonly processor: AdaptiveBatchSpanProcessor;
  readonly faults: string[] = [];
  private readonly exporterClock = new TimerCount(this.clock);
  private readonly options: AdaptiveBatchSpanProcessorOptions;
  private readonly looksAtEverySpan: boolean;
  private readonly concurrency: number;
  private readonly deadlines = new Deadlines(this.clock);
  private shutdown: Promise<void> | undefined;
  private readonly controller: { level: DegradationLevel } = { level: 'normal' };
  /** Where spans come in. */
  private readonly head: SpanProcessor;
  private readonly heldSpans: HeldSpans;
  private ended = 0;
  private held = 0;
  private letGo = 0;

  constructor(
    { batchShare, looksAtEverySpan, trims, ...options }: ValueOf<typeof arbitrarySettings>,
    makeChaos: MakeChaos,
  ) {
    this.chaos = makeChaos(this.exporterClock, (what) => this.faults.push(...contextFaults(what)));
    this.looksAtEverySpan = looksAtEverySpan;
    this.concurrency = Math.min(options.maxConcurrentExports, this.chaos.bears);
    const maxExportBatchSize = Math.max(1, Math.round(options.maxQueueSize * batchShare));
    const { controller, clock } = this;
    this.options = { ...options, maxExportBatchSize, exporter: this.chaos.exporter, clock, controller };
    this.processor = new AdaptiveBatchSpanProcessor(this.options);
    const next = this.processor;
    this.head = trims ? new AttributeTrimmingSpanProcessor({ next, controller, clock }) : next;
    this.heldSpans = heldSpansOf(this.head);
  }

  async run(command: ProcessorCommand): Promise<void> {
    switch (command.kind) {
      case 'end':
        for (let i = 0; i < command.count; i++) this.end(SHAPES[command.shape]!());
        return;
      case 'hold':
        for (let i = 0; i < command.count; i++) this.hold();
        return;
      case 'discard':
        return this.discard(Math.min(command.count, this.held));
      case 'letGo':
        for (let i = Math.min(command.count, this.held); i > 0; i--) this.release(SHAPES[command.shape]!());
        return;
      case 'level':
        this.controller.level = command.level;
        return;
      case 'advance':
        return this.clock.advance(command.millis);
      case 'release':
        this.chaos.release();
        return this.clock.settle();
      case 'flush':
        return this.flush(this.deadline(command.withinMillis));
      case 'shutdown':
        return this.shutDown(this.deadline(command.withinMillis));
    }
  }

  private end(span: ReadableSpan): void {
    asApplication(() => this.head.onEnd(span));
    this.ended++;
    if (this.looksAtEverySpan) this.check();
  }

  private hold(): void {
    asApplication(() => this.heldSpans.hold());
    this.ended++;
    this.held++;
    if (this.looksAtEverySpan) this.check();
  }

  private discard(count: number): void {
    const { unsampled } = this.processor.stats().ledger;
    this.heldSpans.discard(count);
    this.held -= count;
    expect(this.processor.stats().ledger.unsampled).toBe(unsampled + count);
  }

  private release(span: ReadableSpan): void {
    asApplication(() => this.heldSpans.release(span));
    this.held--;
    this.letGo++;
    if (this.looksAtEverySpan) this.check();
  }

  private deadline(withinMillis: number | undefined): number | undefined {
    return withinMillis === undefined ? undefined : this.clock.now() + withinMillis;
  }

  private async flush(deadline: number | undefined): Promise<void> {
    const at = deadline ?? this.clock.now() + this.options.flushTimeoutMillis!;
    const { ended, letGo } = this;
    const lostBefore = this.lost;
    const flushed = asApplication(() => this.processor.forceFlush(deadline === undefined ? {} : { deadline }));
    this.deadlines.expect('forceFlush', flushed, at);
    flushed
      .then(
        () => {
          // What ended, or was let go, in the meantime may have been lost, and is not what the flush was about.
          if (this.ended === ended && this.letGo === letGo) expect(this.lost).toBe(lostBefore);
        },
        () => {},
      )
      .catch((error) => this.faults.push(`forceFlush resolved although spans were lost: ${error}`));
    await this.clock.settle();
  }

  private async shutDown(deadline: number | undefined): Promise<void> {
    const at = deadline ?? this.clock.now() + this.options.shutdownTimeoutMillis!;
    const shutdown = asApplication(() => this.processor.shutdown(deadline === undefined ? {} : { deadline }));
    if (this.shutdown) expect(shutdown).toBe(this.shutdown);
    else {
      this.shutdown = shutdown;
      this.deadlines.expect('shutdown', shutdown, at);
      shutdown.catch((error) => this.faults.push(`shutdown rejected: ${error}`));
    }
    await this.clock.settle();
  }

  private get lost(): number {
    const { dropped, rejected } = this.processor.stats().ledger;
    return totalDropped(dropped) + rejected;
  }

  private get ownTimers(): number {
    return this.clock.pendingTimers - this.exporterClock.pendingTimers;
  }

  check(): void {
    const { ledger, queue, exports } = this.processor.stats();
    expect(ledger).toMatchObject({ ended: this.ended, queued: queue.spans, held: this.held, balanced: true });
    expect(queue.spans).toBeLessThanOrEqual(this.options.maxQueueSize!);
    expect(queue.bytes).toBeLessThanOrEqual(this.options.maxQueueBytes!);
    expect(queue.bytes).toBeGreaterThanOrEqual(queue.spans * SMALLEST_BYTES);
    expect(queue.bytes).toBeLessThanOrEqual(queue.spans * LARGEST_BYTES);
    expect(exports.open).toBeLessThanOrEqual(this.concurrency);
    expect(this.chaos.observed.maxOpenExports).toBeLessThanOrEqual(this.concurrency);
    this.deadlines.check();
    expect(this.ownTimers).toBeLessThanOrEqual(1 + 3 * this.concurrency + 3 * this.deadlines.pending);
    expect(this.listeners).toBeLessThanOrEqual(exports.open);
    expect(this.faults).toEqual([]);
  }

  /** Of the signal that outlives all exports. */
  private get listeners(): number {
    const { signal } = Reflect.get(Reflect.get(this.processor, 'dispatcher'), 'abortExports') as AbortController;
    return getEventListeners(signal, 'abort').length;
  }

  /** With an exporter that answers, whatever it answers, nothing waits for ever. */
  async calm(): Promise<void> {
    this.chaos.release();
    await this.clock.advance(1_200_000);
    this.check();
    if (this.chaos.observed.openExports === 0) expect(this.processor.stats().queue.spans).toBe(0);
  }

  async finish(): Promise<void> {
    await this.shutDown(undefined);
    await this.clock.run(this.shutdown!);
    this.check();
    const { ledger, exports } = this.processor.stats();
    expect(ledger).toMatchObject({ queued: 0, inFlight: 0 });
    expect(this.chaos.observed.shutdowns).toBe(1);
    if (this.deadlines.pending === 0) expect(this.ownTimers).toBe(0);
    expect(this.listeners).toBe(0);
    expect(exports.open).toBeLessThanOrEqual(this.chaos.observed.openExports);

    this.end(fakeSpan());
    this.hold();
    while (this.held > 1) this.release(fakeSpan());
    this.discard(1);
    this.chaos.release();
    await this.clock.advance(60_000);
    this.check();
    const after = this.processor.stats().ledger;
    expect(after).toMatchObject({ held: 0, unsampled: ledger.unsampled + 1 });
    expect(after.dropped.shutdown).toBe((ledger.dropped.shutdown ?? 0) + 1 + ledger.held);
    expect(after).toMatchObject({ delivered: ledger.delivered, rejected: ledger.rejected });
    expect(this.clock.pendingTimers).toBe(0);
    const { spanIds } = this.chaos;
    expect(new Set(spanIds).size).toBe(spanIds.length);
  }
}

type ValueOf<T> = T extends fc.Arbitrary<infer Value> ? Value : never;
