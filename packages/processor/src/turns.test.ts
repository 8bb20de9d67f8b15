import type { ReadableSpan, Resource } from '@otel-resilience/core';
import { fakeSpan, ScriptedBatchExporter, VirtualClock } from '@otel-resilience/testing';
import { describe, expect, it } from 'vitest';
import { AdaptiveBatchSpanProcessor } from './adaptive-batch-span-processor.js';

function setUp(prefers: 'bytes' | 'spans') {
  const clock = new VirtualClock();
  const exporter = new ScriptedBatchExporter({ clock, prefers });
  const processor = new AdaptiveBatchSpanProcessor({ exporter, clock, maxExportBatchSize: 10, minExportBatchSize: 10 });
  const names = () => exporter.exports.flatMap(({ batch }) => batch.spans().map(({ name }) => name));
  return { clock, exporter, processor, names };
}

const named = (name: string, overrides: Partial<ReadableSpan> = {}) => fakeSpan({ name, ...overrides });

/** Calls `act` when it is read for the first time. */
function whenRead(act: () => void): { readonly first: string; readonly lazy: string; readonly last: string } {
  let isFirst = true;
  return {
    first: 'x'.repeat(300),
    get lazy() {
      if (isFirst) {
        isFirst = false;
        act();
      }
      return 'loaded';
    },
    last: 'z',
  };
}

describe.each(['bytes', 'spans'] as const)('what getters do while %s are queued', (prefers) => {
  it.each(['forceFlush', 'shutdown'] as const)('survives a %s, which exports the span as well', async (method) => {
    const { clock, exporter, processor, names } = setUp(prefers);
    processor.onEnd(named('before'));
    const called: Array<Promise<void>> = [];
    const attributes = whenRead(() => {
      called.push(processor[method]());
      called[0]!.catch(() => {});
    });
    processor.onEnd(named('hostile', { attributes }));
    processor.onEnd(named('after'));
    void processor.stats().queue.bytes;
    await clock.run(processor.forceFlush());
    await clock.run(processor.shutdown());
    await expect(called[0] ?? Promise.resolve()).resolves.toBeUndefined();
    expect(names().slice(0, 2)).toEqual(['before', 'hostile']);
    expect(processor.stats().ledger).toMatchObject({ ended: 3, queued: 0, inFlight: 0, balanced: true });
    expect(exporter.shutdowns).toBe(1);
    expect(clock.pendingTimers).toBe(0);
  });

  it('exports spans that end meanwhile, each once, and not without an end', async () => {
    const { clock, processor, names } = setUp(prefers);
    let ended = 0;
    const endless = (): ReadableSpan =>
      named(`${ended++}`, { attributes: whenRead(() => ended < 10_000 && processor.onEnd(endless())) });
    processor.onEnd(endless());
    await clock.run(processor.forceFlush());
    const { ledger } = processor.stats();
    expect(ledger).toMatchObject({ queued: 0, inFlight: 0, balanced: true });
    expect(new Set(names()).size).toBe(ledger.delivered);
    await clock.run(processor.shutdown());
    expect(processor.stats().ledger.ended).toBe(ended);
  });

  it.each(['asyncAttributesPending', 'attributes'] as const)(
    'loses no span that ends while %s of a resource are read to seal a batch',
    async (property) => {
      const { clock, processor, names } = setUp(prefers);
      let pending = true;
      let ended = 0;
      let isArmed = true;
      const end = (resource?: Resource) => processor.onEnd(named(`${ended++}`, resource ? { resource } : {}));
      const act = (read: string) => {
        if (read !== property || pending || !isArmed) return;
        isArmed = false;
        for (let i = 0; i < 25; i++) end();
      };
      const resource: Resource = {
        get asyncAttributesPending() {
          act('asyncAttributesPending');
          return pending;
        },
        waitForAsyncAttributes: async () => {},
        get attributes() {
          act('attributes');
          return { 'service.name': 'r' };
        },
      };
      for (let i = 0; i < 9; i++) end(resource);
      pending = false;
      await clock.run(processor.forceFlush());
      for (let i = 0; i < 5; i++) end(resource);
      await clock.run(processor.shutdown());
      expect(processor.stats().ledger).toMatchObject({ ended, delivered: ended, balanced: true });
      expect(new Set(names()).size).toBe(ended);
    },
  );
});
