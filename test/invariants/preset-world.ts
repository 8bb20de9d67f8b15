import { isSpanBatchExporter, type ReadableSpan, type SpanProcessor, totalDropped } from '@otel-resilience/core';
import { type Resilience, type ResilienceStatus, resilience } from '@otel-resilience/node';
import { type ArchiveTierOptions, MemorySpool, type RoutingRule } from '@otel-resilience/tiered';
import fc from 'fast-check';
import { expect } from 'vitest';
import { asApplication, contextFaults } from '../support/application-context.js';
import { batchChaos, type Chaos, type MakeChaos, stockChaos } from '../support/chaos-exporters.js';
import { SuppressingClock, TimerCount } from '../support/clocks.js';
import { type Command, SHAPES } from './commands.js';
import { Deadlines } from './deadlines.js';

const MAX_SPOOL_BYTES = 100_000;
const FLUSH_MILLIS = 20_000;
const SHUTDOWN_MILLIS = 8_000;

export const anyExporters = fc.array(
  fc.oneof(
    stockChaos,
    batchChaos({ stores: false, prefers: 'spans' }),
    batchChaos({ stores: false, prefers: 'bytes' }),
  ),
  { minLength: 1, maxLength: 3 },
);
/** With these the whole pipeline carries bytes. */
export const exportersOfBytes = fc.array(batchChaos({ stores: false, prefers: 'bytes' }), {
  minLength: 1,
  maxLength: 3,
});

export const arbitraryPreset = fc.record({
  processor: fc.record({
    maxQueueSize: fc.integer({ min: 4, max: 200 }),
    maxQueueBytes: fc.constantFrom(30_000, 33_554_432),
    scheduledDelayMillis: fc.constantFrom(0, 1_000),
    exportTimeoutMillis: fc.constantFrom(3_000, 30_000),
  }),
  strategy: fc.constantFrom('priority', 'roundRobin', 'weighted', 'random', 'fastest', 'leastInFlight'),
});

/** Exporters behind hot, each with a spool of its own, and rules that have spans for all of them. */
const anArchive = fc.record({
  make: fc.oneof(
    stockChaos,
    batchChaos({ stores: true, prefers: 'spans' }),
    batchChaos({ stores: true, prefers: 'bytes' }),
  ),
  maxBytes: fc.constantFrom(5_000, 100_000),
  maxBatchBytes: fc.constantFrom(1, 10_000, 1_000_000),
  scheduledDelayMillis: fc.constantFrom(0, 500, 60_000),
  exportTimeoutMillis: fc.constantFrom(2_000, 60_000),
});
const to = fc.uniqueArray(fc.constantFrom('hot' as const, 'warm' as const, 'cold' as const), { minLength: 1 });
const aRule: fc.Arbitrary<RoutingRule> = fc.record(
  {
    error: fc.boolean(),
    lane: fc.constantFrom('errors' as const, 'localRoots' as const, 'rest' as const),
    fromLevel: fc.constantFrom('light' as const, 'moderate' as const),
    minAgeMillis: fc.constantFrom(0, 5_000, 60_000),
    to,
  },
  { requiredKeys: ['to'] },
);
export const someArchives = fc.record({
  warm: anArchive,
  cold: anArchive,
  // Nothing goes to cold without a rule.
  rules: fc.array(aRule, { maxLength: 3 }).map((rules) => [...rules, { service: 'to-cold', to: 'cold' as const }]),
  /** Spans end at the wall time of the test, or long ago. */
  areNew: fc.boolean(),
});
export const noArchives = fc.constant(undefined);

/** The whole pipeline over arbitrary exporters, of which the invariants are checked after every command. */
export class PresetWorld {
  readonly clock = new SuppressingClock();
  private readonly exporterClock = new TimerCount(this.clock);
  private readonly deadlines = new Deadlines(this.clock);
  private readonly chaos: readonly Chaos[];
  private readonly archived: Chaos[] = [];
  private readonly pipeline: Resilience;
  private readonly processor: SpanProcessor;
  private readonly faults: string[] = [];
  private shutdown: Promise<void> | undefined;
  private ended = 0;
  private readonly areNew: boolean;

  constructor(
    makers: readonly MakeChaos[],
    { processor, strategy }: ValueOf<typeof arbitraryPreset>,
    archives?: ValueOf<typeof someArchives>,
  ) {
    const observe = (what: string) => this.faults.push(...contextFaults(what));
    this.chaos = makers.map((make) => make(this.exporterClock, observe));
    this.areNew = archives?.areNew ?? false;
    const archive = ({ make, maxBytes, ...settings }: ValueOf<typeof anArchive>): ArchiveTierOptions => {
      const chaos = make(this.exporterClock, observe);
      this.archived.push(chaos);
      return { exporter: chaos.exporter, spool: new MemorySpool({ maxBytes }), ...settings };
    };
    this.pipeline = resilience({
      exporters: this.chaos.map(({ exporter }) => ({ exporter })),
      processor: { ...processor, flushTimeoutMillis: FLUSH_MILLIS, shutdownTimeoutMillis: SHUTDOWN_MILLIS },
      failover: { strategy },
      spool: { maxBytes: MAX_SPOOL_BYTES },
      ...(archives && {
        tiered: { warm: archive(archives.warm), cold: archive(archives.cold), rules: archives.rules },
      }),
      // The level moves by what the pipeline says, and not by the machine that runs this.
      degradation: { triggers: { cpu: false, memory: false, heap: false, eventLoop: false } },
      clock: this.clock,
    });
    this.processor = this.pipeline.sdk.spanProcessors[0]!;
  }

