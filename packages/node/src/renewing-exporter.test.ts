import type { ExportResult } from '@otel-resilience/core';
import { type ExportStep, ScriptedExporter, VirtualClock } from '@otel-resilience/testing';
import { describe, expect, it } from 'vitest';
import { RenewingExporter } from './renewing-exporter.js';

const unavailable = Object.assign(new Error('14 UNAVAILABLE'), { code: 14 });

function setUp(otherwise: ExportStep = 'success') {
  const clock = new VirtualClock();
  const made: ScriptedExporter[] = [];
  const exporter = new RenewingExporter((generation) => {
    expect(generation).toBe(made.length);
    const next = new ScriptedExporter({ otherwise, clock });
    made.push(next);
    return next;
  }, clock);
  const send = () => new Promise<ExportResult>((resolve) => exporter.export([], resolve));
  return { clock, made, exporter, send };
}

describe('RenewingExporter', () => {
  it('keeps one connection while it works', async () => {
    const { clock, made, send } = setUp();
    for (let i = 0; i < 5; i++) {
      expect((await send()).code).toBe(0);
      await clock.advance(10_000);
    }
    expect(made).toHaveLength(1);
  });

  it('connects anew after a failure, but not more than once a second', async () => {
    const { clock, made, send } = setUp({ kind: 'failure', error: unavailable });
    for (let i = 0; i < 40; i++) {
      expect((await send()).error).toBe(unavailable);
      await clock.advance(250);
    }
    expect(made.length).toBeGreaterThanOrEqual(9);
    expect(made.length).toBeLessThanOrEqual(11);
    for (const old of made.slice(0, -1)) expect(old.shutdowns).toBe(1);
    expect(made.at(-1)!.shutdowns).toBe(0);
  });

  it('stays with a receiver that answers, if only to say no', async () => {
    const error = Object.assign(new Error('3 INVALID_ARGUMENT'), { code: 3 });
    const { clock, made, send } = setUp({ kind: 'failure', error });
    for (let i = 0; i < 10; i++) {
      await send();
      await clock.advance(1_000);
    }
    expect(made).toHaveLength(1);
  });

  it('shuts down what is in use and waits for what is not', async () => {
    const { clock, made, exporter, send } = setUp({ kind: 'failure', error: unavailable });
    await send();
    await clock.advance(1_000);
    await send();
    await exporter.shutdown();
    expect(made.map(({ shutdowns }) => shutdowns)).toEqual([1, 1]);
    await send();
    expect(made).toHaveLength(2);
  });
});
