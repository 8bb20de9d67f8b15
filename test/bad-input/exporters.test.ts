import { type ExportResult, type ReadableSpan, type SpanExporter, totalDropped } from '@otel-resilience/core';
import { type ResilienceOptions, resilience } from '@otel-resilience/node';
import { AdaptiveBatchSpanProcessor } from '@otel-resilience/processor';
import { fakeSpans, ScriptedExporter, VirtualClock } from '@otel-resilience/testing';
import { describe, expect, it } from 'vitest';
import { UNPRINTABLE } from '../support/hostile-spans.js';

type Done = (result: ExportResult) => void;
type Misbehaviour = (spans: ReadableSpan[], done: Done) => unknown;

const SUCCESS: ExportResult = { code: 0 };
const FAILED: ExportResult = { code: 1, error: new Error('no') };
const later = (fn: () => void) => void setImmediate(fn);

/** What an exporter may do wrong, and whether the spans it was given count as delivered then. */
const MISBEHAVIOURS: Record<string, { export: Misbehaviour; delivers: boolean }> = {
  'throws an error': { export: thrower(new Error('thrown')), delivers: false },
  'throws nothing': { export: thrower(undefined), delivers: false },
  'throws what cannot be printed': { export: thrower(UNPRINTABLE), delivers: false },
  rejects: { export: () => Promise.reject(new Error('rejected')), delivers: false },
  'rejects with what cannot be printed': { export: () => Promise.reject(UNPRINTABLE), delivers: false },
  'returns a thenable that rejects': {
    // biome-ignore lint/suspicious/noThenProperty: that is the point
    export: () => ({ then: (_: unknown, reject: (error: Error) => void) => later(() => reject(new Error('no'))) }),
    delivers: false,
  },
  'returns a thenable that throws': {
    // biome-ignore lint/suspicious/noThenProperty: that is the point
    export: () => ({ then: thrower(new Error('no then')) }),
    delivers: false,
  },
  'returns a promise of a result and never calls back': { export: async () => SUCCESS, delivers: false },
  'never calls back': { export: () => {}, delivers: false },
  'calls back with nothing': { export: answer(undefined), delivers: false },
  'calls back with null': { export: answer(null), delivers: false },
  'calls back with an empty result': { export: answer({}), delivers: false },
  'calls back with an unknown code': { export: answer({ code: 7 }), delivers: false },
  'calls back with the name of a code': { export: answer({ code: 'SUCCESS' }), delivers: false },
  'fails without an error': { export: answer({ code: 1 }), delivers: false },
  'fails with null for an error': { export: answer({ code: 1, error: null }), delivers: false },
  'fails with text for an error': { export: answer({ code: 1, error: 'no' }), delivers: false },
  'fails with an error that cannot be read': {
    export: answer({ code: 1, error: new Proxy(new Error('no'), { get: thrower(new Error('unreadable')) }) }),
    delivers: false,
  },
  'fails with a cause in a circle': { export: answer({ code: 1, error: circularError() }), delivers: false },
  'succeeds twice': { export: answers(SUCCESS, SUCCESS), delivers: true },
  'succeeds, then fails': { export: answers(SUCCESS, FAILED), delivers: true },
  'fails, then succeeds': { export: answers(FAILED, SUCCESS), delivers: false },
  'succeeds, then throws': {
    export: (_, done) => {
      done(SUCCESS);
      throw new Error('afterwards');
    },
    delivers: true,
  },
  'succeeds, then rejects': {
    export: async (_, done) => {
      done(SUCCESS);
      throw new Error('afterwards');
    },
    delivers: true,
  },
  'empties the list of spans, then fails': {
    export: (spans, done) => {
      spans.length = 0;
      done(FAILED);
    },
    delivers: false,
  },
};

/** `then` stands for what it does when it is flushed and shut down. */
function badExporter(misbehave: Misbehaviour, then: () => unknown = async () => {}) {
  const calls = { exports: 0, open: 0, mostOpen: 0, shutdowns: 0 };
  const exporter = {
    export(spans: ReadableSpan[], done: Done) {
      calls.exports++;
      calls.mostOpen = Math.max(calls.mostOpen, ++calls.open);
      try {
        return misbehave(spans, (result) => {
          calls.open--;
          done(result);
        });
      } catch (error) {
        calls.open--;
        throw error;
      }
    },
    forceFlush: then,
    shutdown() {
      calls.shutdowns++;
      return then();
    },
  } as SpanExporter;
  return { exporter, calls };
}