  async run(command: Command): Promise<void> {
    switch (command.kind) {
      case 'end':
        for (let i = 0; i < command.count; i++) this.end(SHAPES[command.shape]!());
        return this.clock.settle();
      case 'advance':
        return this.clock.advance(command.millis);
      case 'release':
        for (const chaos of [...this.chaos, ...this.archived]) chaos.release();
        return this.clock.settle();
      case 'flush':
        return this.flush();
      case 'shutdown':
        return this.shutDown();
    }
  }

  private end(span: ReadableSpan): void {
    asApplication(() => this.processor.onEnd(this.areNew ? endedAt(span, this.clock.wallTime()) : span));
    this.ended++;
  }

  private async flush(): Promise<void> {
    const { ended } = this;
    const lostBefore = lostOf(this.pipeline.status());
    const stopping = this.shutdown !== undefined;
    const flushed = asApplication(() => this.processor.forceFlush());
    this.deadlines.expect('forceFlush', flushed, this.clock.now() + FLUSH_MILLIS);
    const onFlushed = () => {
      // What ended in the meantime, or during a shutdown, is not what the flush was about.
      if (this.ended !== ended || stopping || this.shutdown) return;
      const status = this.pipeline.status();
      const { warm, cold } = status.tiered;
      const forArchives = (warm?.spool.waiting ?? 0) + (cold?.spool.waiting ?? 0);
      if (forArchives > 0) this.faults.push(`flushed with ${forArchives} spans waiting for archives`);
      if (status.totals.waiting > 0) this.faults.push(`flushed with ${status.totals.waiting} spans waiting`);
      if (lostOf(status) > lostBefore) this.faults.push(`flushed with ${lostOf(status) - lostBefore} spans lost`);
    };
    flushed.then(onFlushed, () => {});
    await this.clock.settle();
  }

  private async shutDown(): Promise<void> {
    const shutdown = asApplication(() => this.pipeline.shutdown());
    if (!this.shutdown) {
      this.deadlines.expect('shutdown', shutdown, this.clock.now() + SHUTDOWN_MILLIS);
      shutdown.catch((error) => this.faults.push(`shutdown rejected: ${error}`));
    }
    this.shutdown ??= shutdown;
    await this.clock.settle();
  }

  check(): void {
    const { balanced, totals, processor, tiered } = this.pipeline.status();
    expect(balanced).toBe(true);
    expect(totals.ended).toBe(this.ended);
    const { delivered, rejected, archived, waiting, unsampled, dropped } = totals;
    expect(delivered + rejected + archived + waiting + unsampled + totalDropped(dropped)).toBe(this.ended);
    expect(Math.min(delivered, rejected, archived, waiting, unsampled)).toBeGreaterThanOrEqual(0);
    for (const tier of [tiered.warm, tiered.cold]) {
      if (!tier) continue;
      expect(tier.spool.accepted).toBe(tier.routedSpans + tier.divertedSpans + tier.copiedSpans);
      expect(tier.spool.bytes).toBeLessThanOrEqual(tier.spool.maxBytes);
    }
    expect(delivered).toBeLessThanOrEqual(this.acknowledged);
    expect(processor.queue.spans).toBeLessThanOrEqual(processor.queue.maxSpans);
    expect(processor.queue.bytes).toBeLessThanOrEqual(processor.queue.maxBytes);
    expect(tiered.spool.bytes).toBeLessThanOrEqual(MAX_SPOOL_BYTES);
    // An adapted exporter is never called beyond what it bears; one of ours is trusted to end when its signal aborts.
    for (const { observed, exporter } of [...this.chaos, ...this.archived]) {
      if (!isSpanBatchExporter(exporter)) expect(observed.maxOpenExports).toBeLessThanOrEqual(1);
    }
    this.deadlines.check();
    expect(this.faults).toEqual([]);
  }

  /** Spans that some exporter has acknowledged, each once. */
  private get acknowledged(): number {
    return new Set(this.chaos.flatMap(({ acknowledged }) => acknowledged)).size;
  }

  private get ownTimers(): number {
    return this.clock.pendingTimers - this.exporterClock.pendingTimers;
  }

  async finish(): Promise<void> {
    await this.shutDown();
    await this.clock.run(this.shutdown!);
    await this.clock.advance(0); // every layer has a timer for the same deadline
    this.check();
    for (const { observed } of [...this.chaos, ...this.archived]) expect(observed.shutdowns).toBe(1);
    if (this.deadlines.pending === 0) expect(this.ownTimers).toBe(0);
    const { totals } = this.pipeline.status();
    expect(totals.waiting).toBe(0);

    for (const chaos of [...this.chaos, ...this.archived]) chaos.release();
    await this.clock.advance(120_000);
    this.check();
    expect(this.pipeline.status().totals).toEqual(totals); // late answers change nothing
    expect(this.clock.pendingTimers).toBe(0);
  }
}

/** The same span, whatever it is, that ends then. */
function endedAt(span: ReadableSpan, wallMillis: number): ReadableSpan {
  if (typeof span !== 'object') return span;
  const endTime = [Math.floor(wallMillis / 1_000), Math.floor((wallMillis % 1_000) * 1e6)];
  return Object.create(span, { endTime: { value: endTime } });
}

/** On the way to the exporters. What a replay out of the spool loses is in the spool's books alone. */
const lostOf = ({ processor: { ledger } }: ResilienceStatus): number => ledger.rejected + totalDropped(ledger.dropped);

type ValueOf<T> = T extends fc.Arbitrary<infer Value> ? Value : never;
