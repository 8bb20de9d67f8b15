import { encodeSpans, type ReadableSpan, SpanBatch } from '@otel-resilience/core';
import { fakeSpan, fakeSpans, ScriptedBatchExporter, VirtualClock } from '@otel-resilience/testing';
import { describe, expect, it } from 'vitest';
import { reachableSize } from '../../../test/support/reachable.js';
import { AdaptiveBatchSpanProcessor } from './adaptive-batch-span-processor.js';
import type { AdaptiveBatchSpanProcessorOptions } from './options.js';

const FOUR_MIB = 4 * 1024 * 1024;

function setUp(options: Partial<AdaptiveBatchSpanProcessorOptions> = {}) {
  const clock = new VirtualClock();
  const exporter = new ScriptedBatchExporter({ clock, prefers: 'bytes' });
  const processor = new AdaptiveBatchSpanProcessor({ exporter, clock, ...options });
  const end = (spans: readonly ReadableSpan[]) => {
    for (const span of spans) processor.onEnd(span);
  };
  const sizes = () => exporter.exports.map(({ batch }) => batch.byteLength);
  const names = () => exporter.exports.flatMap(({ batch }) => batch.spans().map(({ name }) => name));
  return { clock, exporter, processor, end, sizes, names };
}

const sized = (bytes: number, overrides: object = {}) =>
  fakeSpan({ attributes: { blob: 'x'.repeat(bytes) }, ...overrides });