describe.each(Object.keys(MISBEHAVIOURS))('an exporter that %s', (name) => {
  const { export: misbehave, delivers } = MISBEHAVIOURS[name]!;

  it('changes nothing but its own count, under the processor alone', async () => {
    const clock = new VirtualClock();
    const { exporter, calls } = badExporter(misbehave);
    const processor = new AdaptiveBatchSpanProcessor({ exporter, clock, maxExportBatchSize: 5 });
    for (const span of fakeSpans(20)) processor.onEnd(span);
    await clock.advance(200_000);
    const { ledger } = processor.stats();
    expect(ledger).toMatchObject({ ended: 20, queued: 0, inFlight: 0, delivered: delivers ? 20 : 0, balanced: true });
    expect(totalDropped(ledger.dropped)).toBe(delivers ? 0 : 20);
    await clock.run(processor.shutdown());
    expect(calls.shutdowns).toBe(1);
    expect(processor.stats().ledger).toEqual(ledger);
    expect(clock.pendingTimers).toBe(0);
  });

  it('loses no span when there is another, in the whole pipeline', async () => {
    const clock = new VirtualClock();
    const good = new ScriptedExporter({ clock });
    const { exporter, calls } = badExporter(misbehave);
    const { sdk, status, shutdown } = resilience({ exporters: [exporter, good], clock } as ResilienceOptions);
    const spans = fakeSpans(1_000);
    for (const span of spans) sdk.spanProcessors[0]!.onEnd(span);
    await clock.advance(60_000);
    expect(status()).toMatchObject({ balanced: true, totals: { ended: 1_000, delivered: 1_000, dropped: {} } });
    expect(new Set(good.deliveredSpans).size).toBe(delivers ? 0 : 1_000);
    await clock.run(shutdown());
    expect([calls.shutdowns, good.shutdowns]).toEqual([1, 1]);
    expect(clock.pendingTimers).toBe(0);
  });
});

describe('an exporter that acknowledges after its shutdown', () => {
  it('is counted beside', async () => {
    const clock = new VirtualClock();
    const exporter = new ScriptedExporter({ clock, otherwise: 'afterShutdown' });
    const processor = new AdaptiveBatchSpanProcessor({ exporter, clock, maxExportBatchSize: 5 });
    for (const span of fakeSpans(5)) processor.onEnd(span);
    await clock.run(processor.shutdown());
    await clock.settle();
    const { ledger } = processor.stats();
    expect(exporter.deliveredSpans).toHaveLength(5);
    expect(ledger.delivered + totalDropped(ledger.dropped)).toBe(5);
    expect(ledger).toMatchObject({ ended: 5, queued: 0, inFlight: 0, balanced: true });
    expect(clock.pendingTimers).toBe(0);
  });
});

describe.each<[string, (() => unknown) | undefined]>([
  ['throws', thrower(new Error('thrown'))],
  ['rejects', () => Promise.reject(UNPRINTABLE)],
  ['never resolves', () => new Promise(() => {})],
  ['returns nothing', () => undefined],
  ['is not there', undefined],
])('an exporter whose forceFlush and shutdown %s', (_, then) => {
  it('delivers, and does not outlast the deadlines', async () => {
    const clock = new VirtualClock();
    const { exporter, calls } = badExporter(answer(SUCCESS), then ?? (() => {}));
    if (!then) delete exporter.forceFlush;
    const good = new ScriptedExporter({ clock });
    const { sdk, status, shutdown } = resilience({ exporters: [exporter, good], clock });
    for (const span of fakeSpans(10)) sdk.spanProcessors[0]!.onEnd(span);
    const startedAt = clock.now();
    await clock.run(sdk.spanProcessors[0]!.forceFlush().catch(() => {}));
    expect(clock.now() - startedAt).toBeLessThanOrEqual(30_000);
    const stoppedAt = clock.now();
    await clock.run(shutdown());
    await clock.advance(0);
    expect(clock.now() - stoppedAt).toBeLessThanOrEqual(10_000);
    expect(status()).toMatchObject({ balanced: true, totals: { delivered: 10, dropped: {} } });
    expect([calls.shutdowns, good.shutdowns]).toEqual([1, 1]);
    expect(clock.pendingTimers).toBe(0);
  });
});

function thrower(thrown: unknown): () => never {
  return () => {
    throw thrown;
  };
}

function answer(result: unknown): Misbehaviour {
  return (_, done) => later(() => done(result as ExportResult));
}

function answers(first: ExportResult, second: ExportResult): Misbehaviour {
  return (_, done) => {
    done(first);
    later(() => done(second));
  };
}

function circularError(): Error {
  const error = new Error('round');
  error.cause = error;
  return error;
}
