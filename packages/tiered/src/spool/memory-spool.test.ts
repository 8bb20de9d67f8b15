import {
  deliveredOutcome,
  type ExportOutcome,
  failedOutcome,
  followedBy,
  giveUp,
  rejectedOutcome,
  SpanBatch,
  storedOutcome,
} from '@otel-resilience/core';
import { fakeSpans } from '@otel-resilience/testing';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { MemorySpool } from './memory-spool.js';
import type { SpoolLease } from './spool.js';

const span = fakeSpans(1)[0]!;
const batch = (spans: number, bytes = 100 * spans) =>
  SpanBatch.fromSpans(
    Array.from({ length: spans }, () => span),
    { byteLength: bytes },
  );
const failed = (batch: SpanBatch) => failedOutcome(batch, 'retryable', new Error('down'));
const delivered = ({ batch }: SpoolLease) => deliveredOutcome(batch.spanCount);

async function lease(spool: MemorySpool): Promise<SpoolLease> {
  const leased = await spool.lease();
  if (!leased) throw new Error('nothing to lease');
  return leased;
}

// So small that no two batches are leased as one.
const APART = { maxBytes: 1_500 };

describe('MemorySpool', () => {
  it('leases the oldest first, and keeps a leased batch waiting until it is settled', async () => {
    const spool = new MemorySpool(APART);
    const [a, b] = [batch(1), batch(2)];
    expect(await spool.append(a)).toEqual({ stored: 1, dropped: 0 });
    await spool.append(b);
    const first = await lease(spool);
    expect(first.batch).toBe(a);
    expect((await lease(spool)).batch).toBe(b);
    expect(await spool.lease()).toBeUndefined();
    expect(spool.stats()).toMatchObject({ accepted: 3, waiting: 3, delivered: 0 });
    first.settle(delivered(first));
    expect(spool.stats()).toMatchObject({ waiting: 2, delivered: 1, balanced: true });
    expect(spool.size).toBe(2);
    expect(spool.bytes).toBe(200);
  });

  it('puts back what remains in its original order, whatever the order of failing', async () => {
    const spool = new MemorySpool(APART);
    const batches = [batch(1), batch(2), batch(3), batch(4)];
    for (const each of batches) await spool.append(each);
    const [a, b, c] = [await lease(spool), await lease(spool), await lease(spool)];
    c.settle(failed(c.batch));
    a.settle(failedOutcome(a.batch, 'throttled', new Error('429')));
    b.settle(failedOutcome(b.batch, 'shutdown', new Error('stop')));
    for (const each of batches) expect((await lease(spool)).batch).toBe(each);
  });

  it('puts back only the part that was not taken', async () => {
    const spool = new MemorySpool(APART);
    await spool.append(batch(5));
    const leased = await lease(spool);
    const rest = batch(3);
    leased.settle(followedBy(deliveredOutcome(2, 1), failed(rest)));
    expect(spool.stats()).toMatchObject({ delivered: 1, rejected: 1, waiting: 3, balanced: true });
    expect(spool.bytes).toBe(300);
    expect((await lease(spool)).batch).toBe(rest);
  });

  it('counts a lease that is settled twice once', async () => {
    const spool = new MemorySpool(APART);
    await spool.append(batch(2));
    const leased = await lease(spool);
    leased.settle(delivered(leased));
    leased.settle(failed(leased.batch));
    leased.settle(delivered(leased));
    expect(spool.stats()).toMatchObject({ delivered: 2, waiting: 0, balanced: true });
    expect(await spool.lease()).toBeUndefined();
  });

  it.each<[string, (batch: SpanBatch) => ExportOutcome, object]>([
    ['a permanent failure is rejected', (b) => failedOutcome(b, 'permanent', new Error('400')), { rejected: 4 }],
    ['poison is dropped as such', (b) => giveUp(failed(b), 'poison'), { dropped: { poison: 4 } }],
    ['what another spool stored is its business', (b) => storedOutcome(b.spanCount), { delivered: 4 }],
    ['what a receiver dropped is rejected', (b) => giveUp(failed(b), 'rate_limited'), { rejected: 4 }],
    [
      'what was rejected in part',
      (b) => followedBy(rejectedOutcome(1), deliveredOutcome(b.spanCount - 1)),
      { rejected: 1, delivered: 3 },
    ],
    ['an outcome that does not add up leaves the batch waiting', () => deliveredOutcome(3), { waiting: 4 }],
  ])('%s', async (_, outcome, expected) => {
    const spool = new MemorySpool(APART);
    await spool.append(batch(4));
    const leased = await lease(spool);
    leased.settle(outcome(leased.batch));
    expect(spool.stats()).toMatchObject({ accepted: 4, balanced: true, ...expected });
  });

  it('evicts the oldest when full, never a leased batch, and counts it in its own ledger', async () => {
    const spool = new MemorySpool({ maxBytes: 300 });
    const [a, b, c, d] = [batch(1), batch(1), batch(1), batch(1)];
    for (const each of [a, b, c]) await spool.append(each);
    const leased = await lease(spool);
    expect(await spool.append(d)).toEqual({ stored: 1, dropped: 0 });
    expect(spool.stats()).toMatchObject({ accepted: 4, waiting: 3, dropped: { full: 1 } });
    leased.settle(failed(a));
    for (const each of [a, c, d]) expect((await lease(spool)).batch).toBe(each);
  });

  it('refuses what cannot fit beside the leased batches, and evicts nothing for it', async () => {
    const spool = new MemorySpool({ maxBytes: 300 });
    await spool.append(batch(2));
    expect(await spool.append(batch(4))).toEqual({ stored: 0, dropped: 4 });
    await lease(spool);
    await spool.append(batch(1));
    expect(await spool.append(batch(2))).toEqual({ stored: 0, dropped: 2 });
    expect(spool.stats()).toMatchObject({ accepted: 3, waiting: 3, dropped: {}, balanced: true });
  });

  it('keeps its bound when what comes back is estimated larger than it was', async () => {
    const spool = new MemorySpool({ maxBytes: 300 });
    await spool.append(batch(2));
    await spool.append(batch(1));
    const leased = await lease(spool);
    leased.settle(followedBy(deliveredOutcome(1), failed(batch(1, 250))));
    expect(spool.bytes).toBe(100);
    expect(spool.stats()).toMatchObject({ waiting: 1, dropped: { full: 1 }, balanced: true });
  });

  it('leases small batches that wait one after the other as one, up to 1,000 spans and 1 MiB', async () => {
    const spool = new MemorySpool();
    for (const spans of [1, 2, 996, 1, 1, 1_200, 1, 2]) await spool.append(batch(spans));
    for (const bytes of [700_000, 300_000, 100_000]) await spool.append(batch(1, bytes));
    const counts: number[] = [];
    for (let leased = await spool.lease(); leased; leased = await spool.lease()) counts.push(leased.batch.spanCount);
    expect(counts).toEqual([1_000, 1, 1_200, 5, 1]);
    expect(spool.bytes).toBe(2_204 * 100 + 1_100_000);
  });

  it('leases no more than a sixteenth of its bytes as one: what is leased cannot be evicted', async () => {
    const spool = new MemorySpool({ maxBytes: 3_200 });
    for (let i = 0; i < 32; i++) await spool.append(batch(1));
    expect((await lease(spool)).batch.spanCount).toBe(2);
  });

  it('leases batches of two forms apart, so that one that cannot be read takes no other with it', async () => {
    const spool = new MemorySpool();
    const malformed = SpanBatch.fromBytes([Uint8Array.of(255, 255)], batch(1).summary);
    for (const each of [batch(1), malformed, batch(2), batch(3)]) await spool.append(each);
    for (const [spans, isEncoded] of [
      [1, false],
      [1, true],
      [5, false],
    ]) {
      const leased = await lease(spool);
      expect([leased.batch.spanCount, leased.batch.isEncoded]).toEqual([spans, isEncoded]);
      leased.settle(delivered(leased));
    }
    expect(spool.stats()).toMatchObject({ waiting: 0, delivered: 7 });
    expect(spool.bytes).toBe(0);
  });

  it('puts back what was leased as one in its place: apart if nothing was taken, otherwise what remains', async () => {
    const spool = new MemorySpool();
    const batches = Array.from({ length: 5 }, () => batch(1));
    for (const each of batches.slice(0, 3)) await spool.append(each);
    const first = await lease(spool);
    for (const each of batches.slice(3)) await spool.append(each);
    expect(first.batch.spanCount).toBe(3);
    first.settle(failed(first.batch));
    const all = await lease(spool);
    expect(all.batch.spanCount).toBe(5);
    await spool.append(batch(1_000));
    all.settle(followedBy(deliveredOutcome(4), failed(all.batch.slice(4))));
    expect(spool.stats()).toMatchObject({ accepted: 1_005, delivered: 4, waiting: 1_001, balanced: true });
    expect((await lease(spool)).batch.spanCount).toBe(1);
    expect((await lease(spool)).batch.spanCount).toBe(1_000);
  });

  it('drops what waits at shutdown, and a leased batch when it comes back', async () => {
    const spool = new MemorySpool(APART);
    for (const each of [batch(1), batch(2), batch(4)]) await spool.append(each);
    const [a, b] = [await lease(spool), await lease(spool)];
    await spool.shutdown();
    expect(spool.stats()).toMatchObject({ waiting: 3, dropped: { shutdown: 4 }, balanced: true });
    a.settle(delivered(a));
    b.settle(failed(b.batch));
    expect(spool.stats()).toMatchObject({ waiting: 0, delivered: 1, dropped: { shutdown: 6 }, balanced: true });
    expect(await spool.append(batch(1))).toEqual({ stored: 0, dropped: 1 });
    expect(await spool.lease()).toBeUndefined();
  });

  it('behaves as a bounded list of batches does, and balances after every step', async () => {
    const step = fc.oneof(
      fc.record({ do: fc.constant('append' as const), spans: fc.integer({ min: 1, max: 12 }) }),
      fc.record({ do: fc.constant('lease' as const) }),
      fc.record({
        do: fc.constant('settle' as const),
        which: fc.nat(),
        delivered: fc.nat(12),
        permanent: fc.boolean(),
      }),
    );
    await fc.assert(
      fc.asyncProperty(
        fc.array(step, { maxLength: 60 }),
        fc.integer({ min: 300, max: 3_000 }),
        async (steps, maxBytes) => {
          const spool = new MemorySpool({ maxBytes });
          const model = new Model(maxBytes);
          const leases: Array<{ lease: SpoolLease; item: Item }> = [];
          for (const each of steps) {
            if (each.do === 'append') {
              const { stored } = await spool.append(batch(each.spans));
              expect(stored).toBe(model.append(each.spans) ? each.spans : 0);
            } else if (each.do === 'lease') {
              const lease = await spool.lease();
              const item = model.lease();
              expect(lease?.batch.spanCount).toBe(item?.spans);
              if (lease && item) leases.push({ lease, item });
            } else if (leases.length > 0) {
              const [{ lease, item }] = leases.splice(each.which % leases.length, 1) as [(typeof leases)[0]];
              const taken = Math.min(each.delivered, item.spans);
              const left = item.spans - taken;
              const done = deliveredOutcome(taken);
              const failure = each.permanent ? 'permanent' : 'retryable';
              lease.settle(left > 0 ? followedBy(done, failedOutcome(batch(left), failure, new Error('no'))) : done);
              model.settle(item, each.permanent ? 0 : left);
            }
            expect(spool.stats()).toMatchObject({ balanced: true, waiting: model.spans, dropped: model.dropped });
            expect(spool.bytes).toBe(model.spans * 100);
            expect(spool.bytes).toBeLessThanOrEqual(maxBytes);
          }
        },
      ),
      { numRuns: 300 },
    );
  });

  it('takes no longer per batch when 100,000 wait', async () => {
    const millisFor = async (count: number) => {
      const spool = new MemorySpool({ maxBytes: count * 2_000_000 });
      const one = batch(1, 2_000_000);
      const startedAt = performance.now();
      // Twice as many as fit: half of them evict.
      for (let i = 0; i < 2 * count; i++) await spool.append(one);
      for (let i = 0; i < count; i++) {
        const leased = await lease(spool);
        if (i % 2) leased.settle(delivered(leased));
        else leased.settle(failed(leased.batch));
      }
      expect(spool.stats().balanced).toBe(true);
      return (performance.now() - startedAt) / count;
    };
    await millisFor(2_000);
    const few = Math.min(await millisFor(2_000), await millisFor(2_000));
    expect(await millisFor(100_000)).toBeLessThan(10 * few + 0.01);
  });

  it.each([0, -1, 1.5, Number.NaN, '64 MiB'])('takes no maxBytes of %s', (maxBytes) => {
    expect(() => new MemorySpool({ maxBytes: maxBytes as number })).toThrow('MemorySpool.maxBytes');
  });
});

interface Item {
  spans: number;
  leased: boolean;
}

/** The same in the simplest way: one array, in order. */
class Model {
  items: Item[] = [];
  private full = 0;
  private readonly maxBytes: number;

  constructor(maxBytes: number) {
    this.maxBytes = maxBytes;
  }

  get spans(): number {
    return sum(this.items);
  }

  get dropped() {
    return this.full > 0 ? { full: this.full } : {};
  }

  append(spans: number): boolean {
    if ((sum(this.items.filter(({ leased }) => leased)) + spans) * 100 > this.maxBytes) return false;
    this.items.push({ spans, leased: false });
    while (this.spans * 100 > this.maxBytes) {
      const oldest = this.items.findIndex(({ leased }) => !leased);
      this.full += this.items.splice(oldest, 1)[0]!.spans;
    }
    return true;
  }

  lease(): Item | undefined {
    const oldest = this.items.find(({ leased }) => !leased);
    if (oldest) oldest.leased = true;
    return oldest;
  }

  settle(item: Item, left: number): void {
    item.leased = false;
    item.spans = left;
    this.items = this.items.filter(({ spans }) => spans > 0);
  }
}

const sum = (items: readonly Item[]): number => items.reduce((total, { spans }) => total + spans, 0);
