import { diag } from '@opentelemetry/api';
import { VirtualClock } from '@otel-resilience/testing';
import fc from 'fast-check';
import { afterEach, describe, expect, it, vi } from 'vitest';
import {
  deliveredOutcome,
  droppedOutcome,
  type ExportOutcome,
  failedOutcome,
  storedOutcome,
} from './export-outcome.js';
import type { ExportResult, ReadableSpan } from './sdk-types.js';
import type { SpanBatch } from './span-batch.js';
import { type DeadlineOptions, isSpanBatchExporter, type SpanBatchExporter } from './span-batch-exporter.js';
import { SpanBatchExporterBase, type SpanBatchExporterBaseOptions } from './span-batch-exporter-base.js';

type ExportBatch = (batch: SpanBatch) => Promise<ExportOutcome>;

class Layer extends SpanBatchExporterBase {
  exportBatch: ExportBatch;
  own: { flush?: () => Promise<void>; shutdown?: () => Promise<void> } = {};

  constructor(
    options: SpanBatchExporterBaseOptions = {},
    exportBatch: ExportBatch = async (b) => deliveredOutcome(b.spanCount),
  ) {
    super(options);
    this.exportBatch = exportBatch;
  }

  get signal(): AbortSignal {
    return this.shutdownSignal;
  }

  protected override onFlush(): Promise<void> {
    return this.own.flush?.() ?? Promise.resolve();
  }

  protected override onShutdown(): Promise<void> {
    return this.own.shutdown?.() ?? Promise.resolve();
  }
}

type Behaviour = 'resolves' | 'rejects' | 'throws' | 'hangs';
const BEHAVIOURS: readonly Behaviour[] = ['resolves', 'rejects', 'throws', 'hangs'];

function behave(behaviour: Behaviour): Promise<void> {
  switch (behaviour) {
    case 'resolves':
      return Promise.resolve();
    case 'rejects':
      return Promise.reject(new Error('rejected'));
    case 'throws':
      throw new Error('thrown');
    case 'hangs':
      return new Promise(() => {});
  }
}

function child(behaviour: Behaviour, part: Partial<SpanBatchExporter> = {}) {
  const calls = { flush: [] as DeadlineOptions[], shutdown: [] as DeadlineOptions[] };
  const exporter: SpanBatchExporter = {
    prefers: 'bytes',
    maxConcurrentExports: 10,
    exportBatch: async (batch) => deliveredOutcome(batch.spanCount),
    forceFlush: (options = {}) => {
      calls.flush.push(options);
      return behave(behaviour);
    },
    shutdown: (options = {}) => {
      calls.shutdown.push(options);
      return behave(behaviour);
    },
    ...part,
  };
  return { exporter, calls };
}

const spans = [{}, {}, {}] as ReadableSpan[];

async function exportOnce(exportBatch: ExportBatch): Promise<ExportResult> {
  const clock = new VirtualClock();
  const layer = new Layer({ clock }, exportBatch);
  const result = await clock.run(new Promise<ExportResult>((resolve) => layer.export(spans, resolve)));
  expect(clock.pendingTimers).toBe(0);
  return result;
}

