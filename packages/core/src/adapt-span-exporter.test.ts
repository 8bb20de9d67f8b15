import { runInNewContext } from 'node:vm';
import { VirtualClock } from '@otel-resilience/testing';
import { describe, expect, it, vi } from 'vitest';
import { type AdaptSpanExporterOptions, adaptSpanExporter, SpanExporterAdapter } from './adapt-span-exporter.js';
import { deliveredOutcome } from './export-outcome.js';
import type { ExportResult, ReadableSpan, SpanExporter } from './sdk-types.js';
import { SpanBatch } from './span-batch.js';

const batch = SpanBatch.fromSpans([{ name: 'a' }, { name: 'b' }] as ReadableSpan[]);
const SUCCESS: ExportResult = { code: 0 };

type Export = (spans: ReadableSpan[], callback: (result: ExportResult) => void) => unknown;

function adapt(exporting: Export, options: AdaptSpanExporterOptions = {}, part: Partial<SpanExporter> = {}) {
  const clock = new VirtualClock();
  const exporter = { export: exporting, shutdown: async () => {}, ...part } as SpanExporter;
  const adapter = new SpanExporterAdapter(exporter, { clock, ...options });
  const exportBatch = (timeoutMillis = 1_000) =>
    adapter.exportBatch(batch, { signal: new AbortController().signal, deadline: clock.now() + timeoutMillis });
  return { clock, adapter, exportBatch };
}

/** An exporter that keeps its callbacks, so that a test can answer when it likes. */
function silent(options?: AdaptSpanExporterOptions, part?: Partial<SpanExporter>) {
  const callbacks: Array<(result: ExportResult) => void> = [];
  return { callbacks, ...adapt((_, callback) => callbacks.push(callback), options, part) };
}

describe('an adapted exporter that answers', () => {
  it('delivers on SUCCESS, handing on the very spans, and frees its slot', async () => {
    let seen: ReadableSpan[] = [];
    const { clock, adapter, exportBatch } = adapt((spans, callback) => {
      seen = spans;
      callback(SUCCESS);
    });
    expect(await exportBatch()).toEqual(deliveredOutcome(2));
    expect(seen.map(({ name }) => name)).toEqual(['a', 'b']);
    expect(adapter.stats()).toEqual({ openExports: 0, lateAcknowledged: 0, extraCallbacks: 0 });
    expect(clock.pendingTimers).toBe(0);
  });

  it.each<[string, Export]>([
    ['FAILED without an error', (_, callback) => callback({ code: 1 })],
    ['no result', (_, callback) => callback(undefined as never)],
    ['null', (_, callback) => callback(null as never)],
    ['a garbage result', (_, callback) => callback('fine' as never)],
    ['an unknown code', (_, callback) => callback({ code: 7 })],
    ['an error that is none', (_, callback) => callback({ code: 1, error: 'no' as never })],
    [
      'a throw',
      () => {
        throw new Error('sync');
      },
    ],
    [
      'a throw of nothing',
      () => {
        throw undefined;
      },
    ],
    ['a rejected promise', async () => Promise.reject(new Error('async'))],
    ['a rejected promise of another realm', () => runInNewContext("Promise.reject(new Error('async'))")],
  ])('fails, always with an error, and frees its slot: %s', async (_, exporting) => {
    const { clock, adapter, exportBatch } = adapt(exporting);
    expect(await exportBatch()).toMatchObject({ failure: 'retryable', remaining: batch, error: expect.any(Error) });
    expect(adapter.stats()).toMatchObject({ openExports: 0, extraCallbacks: 0 });
    expect(clock.pendingTimers).toBe(0);
  });

  it('passes on the error it was given', async () => {
    const error = Object.assign(new Error('Bad Request'), { code: 400 });
    const { exportBatch } = adapt((_, callback) => callback({ code: 1, error }));
    expect(await exportBatch()).toMatchObject({ failure: 'permanent', error });
  });

  it.each<[string, ExportResult[], object]>([
    ['success, then failure', [SUCCESS, { code: 1 }], { delivered: 2 }],
    ['failure, then success', [{ code: 1 }, SUCCESS], { delivered: 0, remaining: batch }],
    ['success twice', [SUCCESS, SUCCESS], { delivered: 2 }],
  ])('counts its first callback and nothing but the number of the others: %s', async (_, results, outcome) => {
    const { adapter, exportBatch } = adapt((_spans, callback) => results.forEach(callback));
    expect(await exportBatch()).toMatchObject(outcome);
    expect(adapter.stats()).toEqual({ openExports: 0, lateAcknowledged: 0, extraCallbacks: 1 });
  });

  it('keeps its answer when it throws or rejects after it', async () => {
    const throwing = adapt((_, callback) => {
      callback(SUCCESS);
      throw new Error('too late');
    });
    expect(await throwing.exportBatch()).toEqual(deliveredOutcome(2));
    const rejecting = adapt(async (_, callback) => {
      callback(SUCCESS);
      throw new Error('too late');
    });
    expect(await rejecting.exportBatch()).toEqual(deliveredOutcome(2));
    expect(rejecting.adapter.stats().openExports).toBe(0);
  });
});

