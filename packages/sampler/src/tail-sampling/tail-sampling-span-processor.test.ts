import type { SpanProcessor } from '@otel-resilience/core';
import { type FakeSpanOverrides, VirtualClock } from '@otel-resilience/testing';
import { describe, expect, it } from 'vitest';
import { exportedAs, LedgerProcessor, TracedProcess } from '../../../../test/support/tail-sampling.js';
import type { TailSamplingSpanProcessorOptions } from './options.js';
import { TailSamplingSpanProcessor } from './tail-sampling-span-processor.js';

function setUp<N extends SpanProcessor = LedgerProcessor>(
  options: Partial<TailSamplingSpanProcessorOptions> = {},
  next: N = new LedgerProcessor() as never,
) {
  const clock = new VirtualClock();
  const tail = new TailSamplingSpanProcessor({ next, clock, metrics: false, ...options });
  return { clock, tail, next, process: new TracedProcess(tail) };
}

const named = (name: string, overrides: FakeSpanOverrides = {}) => ({ name, ...overrides });
const failed = (name: string) => named(name, { isError: true });

describe('a local trace that is held', () => {
  for (const sampled of [true, false]) {
    describe(sampled ? 'sampled' : 'recorded only', () => {
      it('goes on as a whole with threshold 0 when a span of it fails', () => {
        const { process, next, tail } = setUp();
        const root = process.root({ sampled });
        const child = process.child(root);
        process.end(process.child(child), failed('grandchild'));
        process.end(child, named('child'));
        expect(next.ended).toEqual([]);
        expect(tail.stats().held).toMatchObject({ traces: 1, spans: 2 });

        process.end(root, named('root'));

        expect(exportedAs(next.exported)).toEqual(['grandchild 0', 'child 0', 'root 0']);
        expect(tail.stats()).toMatchObject({
          ended: 3,
          kept: { error: 3, slow: 0, rule: 0 },
          keptTraces: { error: 1 },
          promoted: sampled ? 0 : 3,
          held: { traces: 0, spans: 0, bytes: 0 },
          balanced: true,
        });
      });

      it('goes on as a whole with threshold 0 when a span of it is slow', () => {
        const { process, next, tail } = setUp({ slowThresholdMillis: 100 });
        const root = process.root({ sampled });
        process.end(process.child(root), named('child', { durationMillis: 100.000001 }));
        process.end(root, named('root'));
        expect(exportedAs(next.exported)).toEqual(['child 0', 'root 0']);
        expect(tail.stats().kept.slow).toBe(2);
      });

      it('is decided as the head did when nothing is wrong with it', () => {
        const { process, next, tail } = setUp({ slowThresholdMillis: 100 });
        const root = process.root({ sampled });
        const child = process.end(process.child(root), named('child', { durationMillis: 100 }));
        const ended = process.end(root, named('root'));
        expect(exportedAs(next.exported)).toEqual(sampled ? ['child 8', 'root 8'] : []);
        if (sampled) expect(next.exported).toEqual([child, ended]);
        expect(tail.stats()).toMatchObject({ passed: sampled ? 2 : 0, unsampled: sampled ? 0 : 2, balanced: true });
        expect(next.ledger.snapshot()).toMatchObject({ ended: 2, held: 0, unsampled: sampled ? 0 : 2, balanced: true });
      });
    });
  }
});