describe('SpanBatchExporterBase as a stock SpanExporter', () => {
  it.each<[string, ExportBatch]>([
    ['delivered', async () => deliveredOutcome(3)],
    ['rejected by the receiver', async () => deliveredOutcome(3, 3)],
    ['stored', async () => storedOutcome(3)],
  ])('reports SUCCESS for what was %s', async (_, exportBatch) => {
    expect(await exportOnce(exportBatch)).toEqual({ code: 0 });
  });

  it.each<[string, ExportBatch, RegExp]>([
    ['failed', async (batch) => failedOutcome(batch, 'retryable', new Error('down')), /down/],
    ['was dropped', async () => droppedOutcome(3, 'full'), /3 spans dropped: full/],
    [
      'threw',
      () => {
        throw new Error('sync');
      },
      /sync/,
    ],
    ['rejected', () => Promise.reject(new Error('async')), /async/],
    ['returned nothing', async () => undefined as never, /./],
    ['never answered', () => new Promise(() => {}), /no answer within 30000 ms/],
  ])('reports FAILED with an error when the batch %s', async (_, exportBatch, message) => {
    const { code, error } = await exportOnce(exportBatch);
    expect(code).toBe(1);
    expect(error).toBeInstanceOf(Error);
    expect(error?.message).toMatch(message);
  });

  it('waits in forceFlush for the exports it has taken', async () => {
    const clock = new VirtualClock();
    let answer: (outcome: ExportOutcome) => void = () => {};
    const layer = new Layer({ clock }, () => new Promise((resolve) => (answer = resolve)));
    const order: string[] = [];
    layer.export(spans, () => order.push('exported'));
    const flushed = layer.forceFlush().then(() => order.push('flushed'));
    await clock.settle();
    expect(order).toEqual([]);
    answer(deliveredOutcome(3));
    await flushed;
    expect(order).toEqual(['exported', 'flushed']);
    // Private, but a leak shows nowhere else.
    expect(Reflect.get(layer, 'unansweredExports')).toHaveProperty('size', 0);
    expect(clock.pendingTimers).toBe(0);
  });

  it('answers every export that is open when its shutdown ends, and every one after it, with FAILED', async () => {
    const clock = new VirtualClock();
    const layer = new Layer({ clock, children: [child('resolves').exporter] }, () => new Promise(() => {}));
    const warned = vi.spyOn(process, 'emitWarning');
    const results: ExportResult[] = [];
    for (let i = 0; i < 50; i++) layer.export(spans, (result) => results.push(result));
    await clock.settle();
    expect(results).toEqual([]);
    await clock.run(layer.shutdown());
    layer.export(spans, (result) => results.push(result));
    await clock.settle();
    expect(results).toHaveLength(51);
    for (const { code, error } of results) expect([code, error]).toMatchObject([1, { code: 'SHUTDOWN' }]);
    expect(clock.pendingTimers).toBe(0);
    expect(warned).not.toHaveBeenCalled();
  });

  afterEach(() => vi.restoreAllMocks());

  it('logs what the callback throws, since nobody is left to catch it', async () => {
    const logged = vi.spyOn(diag, 'error');
    const clock = new VirtualClock();
    new Layer({ clock }).export(spans, () => {
      throw new Error('callback');
    });
    await clock.settle();
    expect(logged).toHaveBeenCalledOnce();
  });
});

describe('SpanBatchExporterBase as a layer', () => {
  it('prefers spans if any child does, and takes the least concurrency of its children', () => {
    const spansChild = child('resolves', { prefers: 'spans', maxConcurrentExports: 3 }).exporter;
    const bytesChild = child('resolves').exporter;
    const layer = new Layer({ children: [bytesChild, spansChild] });
    expect([layer.prefers, layer.maxConcurrentExports]).toEqual(['spans', 3]);
    const bytesOnly = new Layer({ children: [bytesChild] });
    expect([bytesOnly.prefers, bytesOnly.maxConcurrentExports]).toEqual(['bytes', 10]);
    expect(new Layer().maxConcurrentExports).toBe(Number.POSITIVE_INFINITY);
  });

  it('carries the brand, which no enumeration shows', () => {
    const layer = new Layer();
    expect(isSpanBatchExporter(layer)).toBe(true);
    expect(isSpanBatchExporter({ ...layer })).toBe(false);
  });
});

