import {
  deliveredOutcome,
  type ExportContext,
  type ExportOutcome,
  failedOutcome,
  followedBy,
  type SpanBatch,
  SpanBatchExporterBase,
  sleep,
} from '@otel-resilience/core';
import type { VirtualClock } from '@otel-resilience/testing';
import fc from 'fast-check';

/** What a backend does to the batches that reach it, for a while. */
export type Mood =
  | { does: 'take'; latencyMillis: number }
  | { does: 'part'; share: number }
  | { does: 'fail'; failure: 'retryable' | 'throttled' | 'permanent' | 'refused'; hintMillis?: number }
  /** Ends when it is aborted; a `deaf` one never does. */
  | { does: 'hang'; deaf: boolean }
  /** Receives, and answers when nobody listens any more. */
  | { does: 'takeLate' }
  | { does: 'throw' }
  | { does: 'lie' };

/** Receives span names and keeps the books that the ledgers are compared with. */
export class Backend extends SpanBatchExporterBase {
  override readonly prefers = 'spans';
  override readonly maxConcurrentExports: number;
  mood: Mood = { does: 'take', latencyMillis: 5 };
  readonly received = new Map<string, number>();
  /** Received in an attempt that was given up: to be sent again, rightly. */
  readonly ambiguous = new Set<string>();
  /** Calls that have neither answered nor been given up by their caller. */
  open = 0;
  maxOpen = 0;
  shutdowns = 0;

  constructor(clock: VirtualClock, maxConcurrentExports: number) {
    super({ clock });
    this.maxConcurrentExports = maxConcurrentExports;
  }

  async exportBatch(batch: SpanBatch, { signal }: ExportContext): Promise<ExportOutcome> {
    this.maxOpen = Math.max(this.maxOpen, ++this.open);
    let left = false;
    const leave = () => {
      if (!left) this.open--;
      left = true;
    };
    signal.addEventListener('abort', leave, { once: true });
    try {
      return await this.answer(batch, signal);
    } finally {
      leave();
      signal.removeEventListener('abort', leave);
    }
  }

  protected override async onShutdown(): Promise<void> {
    this.shutdowns++;
  }

  private async answer(batch: SpanBatch, signal: AbortSignal): Promise<ExportOutcome> {
    const { mood } = this;
    switch (mood.does) {
      case 'take':
        await sleep(this.clock, mood.latencyMillis);
        return this.receive(batch, signal, batch.spanCount);
      case 'part':
        return this.receive(batch, signal, Math.floor(batch.spanCount * mood.share));
      case 'fail':
        return failedOutcome(batch, mood.failure, new Error(mood.failure), mood.hintMillis);
      case 'hang':
        if (!mood.deaf) return new Promise((resolve) => signal.addEventListener('abort', () => resolve(fail(batch))));
        return new Promise(() => {});
      case 'takeLate':
        await sleep(this.clock, 12_000);
        return this.receive(batch, signal, batch.spanCount);
      case 'throw':
        throw new Error('a bug');
      case 'lie':
        return deliveredOutcome(batch.spanCount + 1);
    }
  }

  private receive(batch: SpanBatch, signal: AbortSignal, count: number): ExportOutcome {
    for (const { name } of batch.spans().slice(0, count)) {
      this.received.set(name, (this.received.get(name) ?? 0) + 1);
      if (signal.aborted) this.ambiguous.add(name);
    }
    if (count === batch.spanCount) return deliveredOutcome(count);
    return followedBy(deliveredOutcome(count), fail(batch.slice(count)));
  }
}

const fail = (batch: SpanBatch) => failedOutcome(batch, 'retryable', new Error('no'));

export const mood: fc.Arbitrary<Mood> = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.record({ does: fc.constant('take' as const), latencyMillis: fc.constantFrom(0, 20, 700, 6_000) }),
  },
  fc.record({ does: fc.constant('part' as const), share: fc.double({ min: 0, max: 1, noNaN: true }) }),
  {
    weight: 3,
    arbitrary: fc.record({
      does: fc.constant('fail' as const),
      failure: fc.constantFrom('retryable', 'retryable', 'throttled', 'permanent', 'refused'),
      hintMillis: fc.option(fc.constantFrom(0, 1_500, 1e9), { nil: undefined }),
    }),
  },
  { weight: 2, arbitrary: fc.record({ does: fc.constant('hang' as const), deaf: fc.boolean() }) },
  fc.record({ does: fc.constantFrom('takeLate' as const, 'throw' as const, 'lie' as const) }) as fc.Arbitrary<Mood>,
);
