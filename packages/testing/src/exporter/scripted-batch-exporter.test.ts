import { accountedFor, type ExportContext, SpanBatch } from '@otel-resilience/core';
import { describe, expect, it } from 'vitest';
import { fakeSpans } from '../fake-span.js';
import { VirtualClock } from '../virtual-clock.js';
import { type OutcomeStep, ScriptedBatchExporter } from './scripted-batch-exporter.js';

const batch = SpanBatch.fromSpans(fakeSpans(10));
const CONTEXT: ExportContext = { signal: new AbortController().signal, deadline: 60_000 };

function exporting(...script: OutcomeStep[]) {
  const clock = new VirtualClock();
  const exporter = new ScriptedBatchExporter({ clock, script });
  return { clock, exporter, run: (context = CONTEXT) => exporter.exportBatch(batch, context) };
}

describe('ScriptedBatchExporter', () => {
  it('accounts for every span, whatever the step', async () => {
    const script: OutcomeStep[] = [
      { kind: 'delivered', rejected: 3 },
      'stored',
      { kind: 'failed', failure: 'throttled', retryAfterMillis: 700, delivered: 4 },
      'refused',
      (_, { deadline }) => ({ delivered: 9, rejected: 0, stored: 0, dropped: { [`by ${deadline}`]: 1 } }),
    ];
    const { exporter, run } = exporting(...script);
    const outcomes = [];
    for (let i = 0; i <= script.length; i++) outcomes.push(await run());
    expect(outcomes.map(accountedFor)).toEqual([10, 10, 10, 10, 10, 10]);
    expect(outcomes[0]).toMatchObject({ delivered: 7, rejected: 3 });
    expect(outcomes[1]).toMatchObject({ stored: 10 });
    expect(outcomes[2]).toMatchObject({ delivered: 4, failure: 'throttled', retryAfterMillis: 700 });
    expect(outcomes[2]!.remaining?.spanCount).toBe(6);
    expect(outcomes[3]).toMatchObject({ failure: 'refused', error: { code: 'REFUSED' }, remaining: batch });
    expect(outcomes[4]!.dropped).toEqual({ 'by 60000': 1 });
    expect(outcomes[5]).toMatchObject({ delivered: 10 });
    expect(exporter.deliveredCount).toBe(7 + 4 + 9 + 10);
  });

  it('hangs, rejects, or answers late, and records calls and concurrency', async () => {
    const { clock, exporter, run } = exporting('hang', 'throw', { kind: 'delivered', delayMillis: 200 });
    run();
    await expect(run({ ...CONTEXT, lastResort: true })).rejects.toThrow('scripted throw');
    const late = run();
    expect(exporter.openExports).toBe(2);
    await clock.advance(200);
    expect(await late).toMatchObject({ delivered: 10 });
    expect([exporter.openExports, exporter.maxOpenExports]).toEqual([1, 2]);
    expect(exporter.exports.map(({ context }) => context.lastResort)).toEqual([undefined, true, undefined]);
    expect(clock.pendingTimers).toBe(0);
  });

  it('is flushed and shut down as told', async () => {
    const exporter = new ScriptedBatchExporter({
      clock: new VirtualClock(),
      onForceFlush: 'throw',
      maxConcurrentExports: 2,
    });
    await expect(exporter.forceFlush()).rejects.toThrow('forceFlush throws');
    await exporter.shutdown();
    expect([exporter.forceFlushes, exporter.shutdowns, exporter.maxConcurrentExports]).toEqual([1, 1, 2]);
  });
});
