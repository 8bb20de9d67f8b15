import { adaptSpanExporter, type ReadableSpan, type SpanExporter } from '@otel-resilience/core';
import { resilience } from '@otel-resilience/node';
import { fakeSpan, VirtualClock } from '@otel-resilience/testing';
import { describe, expect, it } from 'vitest';

/** Takes everything, and says so after `latencyMillis`, whether or not anybody waits. */
class SlowReceiver implements SpanExporter {
  readonly copies = new Map<ReadableSpan, number>();
  private readonly clock: VirtualClock;
  private readonly latencyMillis: number;

  constructor(clock: VirtualClock, latencyMillis: number) {
    this.clock = clock;
    this.latencyMillis = latencyMillis;
  }

  export(spans: ReadableSpan[], callback: Parameters<SpanExporter['export']>[1]): void {
    this.clock.setTimeout(() => {
      for (const span of spans) this.copies.set(span, (this.copies.get(span) ?? 0) + 1);
      callback({ code: 0 });
    }, this.latencyMillis);
  }

  async shutdown(): Promise<void> {}
}

const SPANS_PER_SECOND = 500;
const BATCH_SPANS = 1_000;

async function run(latencies: readonly number[], seconds: number) {
  const clock = new VirtualClock();
  const receivers = latencies.map((latencyMillis) => new SlowReceiver(clock, latencyMillis));
  const exporters = receivers.map((receiver) => adaptSpanExporter(receiver, { maxConcurrentExports: 30, clock }));
  const pipeline = resilience({ exporters, clock });
  const [processor] = pipeline.sdk.spanProcessors;
  for (let tick = 0; tick < seconds * 10; tick++) {
    for (let i = 0; i < SPANS_PER_SECOND / 10; i++) processor!.onEnd(fakeSpan());
    await clock.advance(100);
  }
  await clock.advance(60_000);
  const status = pipeline.status();
  await clock.run(pipeline.shutdown());
  await clock.advance(60_000);
  const copies = receivers.flatMap((receiver) => [...receiver.copies]);
  const received = new Set(copies.map(([span]) => span)).size;
  const sent = copies.reduce((sum, [, times]) => sum + times, 0);
  return { status, received, duplicates: sent - received, timers: clock.pendingTimers };
}

describe('endpoints that take longer than an attempt has, over the whole preset', () => {
  it.each([[[2_100]], [[4_000]], [[2_100, 2_100]], [[4_000, 4_000]], [[2_100, 10]]])(
    'get everything, with few duplicates, all of them known: after %j ms',
    async (latencies) => {
      const seconds = 40;
      const { status, received, duplicates, timers } = await run(latencies, seconds);
      const ended = seconds * SPANS_PER_SECOND;
      expect(status.totals).toMatchObject({ ended, delivered: ended, rejected: 0, waiting: 0, dropped: {} });
      expect(status.balanced).toBe(true);
      expect(received).toBe(ended);
      expect(duplicates).toBeLessThanOrEqual(10 * BATCH_SPANS);
      expect(status.lateAcknowledged).toBe(duplicates);
      expect(timers).toBe(0);
    },
  );
});
