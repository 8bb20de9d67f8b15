import {
  deliveredOutcome,
  type ExportContext,
  type ExportOutcome,
  failedOutcome,
  type ReadableSpan,
  SpanBatch,
  SpanBatchExporterBase,
} from '@otel-resilience/core';
import { VirtualClock } from '@otel-resilience/testing';
import { describe, expect, it } from 'vitest';
import type { TieredSpanExporterOptions } from './options.js';
import { MemorySpool } from './spool/memory-spool.js';
import { TieredSpanExporter } from './tiered-span-exporter.js';

type Script = (batch: SpanBatch, context: ExportContext) => Promise<ExportOutcome> | ExportOutcome;

const take: Script = (batch) => deliveredOutcome(batch.spanCount);
const refuse: Script = (batch) => failedOutcome(batch, 'retryable', new Error('ECONNREFUSED'));
/** Never answers; ends when it is aborted, as a leaf whose packets are dropped. */
const swallow: Script = (batch, { signal }) =>
  new Promise((resolve) => {
    signal.addEventListener('abort', () => resolve(failedOutcome(batch, 'retryable', new Error('aborted'))));
  });

/** A hot tier that does what its script says, and remembers what it took, in order. */
class Hot extends SpanBatchExporterBase {
  override readonly prefers = 'spans';
  override readonly maxConcurrentExports: number;
  script: Script = take;
  readonly taken: string[] = [];
  readonly calls: Array<{ at: number; name: string; lastResort: boolean; live: boolean }> = [];
  open = 0;
  maxOpen = 0;
  shutdowns = 0;

  constructor(clock: VirtualClock, maxConcurrentExports = Number.POSITIVE_INFINITY) {
    super({ clock });
    this.maxConcurrentExports = maxConcurrentExports;
  }

  async exportBatch(batch: SpanBatch, context: ExportContext): Promise<ExportOutcome> {
    const names = batch.spans().map((span) => span.name);
    this.calls.push({ at: this.clock.now(), name: names[0]!, lastResort: context.lastResort === true, live: false });
    this.maxOpen = Math.max(this.maxOpen, ++this.open);
    const outcome = await this.script(batch, context);
    this.open--;
    const remaining = new Set(outcome.remaining?.spans().map((span) => span.name));
    if (outcome.delivered > 0) this.taken.push(...names.filter((name) => !remaining.has(name)));
    return outcome;
  }

  protected override async onShutdown(): Promise<void> {
    this.shutdowns++;
  }
}

const batchOf = (...names: string[]) =>
  SpanBatch.fromSpans(
    names.map((name) => ({ name }) as ReadableSpan),
    { byteLength: 100 * names.length },
  );

function setUp(options: Partial<TieredSpanExporterOptions> & { slots?: number } = {}) {
  const { slots, ...rest } = options;
  const clock = new VirtualClock();
  const hot = new Hot(clock, slots);
  const spool = new MemorySpool();
  const tiered = new TieredSpanExporter({ hot, spool, clock, ...rest });
  const send = (...names: string[]) =>
    tiered.exportBatch(batchOf(...names), {
      signal: new AbortController().signal,
      deadline: clock.now() + 30_000,
    });
  return { clock, hot, spool, tiered, send };
}

describe('TieredSpanExporter', () => {
  it('delivers live, starts nothing, and leaves no timer', async () => {
    const { clock, hot, tiered, send } = setUp();
    expect(await send('a', 'b')).toEqual(deliveredOutcome(2));
    expect(hot.taken).toEqual(['a', 'b']);
    expect(clock.pendingTimers).toBe(0);
    await tiered.shutdown();
    expect(clock.pendingTimers).toBe(0);
    expect(hot.shutdowns).toBe(1);
  });

  it('keeps what hot refuses and replays it, oldest first, within a second of the recovery', async () => {
    const { clock, hot, spool, tiered, send } = setUp();
    hot.script = refuse;
    for (const name of ['a', 'b', 'c']) {
      expect(await send(name)).toMatchObject({ stored: 1, delivered: 0 });
      await clock.advance(100);
    }
    await clock.advance(9_765);
    expect(hot.taken).toEqual([]);
    hot.script = take;
    const recoveredAt = clock.now();
    await clock.advance(500);
    expect(hot.taken).toEqual(['a', 'b', 'c']);
    expect(hot.calls.find(({ at }) => at >= recoveredAt)).toMatchObject({ name: 'a', lastResort: true });
    expect(spool.stats()).toMatchObject({ accepted: 3, delivered: 3, waiting: 0, balanced: true });
    expect(clock.pendingTimers).toBe(0);
    await tiered.shutdown();
  });

  it('finds out within a second that a hot tier which swallowed everything is back', async () => {
    const { clock, hot, send } = setUp({ slots: 30 });
    hot.script = swallow;
    const first = send('live');
    await clock.advance(5_000);
    expect(await first).toMatchObject({ stored: 1 });
    for (let i = 0; i < 60; i++) expect(await send(`s${i}`)).toMatchObject({ stored: 1 });
    await clock.advance(12_345);
    hot.script = take;
    await clock.advance(500);
    expect(hot.taken.length).toBeGreaterThan(0);
  });

  it('counts what is refused for good as rejected, and stays up', async () => {
    const { hot, tiered, send } = setUp();
    hot.script = (batch) => failedOutcome(batch, 'permanent', new Error('400'));
    expect(await send('a')).toMatchObject({ rejected: 1, stored: 0 });
    expect(tiered.stats().hot.kind).toBe('up');
  });

  it('drops with a count what is left at the deadline of a shutdown, and reaches hot', async () => {
    const { clock, hot, spool, tiered, send } = setUp();
    hot.script = refuse;
    await send('a');
    const startedAt = clock.now();
    await clock.run(tiered.shutdown({ deadline: startedAt + 3_000 }));
    expect(clock.now() - startedAt).toBeLessThanOrEqual(3_000);
    expect(spool.stats()).toMatchObject({ dropped: { shutdown: 1 }, waiting: 0, balanced: true });
    expect(hot.shutdowns).toBe(1);
    expect(clock.pendingTimers).toBe(0);
    expect(await send('b')).toMatchObject({ dropped: { shutdown: 1 }, stored: 0 });
  });
});