describe('an adapted exporter that does not answer', () => {
  it('keeps its slot beyond the timeout, is given nothing more meanwhile, and is used again after its callback', async () => {
    const { clock, adapter, callbacks, exportBatch } = silent();
    expect(await clock.run(exportBatch(1_000))).toMatchObject({ error: { code: 'DEADLINE_EXCEEDED' } });
    expect(await exportBatch()).toMatchObject({ failure: 'refused', remaining: batch, error: { code: 'REFUSED' } });
    expect(callbacks).toHaveLength(1);
    expect(adapter.stats()).toMatchObject({ openExports: 1, lateAcknowledged: 0 });

    callbacks[0]!(SUCCESS);
    await clock.settle();
    expect(adapter.stats()).toEqual({ openExports: 0, lateAcknowledged: 2, extraCallbacks: 0 });
    const next = exportBatch();
    await clock.settle();
    callbacks[1]!(SUCCESS);
    expect(await next).toEqual(deliveredOutcome(2));
    expect(clock.pendingTimers).toBe(0);
  });

  it('counts a late failure as nothing', async () => {
    const { clock, adapter, callbacks, exportBatch } = silent();
    await clock.run(exportBatch());
    callbacks[0]!({ code: 1 });
    await clock.settle();
    expect(adapter.stats()).toEqual({ openExports: 0, lateAcknowledged: 0, extraCallbacks: 0 });
  });

  it('is not believed to have answered because its promise resolved', async () => {
    const { clock, adapter, exportBatch } = adapt(async () => {});
    expect(await clock.run(exportBatch())).toMatchObject({ error: { code: 'DEADLINE_EXCEEDED' } });
    expect(adapter.stats().openExports).toBe(1);
    const refused = await clock.run(exportBatch());
    expect(refused.error?.message).toContain('export() returned a promise and has not called resultCallback');
  });

  it.each([1, 3])('is never called more than %i at a time', async (maxConcurrentExports) => {
    const { clock, adapter, callbacks, exportBatch } = silent({ maxConcurrentExports });
    expect(adapter.maxConcurrentExports).toBe(maxConcurrentExports);
    const outcomes = Promise.all(Array.from({ length: 5 }, () => exportBatch()));
    await clock.settle();
    expect(callbacks).toHaveLength(maxConcurrentExports);
    for (const callback of callbacks) callback(SUCCESS);
    const refused = (await outcomes).filter(({ failure }) => failure === 'refused');
    expect(refused).toHaveLength(5 - maxConcurrentExports);
  });
});

describe('an adapted exporter that is shut down', () => {
  it('takes nothing more, and a callback that comes after changes only its own count', async () => {
    const shutdown = vi.fn(async () => {});
    const { clock, adapter, callbacks, exportBatch } = silent({}, { shutdown });
    const open = exportBatch(1_000);
    await adapter.shutdown();
    expect(shutdown).toHaveBeenCalledOnce();
    expect(await exportBatch()).toMatchObject({ failure: 'shutdown', remaining: batch, error: { code: 'SHUTDOWN' } });
    expect(callbacks).toHaveLength(1);
    await clock.run(open);
    callbacks[0]!(SUCCESS);
    callbacks[0]!(SUCCESS);
    await clock.settle();
    expect(adapter.stats()).toEqual({ openExports: 0, lateAcknowledged: 2, extraCallbacks: 1 });
    expect(clock.pendingTimers).toBe(0);
  });

  it.each<[string, () => Promise<void>]>([
    ['rejects', async () => Promise.reject(new Error('no'))],
    [
      'throws',
      () => {
        throw new Error('no');
      },
    ],
    ['hangs', () => new Promise(() => {})],
  ])('resolves by the deadline although the exporter’s shutdown %s', async (_, shutdown) => {
    const { clock, adapter } = silent({}, { shutdown });
    const startedAt = clock.now();
    await clock.run(adapter.shutdown({ deadline: clock.now() + 500 }));
    expect(clock.now() - startedAt).toBeLessThanOrEqual(500);
    expect(clock.pendingTimers).toBe(0);
  });

  it('flushes the exporter where it can be flushed', async () => {
    const forceFlush = vi.fn(async () => {});
    await silent({}, { forceFlush }).adapter.forceFlush();
    expect(forceFlush).toHaveBeenCalledOnce();
    await silent().adapter.forceFlush();
  });
});

describe('adaptSpanExporter', () => {
  it('returns one of ours as it is', () => {
    const { adapter } = silent();
    expect(adaptSpanExporter(adapter)).toBe(adapter);
  });

  it('calls the exporter as its method', async () => {
    class Stateful {
      spans = 0;
      export(spans: ReadableSpan[], callback: (result: ExportResult) => void) {
        this.spans += spans.length;
        callback(SUCCESS);
      }
      async shutdown() {}
    }
    const stateful = new Stateful();
    const clock = new VirtualClock();
    const context = { signal: new AbortController().signal, deadline: clock.now() + 1_000 };
    await adaptSpanExporter(stateful, { clock }).exportBatch(batch, context);
    expect(stateful.spans).toBe(2);
  });

  it.each([
    [{ maxConcurrentExports: 0 }, /adaptSpanExporter\.maxConcurrentExports: expected an integer of at least 1, got 0/],
    [{ concurrency: 2 }, /adaptSpanExporter\.concurrency: expected one of maxConcurrentExports, clock/],
  ])('refuses %j', (options, message) => {
    expect(() => adaptSpanExporter({ export() {}, async shutdown() {} }, options as object)).toThrow(message);
  });
});
