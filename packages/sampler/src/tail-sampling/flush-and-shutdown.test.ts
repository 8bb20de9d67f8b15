import { HELD_SPANS, type HeldSpans, type SpanProcessor } from '@otel-resilience/core';
import { describe, expect, it } from 'vitest';
import {
  exportedAs,
  LedgerProcessor,
  RecordingProcessor,
  tailSampling,
} from '../../../../test/support/tail-sampling.js';

const NO_LEDGER: HeldSpans = { hold() {}, discard() {}, release() {} };

describe('forceFlush', () => {
  it('decides what is held early, sampled or not, before it flushes the next processor', async () => {
    const { process, next, tail, clock } = tailSampling();
    const roots = [true, false].flatMap((sampled) => [process.root({ sampled }), process.root({ sampled })]);
    for (const [i, root] of roots.entries()) {
      process.end(process.child(root), { name: `child ${i}`, isError: i % 2 === 1 });
    }
    const flushed = tail.forceFlush({ deadline: 42_000 });
    expect(exportedAs(next.exported)).toEqual(['child 0 8', 'child 1 0', 'child 3 0']);
    await flushed;
    expect(next.calls).toEqual(['forceFlush [{"deadline":42000}]']);
    expect(tail.stats()).toMatchObject({ held: { traces: 0, spans: 0 }, earlyDecisions: { flush: 4 }, balanced: true });
    expect(clock.pendingTimers).toBe(0);
    for (const [i, root] of roots.entries()) process.end(root, { name: `root ${i}` });
    expect(exportedAs(next.exported).slice(3)).toEqual(['root 0 8', 'root 1 0', 'root 3 0']);
  });

  it('releases no more at a time than the next processor can export', async () => {
    let waiting = 0;
    let most = 0;
    const next = new (class extends LedgerProcessor {
      override readonly [HELD_SPANS]: HeldSpans = {
        ...NO_LEDGER,
        release: () => {
          most = Math.max(most, ++waiting);
        },
      };
      override async forceFlush(...args: unknown[]): Promise<void> {
        await super.forceFlush(...args);
        await clock.advance(100);
        waiting = 0;
      }
    })();
    const { process, tail, clock } = tailSampling({}, next);
    for (let i = 0; i < 500; i++) {
      const root = process.root({ sampled: true });
      for (let child = 0; child < 10; child++) process.end(process.child(root));
    }
    await tail.forceFlush();
    expect(most).toBe(1_000);
    expect(waiting).toBe(0);
    expect(next.calls.length).toBe(5);
    expect(clock.pendingTimers).toBe(0);
  });

  it('rejects when the next processor does, and has released everything', async () => {
    const next = new (class extends LedgerProcessor {
      override async forceFlush(): Promise<void> {
        throw new Error('no');
      }
    })();
    const { process, tail } = tailSampling({}, next);
    for (let i = 0; i < 2_500; i++) process.end(process.child(process.root({ sampled: true })));
    await expect(tail.forceFlush()).rejects.toThrow('no');
    expect(next.exported.length).toBe(2_500);
  });

  it('does not wait for a next processor that hangs while there is more to release', async () => {
    const next = new (class extends LedgerProcessor {
      override forceFlush(): Promise<void> {
        return new Promise(() => {});
      }
    })();
    const { process, tail, clock } = tailSampling({}, next);
    for (let i = 0; i < 2_500; i++) process.end(process.child(process.root({ sampled: true })));
    const shutdown = tail.shutdown();
    await clock.run(shutdown, 5_000);
    expect(next.exported.length).toBe(2_500);
    expect(next.phase).toBe('stopped');
    expect(clock.pendingTimers).toBe(0);
  });

  it('rejects, and does not throw, when the next processor throws', async () => {
    const next = Object.assign(new RecordingProcessor(), {
      forceFlush: () => {
        throw new Error('no');
      },
    });
    await expect(tailSampling({}, next).tail.forceFlush()).rejects.toThrow('no');
  });
});

describe('shutdown', () => {
  it('decides what is held, shuts the next processor down once, and leaves no timer', async () => {
    const { process, next, tail, clock } = tailSampling();
    const root = process.root();
    process.end(process.child(root), { name: 'child', isError: true });
    const shutdown = tail.shutdown();
    expect(tail.shutdown()).toBe(shutdown);
    await shutdown;
    expect(exportedAs(next.exported)).toEqual(['child 0']);
    expect(next.calls).toEqual(['shutdown [null]']);
    expect(tail.stats()).toMatchObject({ held: { traces: 0 }, earlyDecisions: { shutdown: 1 }, balanced: true });
    expect(clock.pendingTimers).toBe(0);
  });

  it('hands late spans on, so that they are counted as dropped', async () => {
    const { process, next, tail, clock } = tailSampling();
    const failed = process.root();
    process.end(process.child(failed), { isError: true });
    const calm = process.root();
    await tail.shutdown();
    process.end(failed);
    process.end(calm);
    process.end(process.root({ sampled: true }));
    process.end(process.root());
    expect(next.ledger.snapshot()).toMatchObject({
      ended: 5,
      dropped: { shutdown: 2 },
      unsampled: 2,
      held: 0,
      balanced: true,
    });
    expect(tail.stats()).toMatchObject({ ended: 5, held: { traces: 0 }, balanced: true });
    expect(clock.pendingTimers).toBe(0);
  });

  it('before the first span starts nothing', async () => {
    let starts = 0;
    const { process, tail, clock } = tailSampling({ controller: { level: 'normal', start: () => void starts++ } });
    await tail.shutdown();
    process.end(process.root());
    expect(starts).toBe(0);
    expect(clock.pendingTimers).toBe(0);
  });
});

describe('a next processor that hangs', () => {
  const hanging = (): SpanProcessor => ({
    onStart() {},
    onEnd() {},
    forceFlush: () => new Promise(() => {}),
    shutdown: () => new Promise(() => {}),
  });

  it.each([
    ['by default', undefined, 30_000, 10_000],
    ['with a deadline', 500, 500, 500],
  ])('lets forceFlush reject and shutdown resolve in time: %s', async (_, timeout, flushMillis, shutdownMillis) => {
    const { tail, clock, process } = tailSampling({}, hanging());
    const root = process.root();
    for (let i = 0; i < 2_001; i++) process.end(process.child(root), { isError: true });
    const options = () => timeout && { deadline: clock.now() + timeout };
    const outcomes: string[] = [];
    tail.forceFlush(options() || undefined).catch((error) => outcomes.push(`${error.code} ${clock.now()}`));
    await clock.advance(flushMillis - 1);
    expect(outcomes).toEqual([]);
    await clock.advance(1);
    expect(outcomes).toEqual([`DEADLINE_EXCEEDED ${clock.now()}`]);
    const shutdown = tail.shutdown(options() || undefined).then(() => outcomes.push('shut down'));
    await clock.advance(shutdownMillis);
    await shutdown;
    expect(outcomes).toHaveLength(2);
    expect(clock.pendingTimers).toBe(0);
  });
});
