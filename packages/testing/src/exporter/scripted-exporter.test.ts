import { EXPORT_FAILED, EXPORT_SUCCESS, type ExportResult } from '@otel-resilience/core';
import { describe, expect, it } from 'vitest';
import { fakeSpans } from '../fake-span.js';
import { VirtualClock } from '../virtual-clock.js';
import { type ExportStep, ScriptedExporter } from './scripted-exporter.js';

function exporting(...script: ExportStep[]) {
  const clock = new VirtualClock();
  const exporter = new ScriptedExporter({ clock, script });
  const results: ExportResult[] = [];
  const run = () => exporter.export(fakeSpans(3), (result) => results.push(result));
  return { clock, exporter, results, run };
}

describe('ScriptedExporter', () => {
  it('takes one step per export, then answers success', () => {
    const error = new Error('down');
    const { exporter, results, run } = exporting('failure', { kind: 'failure', error });
    for (let i = 0; i < 3; i++) run();
    expect(results).toEqual([{ code: EXPORT_FAILED }, { code: EXPORT_FAILED, error }, { code: EXPORT_SUCCESS }]);
    expect('error' in results[0]!).toBe(false);
    expect(exporter.spans.length).toBe(9);
    expect(exporter.deliveredSpans.length).toBe(3);
    expect(exporter.exports.map(({ step }) => step)).toEqual(['failure', 'failure', 'success']);
  });

  it('throws, or returns a rejected promise, and calls nobody back', async () => {
    const { exporter, results, run } = exporting('throw', { kind: 'reject', error: new Error('async') });
    expect(run).toThrow('scripted throw');
    await expect(run()).rejects.toThrow('async');
    expect(results).toEqual([]);
    expect(exporter.openExports).toBe(0);
  });

  it('calls back twice', () => {
    const error = new Error('second');
    const { results, run } = exporting('twice', { kind: 'twice', error });
    run();
    run();
    expect(results.map(({ code }) => code)).toEqual([0, 0, 0, 1]);
  });

  it('calls back late, by the clock it was given', async () => {
    const { clock, results, run } = exporting({ kind: 'success', delayMillis: 500 });
    run();
    await clock.advance(499);
    expect(results).toEqual([]);
    await clock.advance(1);
    expect(results).toEqual([{ code: EXPORT_SUCCESS }]);
    expect(clock.pendingTimers).toBe(0);
  });

  it('calls back when its shutdown has been awaited', async () => {
    const { clock, exporter, results, run } = exporting('afterShutdown');
    run();
    await exporter.shutdown();
    expect(results).toEqual([]);
    await clock.settle();
    expect(results).toEqual([{ code: EXPORT_SUCCESS }]);
    run();
    expect(exporter.exports.map(({ afterShutdown }) => afterShutdown)).toEqual([false, true]);
  });

  it('leaves exports open until told, and knows how many were at once', () => {
    const { exporter, results, run } = exporting('never', 'never', 'success', 'never');
    for (let i = 0; i < 4; i++) run();
    expect([exporter.openExports, exporter.maxOpenExports]).toEqual([3, 3]);
    exporter.answerOpen({ code: EXPORT_FAILED });
    expect(exporter.openExports).toBe(0);
    expect(results.map(({ code }) => code)).toEqual([0, 1, 1, 1]);
    expect(exporter.deliveredSpans.length).toBe(3);
  });

  it('counts flushes and shutdowns, and answers them as told', async () => {
    const exporter = new ScriptedExporter({ onForceFlush: 'reject', onShutdown: 'throw' });
    await expect(exporter.forceFlush()).rejects.toThrow('forceFlush');
    expect(() => exporter.shutdown()).toThrow('shutdown');
    expect([exporter.forceFlushes, exporter.shutdowns]).toEqual([1, 1]);
  });
});