describe('SpanBatchExporterBase.forceFlush', () => {
  it('resolves once its own part and every child have', async () => {
    const children = [child('resolves'), child('resolves')];
    const clock = new VirtualClock();
    const layer = new Layer({ clock, children: children.map(({ exporter }) => exporter) });
    let flushed = false;
    layer.own.flush = async () => {
      flushed = true;
    };
    await layer.forceFlush({ deadline: 5_000 });
    expect(flushed).toBe(true);
    for (const { calls } of children) expect(calls.flush).toEqual([{ deadline: 5_000 }]);
    expect(clock.pendingTimers).toBe(0);
  });

  it('lets a child that answers only when it is flushed answer', async () => {
    const clock = new VirtualClock();
    let answer: (outcome: ExportOutcome) => void = () => {};
    const forceFlush = async () => answer(deliveredOutcome(3));
    const layer = new Layer(
      { clock, children: [child('resolves', { forceFlush }).exporter] },
      () => new Promise((resolve) => (answer = resolve)),
    );
    const results: ExportResult[] = [];
    layer.export(spans, (result) => results.push(result));
    await layer.forceFlush();
    expect(results).toEqual([{ code: 0 }]);
  });

  it('reaches every child, ends by its deadline, resolves only if all did, and throws nothing synchronously', async () => {
    const behaviour = fc.constantFrom(...BEHAVIOURS);
    await fc.assert(
      fc.asyncProperty(behaviour, fc.array(behaviour, { maxLength: 4 }), async (own, others) => {
        const clock = new VirtualClock();
        const children = others.map((other) => child(other));
        const layer = new Layer({ clock, children: children.map(({ exporter }) => exporter) });
        layer.own.flush = () => behave(own);
        const startedAt = clock.now();
        const all = [own, ...others];
        const flush = layer.forceFlush({ deadline: startedAt + 1_000 });
        const rejected = await clock.run(
          flush.then(
            () => undefined,
            (error: Error) => error,
          ),
        );
        expect(clock.now() - startedAt).toBe(all.includes('hangs') ? 1_000 : 0);
        expect(rejected === undefined).toBe(all.every((b) => b === 'resolves'));
        // A layer that is still busy itself may yet hand something to its children.
        if (own !== 'hangs') for (const { calls } of children) expect(calls.flush).toHaveLength(1);
        expect(clock.pendingTimers).toBe(0);
      }),
    );
  });

  it('rejects at its deadline with DEADLINE_EXCEEDED, after 30 s by default', async () => {
    const clock = new VirtualClock();
    const layer = new Layer({ clock, children: [child('hangs').exporter] });
    const startedAt = clock.now();
    await expect(clock.run(layer.forceFlush())).rejects.toMatchObject({ code: 'DEADLINE_EXCEEDED' });
    expect(clock.now() - startedAt).toBe(30_000);
  });
});

describe('SpanBatchExporterBase.shutdown', () => {
  it('reaches every child, resolves by its deadline, and leaves no timer, whatever anybody does', async () => {
    const behaviour = fc.constantFrom(...BEHAVIOURS);
    await fc.assert(
      fc.asyncProperty(behaviour, fc.array(behaviour, { maxLength: 4 }), async (own, others) => {
        const clock = new VirtualClock();
        const children = others.map((other) => child(other));
        const layer = new Layer({ clock, children: children.map(({ exporter }) => exporter) });
        layer.own.shutdown = () => behave(own);
        const startedAt = clock.now();
        await clock.run(layer.shutdown({ deadline: startedAt + 1_000 }));
        expect(clock.now() - startedAt).toBe([own, ...others].includes('hangs') ? 1_000 : 0);
        for (const { calls } of children) expect(calls.shutdown).toEqual([{ deadline: startedAt + 1_000 }]);
        expect(clock.pendingTimers).toBe(0);
      }),
    );
  });

  it('reaches the leaf under several layers even if each of them hangs', async () => {
    const leaf = child('resolves');
    const clock = new VirtualClock();
    let layer: SpanBatchExporter = leaf.exporter;
    for (let depth = 0; depth < 3; depth++) {
      const outer = new Layer({ clock, children: [layer] });
      outer.own.shutdown = () => behave('hangs');
      layer = outer;
    }
    await clock.run(layer.shutdown());
    await clock.advance(0);
    expect(leaf.calls.shutdown).toHaveLength(1);
    expect(clock.pendingTimers).toBe(0);
  });

  it('happens once, aborts the signal at its start, and takes 10 s at most by default', async () => {
    const clock = new VirtualClock();
    const hung = child('hangs');
    const layer = new Layer({ clock, children: [hung.exporter] });
    const startedAt = clock.now();
    const first = layer.shutdown();
    expect(layer.signal.aborted).toBe(true);
    expect(layer.signal.reason).toMatchObject({ code: 'SHUTDOWN' });
    expect(layer.shutdown({ deadline: startedAt })).toBe(first);
    await clock.run(first);
    expect(clock.now() - startedAt).toBe(10_000);
    expect(hung.calls.shutdown).toHaveLength(1);
  });
});
