import { BasicTracerProvider, type SpanProcessor } from '@opentelemetry/sdk-trace-base';
import type { LevelSource } from '@otel-resilience/core';
import { AdaptiveBatchSpanProcessor, AttributeTrimmingSpanProcessor } from '@otel-resilience/processor';
import {
  DegradationSampler,
  type DegradationSamplerOptions,
  TailSamplingSpanProcessor,
} from '@otel-resilience/sampler';
import { ScriptedExporter, VirtualClock } from '@otel-resilience/testing';
import { describe, expect, it } from 'vitest';
import { UNPRINTABLE } from '../support/hostile-spans.js';
import { endTrace, thresholdOf } from './application.js';

type Members = { [K in keyof LevelSource]?: unknown };

/** A controller that is as it should be while it is looked at by constructors, and then as it is told to be. */
class Turncoat {
  now: { get(member: keyof LevelSource): unknown } = { get: (member) => (member === 'level' ? 'heavy' : undefined) };

  readonly controller: LevelSource = new Proxy({} as LevelSource, {
    get: (_, member) => this.now.get(member as keyof LevelSource),
  });

  turn(members: Members | (() => never)): void {
    this.now = { get: typeof members === 'function' ? members : (member) => ({ level: 'heavy', ...members })[member] };
  }
}

/** All that takes a controller, in a real tracer provider. */
function following(options: Partial<DegradationSamplerOptions> = {}) {
  const clock = new VirtualClock();
  const exporter = new ScriptedExporter({ clock });
  const turncoat = new Turncoat();
  const common = { controller: turncoat.controller, clock, metrics: false };
  const batching = new AdaptiveBatchSpanProcessor({ ...common, exporter });
  const trimming = new AttributeTrimmingSpanProcessor({ ...common, next: batching });
  const tail = new TailSamplingSpanProcessor({ ...common, next: trimming });
  const sampler = new DegradationSampler({ ...common, ...options });
  const provider = new BasicTracerProvider({ sampler, spanProcessors: [tail as SpanProcessor] });
  return { clock, exporter, turncoat, batching, trimming, tail, sampler, provider, tracer: provider.getTracer('test') };
}

function thrower(thrown: unknown): () => never {
  return () => {
    throw thrown;
  };
}

const LEVELS: Record<string, Members | (() => never)> = {
  'throws on every access': thrower(new Error('no')),
  'throws what cannot be printed': thrower(UNPRINTABLE),
  'has no level': { level: undefined },
  'has null for a level': { level: null },
  'has a number for a level': { level: 3 },
  'has NaN for a level': { level: Number.NaN },
  'has a level that there is not': { level: 'mild' },
  'has a member of every object for a level': { level: 'constructor' },
  'has a symbol for a level': { level: Symbol('heavy') },
  'has an object for a level': { level: { toString: () => 'heavy' } },
  'has what cannot be printed for a level': { level: UNPRINTABLE },
  'has an isActive that throws': { isActive: thrower(UNPRINTABLE) },
  'has an isActive that returns rubbish': { isActive: () => UNPRINTABLE },
  'has an isActive that is none': { isActive: 'always' },
  'has a start that throws': { start: thrower(UNPRINTABLE) },
  'has a start that rejects': { start: () => Promise.reject(UNPRINTABLE) },
  'has a start that is none': { start: 5 },
};

describe.each(Object.keys(LEVELS))('a controller that %s', (name) => {
  for (const when of ['from the first span on', 'later'] as const) {
    it(`${when}: nothing is thrown, every span is accounted for, errors are kept`, async () => {
      const { clock, exporter, turncoat, batching, trimming, tail, sampler, provider, tracer } = following();
      if (when === 'later') endTrace(tracer, { failed: true });
      const before = batching.stats().ledger.ended;
      turncoat.turn(LEVELS[name]!);
      for (let i = 0; i < 200; i++) endTrace(tracer, { failed: i % 10 === 0 });
      for (const part of [batching, trimming, tail, sampler]) expect(() => part.stats()).not.toThrow();
      await clock.run(provider.forceFlush());
      const failed = exporter.deliveredSpans.filter(({ status }) => status.code === 2);
      expect(failed).toHaveLength(20 + before / 2);
      // What is exported can be counted, whatever level has been in force.
      expect(exporter.deliveredSpans.every((span) => thresholdOf(span) !== undefined)).toBe(true);
      await clock.run(provider.shutdown());
      const { ledger } = batching.stats();
      expect(ledger).toMatchObject({ ended: 400 + before, held: 0, balanced: true, dropped: {} });
      expect([trimming.stats(), tail.stats().balanced, sampler.stats().level]).toBeDefined();
      expect(clock.pendingTimers).toBe(0);
    });
  }
});

describe('a controller that throws for a while', () => {
  it('leaves in force what was, rules included', () => {
    const rules = [{ name: 'health', ratio: 0, keepErrors: false }];
    const { turncoat, sampler, tracer } = following({ rules });
    endTrace(tracer);
    turncoat.turn(thrower(new Error('no')));
    for (let i = 0; i < 300; i++) endTrace(tracer);
    for (let i = 0; i < 100; i++) expect(endTrace(tracer, { name: 'health' })[0]!.isRecording()).toBe(false);
    const { sampled, level, failures } = sampler.stats();
    expect(level).toBe('heavy');
    expect(sampled).toBeLessThan(60); // of 300 at 1 %, and their children
    expect(failures).toBeGreaterThan(0);
    turncoat.turn({ level: 'normal' });
    const [root] = endTrace(tracer);
    expect([thresholdOf(root!), sampler.stats().level]).toEqual(['0', 'normal']);
  });

  it('has what is not certain any more decided by the spans that have begun', async () => {
    const { clock, exporter, turncoat, tail, provider, tracer } = following();
    const root = tracer.startSpan('request');
    turncoat.turn(thrower(UNPRINTABLE));
    root.setStatus({ code: 2 });
    root.end();
    await clock.run(provider.forceFlush());
    expect(exporter.deliveredSpans.map(thresholdOf)).toEqual(['0']);
    expect(tail.stats()).toMatchObject({ held: { spans: 0 }, balanced: true });
    await clock.run(provider.shutdown());
  });
});
