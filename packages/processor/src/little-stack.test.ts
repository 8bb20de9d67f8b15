import { fakeSpan, ScriptedBatchExporter, VirtualClock } from '@otel-resilience/testing';
import { describe, expect, it } from 'vitest';
import { AdaptiveBatchSpanProcessor } from './adaptive-batch-span-processor.js';

/** Calls `work` in frames upon frames: first where there is hardly any stack left, then where there is more and more. */
function whileStackReturns(work: () => void): void {
  let frames = 0;
  const deeper = () => {
    try {
      deeper();
    } finally {
      if (frames++ < 500) work();
    }
  };
  try {
    deeper();
  } catch (error) {
    expect(error).toBeInstanceOf(RangeError);
  }
}

describe('an application that has used up its stack', () => {
  it.each(['spans', 'bytes'] as const)(
    'loses no %s, nor a slot, for the spans that end on its way back',
    async (prefers) => {
      for (const maxExportBatchSize of [1, 2, 5, 21]) {
        const clock = new VirtualClock();
        const exporter = new ScriptedBatchExporter({ clock, prefers });
        const processor = new AdaptiveBatchSpanProcessor({ exporter, clock, maxExportBatchSize });
        const span = fakeSpan();
        for (let i = 0; i < 3; i++) {
          whileStackReturns(() => processor.onEnd(span));
          const { ledger, queue } = processor.stats();
          expect(ledger).toMatchObject({ queued: queue.spans, balanced: true });
          await clock.advance(60_000);
          const after = processor.stats();
          expect(after).toMatchObject({ ledger: { queued: 0, inFlight: 0, balanced: true }, exports: { open: 0 } });
        }
        await clock.run(processor.shutdown());
        const { delivered } = processor.stats().ledger;
        expect(exporter.exports.reduce((sum, { batch }) => sum + batch.spanCount, 0)).toBe(delivered);
        expect(clock.pendingTimers).toBe(0);
      }
    },
  );
});