describe('a queue of encoded spans', () => {
  it('holds bytes and no span', () => {
    const { processor, end } = setUp({ dropPolicy: 'priority' });
    const spans = fakeSpans(500, (index) => ({ isError: index % 3 === 0 }));
    end(spans);
    const held = new Set<object>();
    reachableSize(processor, (value) => held.add(value) && false);
    for (const span of spans) expect(held.has(span) || held.has(span.attributes)).toBe(false);
    expect(processor.stats().queue.spans).toBe(500);
  });

  it('takes exactly the bytes that its spans take in a request', async () => {
    const { clock, processor, end, sizes } = setUp();
    const spans = fakeSpans(300, (index) => ({ attributes: { blob: 'é'.repeat(index) } }));
    end(spans);
    const { bytes } = processor.stats().queue;
    // Resources and scopes are counted at most, and once for every request.
    const { byteLength } = encodeSpans(spans);
    expect(bytes).toBeGreaterThanOrEqual(byteLength);
    expect(bytes).toBeLessThan(byteLength + 20);
    await clock.run(processor.forceFlush());
    expect(sizes()).toEqual([encodeSpans(spans).byteLength]);
  });

  it('counts what resources and scopes take in every batch that a flush has made', async () => {
    const { clock, exporter, processor, end } = setUp({ maxQueueBytes: 1_000_000, maxConcurrentExports: 1 });
    exporter.respond({ kind: 'hang' });
    const resource = { attributes: { blob: 'x'.repeat(9_000) } };
    for (let i = 0; i < 300; i++) {
      end([fakeSpan({ resource })]);
      processor.forceFlush().catch(() => {});
      expect(processor.stats().queue.bytes).toBeLessThanOrEqual(1_000_000);
    }
    const { spans, bytes } = processor.stats().queue;
    expect(spans).toBeGreaterThan(80);
    expect(spans).toBeLessThan(112);
    expect(bytes).toBeGreaterThan(spans * 9_000);
    await clock.run(processor.shutdown());
    expect(processor.stats().queue).toMatchObject({ spans: 0, bytes: 0 });
    expect(processor.stats().ledger.balanced).toBe(true);
  });

  it('hands on what encoding the spans together would have given', async () => {
    const { clock, exporter, processor, end } = setUp({ maxExportBatchSize: 50 });
    const spans = fakeSpans(50, (index) => ({ serviceName: `s${index % 3}`, isError: index % 7 === 0 }));
    end(spans);
    await clock.settle();
    const { batch } = exporter.exports[0]!;
    expect(Buffer.concat(batch.otlp()).equals(encodeSpans(spans))).toBe(true);
    expect(batch.summary).toEqual(SpanBatch.fromSpans(spans).summary);
    await clock.run(processor.shutdown());
  });

  it('never encodes a span that is not sampled', () => {
    const { processor } = setUp();
    const unsampled = new Proxy(fakeSpan({ traceFlags: 0 }), {
      get(span, key) {
        if (key !== 'spanContext') throw new Error(`${String(key)} was read`);
        return span.spanContext;
      },
    });
    processor.onEnd(unsampled);
    expect(processor.stats().ledger).toMatchObject({ ended: 1, unsampled: 1, dropped: {} });
  });

  it('drops a span that cannot be encoded, and its neighbours leave', async () => {
    const { clock, processor, end, names } = setUp();
    const broken = { ...fakeSpan(), spanContext: () => ({ traceId: 'x', spanId: 'y', traceFlags: 1 }) };
    end([fakeSpan({ name: 'a' }), broken, fakeSpan({ name: 'b' })]);
    expect(processor.stats().ledger).toMatchObject({ ended: 3, queued: 2, dropped: { unreadable: 1 }, balanced: true });
    await clock.advance(5_000);
    expect(names()).toEqual(['a', 'b']);
  });

  it('makes batches that are as large as 4 MiB allow, resources and scopes included, and no larger', () => {
    const { end, sizes } = setUp({ maxQueueBytes: 1e9, maxConcurrentExports: 1_000 });
    const resources = Array.from({ length: 20 }, (_, i) => ({ attributes: { 'service.name': 's'.repeat(1_000 + i) } }));
    end(Array.from({ length: 3_000 }, (_, i) => sized((i * 131) % 20_000, { resource: resources[i % 20] })));
    expect(sizes().length).toBeGreaterThan(5);
    for (const bytes of sizes()) {
      expect(bytes).toBeLessThanOrEqual(FOUR_MIB);
      expect(bytes).toBeGreaterThan(FOUR_MIB - 22_000);
    }
  });

  it('keeps to them with resources that were pending when their spans ended', async () => {
    const { clock, exporter, end, sizes } = setUp({ maxQueueBytes: 1e9, maxConcurrentExports: 1_000 });
    let settle = () => {};
    const resource = {
      attributes: {},
      asyncAttributesPending: true,
      waitForAsyncAttributes: () => new Promise<void>((resolve) => (settle = resolve)),
    };
    end(Array.from({ length: 1_500 }, () => sized(6_000, { resource })));
    expect(sizes()).toEqual([]);
    const attributes = { 'service.name': 'x'.repeat(10_000) };
    Object.assign(resource, { attributes, asyncAttributesPending: false });
    settle();
    await clock.advance(5_000);
    for (const { batch } of exporter.exports) expect(batch.summary.services.keys().next().value).toHaveLength(10_000);
    expect(sizes().length).toBeGreaterThan(1);
    for (const bytes of sizes()) expect(bytes).toBeLessThanOrEqual(FOUR_MIB);
  });

  it('lets a larger span leave alone', async () => {
    const { clock, end, exporter } = setUp();
    end([sized(10), sized(5_000_000), sized(10)]);
    await clock.advance(5_000);
    expect(exporter.exports.map(({ batch }) => batch.spanCount)).toEqual([1, 1, 1]);
  });

  it('seals a batch before it has too many resources and scopes, and loses none for them', async () => {
    const { clock, end, exporter, names } = setUp({ dropPolicy: 'priority', maxConcurrentExports: 1_000 });
    const span = (index: number) =>
      fakeSpan({ name: `${index}`, instrumentationScope: { name: `scope ${Math.floor(index / 2)}` } });
    const all = Array.from({ length: 2_000 }, (_, i) => span((i * 7) % 2_000));
    end(all);
    await clock.advance(5_000);
    expect(names().sort()).toEqual(all.map(({ name }) => name).sort());
    expect(exporter.exports.length).toBeGreaterThan(1_000 / 256);
    for (const { batch } of exporter.exports) {
      expect(new Set(batch.spans().map((span) => span.instrumentationScope.name)).size).toBeLessThanOrEqual(256);
    }
  });

  it('leaves batches full when the oldest spans are evicted, whatever their scopes, and in order', async () => {
    const { clock, exporter, end, names } = setUp({
      maxConcurrentExports: 1,
      maxQueueSize: 400,
      maxExportBatchSize: 100,
    });
    exporter.respond({ kind: 'delivered', delayMillis: 1_000 });
    const scopes = ['a', 'b', 'c'].map((name) => ({ name }));
    let next = 0;
    for (let tick = 0; tick < 100; tick++) {
      end(
        Array.from({ length: 33 }, () => {
          next++;
          return fakeSpan({ name: `${next}`, instrumentationScope: scopes[next % 3] });
        }),
      );
      await clock.advance(100);
    }
    for (const { batch } of exporter.exports) expect(batch.spanCount).toBe(100);
    const order = names().map(Number);
    expect(new Set(order).size).toBe(order.length);
    // Within a batch they are grouped; batches follow one another.
    const batches = exporter.exports.map((_, i) => order.slice(i * 100, (i + 1) * 100));
    for (const [i, batch] of batches.entries()) {
      if (i > 0) expect(Math.min(...batch)).toBeGreaterThan(Math.max(...batches[i - 1]!));
    }
  });
});
